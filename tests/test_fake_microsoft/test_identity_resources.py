"""The fake identity platform: each access token is for one resource."""

from collections.abc import AsyncIterator

import pytest
from yarl import URL

from tests.fake_microsoft import FakeServer, Resource

from .client import ALICE
from .identity_client import SCOPE, SEND, WORKER, Client, failed, smtp_reply

GRAPH = "https://graph.microsoft.com/Mail.Send"
GRAPH_SCOPE = SCOPE.replace(SEND, GRAPH)
TWO_RESOURCES = ("invalid_request", "AADSTS28000")
NOT_CONSENTED = {
    ALICE: ("invalid_grant", "AADSTS70000"),
    WORKER: ("invalid_grant", "AADSTS65001"),
}


@pytest.fixture
async def client(fake_server: FakeServer) -> AsyncIterator[Client]:
    """Run the identity platform for the accounts of a fake server, and return a client of it."""
    async with Client.running(fake_server) as client:
        yield client


async def test_a_token_is_for_the_requested_resource(
    client: Client, fake_server: FakeServer
) -> None:
    """The submission server refuses a token for Graph."""
    answer = await client.sign_in(scope=GRAPH_SCOPE)
    token = answer["access_token"]
    assert answer["scope"] == f"openid profile email {GRAPH}"
    assert client.identity.access_tokens[Resource.GRAPH].get(token) == ALICE
    assert smtp_reply(fake_server, token).startswith("535 5.7.3 ")
    token = (await client.sign_in())["access_token"]
    assert token not in client.identity.access_tokens[Resource.GRAPH]
    assert smtp_reply(fake_server, token).startswith("235 ")
    client.identity.expire_access_tokens(ALICE)
    assert not any(client.identity.access_tokens.values())


@pytest.mark.parametrize("address", [ALICE, WORKER])
async def test_each_resource_needs_consent(client: Client, address: str) -> None:
    """A refusal does not use up the refresh token, which works for the resource after consent."""
    refresh_token = (await client.sign_in(address))["refresh_token"]
    refused = await client.refresh(refresh_token, scope=GRAPH_SCOPE)
    assert failed(refused) == NOT_CONSENTED[address]
    await client.sign_in(address, GRAPH_SCOPE)
    status, answer = await client.refresh(refresh_token, scope=GRAPH_SCOPE)
    assert (status, failed(await client.refresh(refresh_token))[0]) == (200, "invalid_grant")
    client.identity.withdraw(address, Resource.GRAPH)
    refused = await client.refresh(answer["refresh_token"], scope=GRAPH_SCOPE)
    assert failed(refused) == NOT_CONSENTED[address]
    assert (await client.refresh(answer["refresh_token"]))[0] == 200


async def test_a_token_request_for_two_resources_is_refused(client: Client) -> None:
    """Consent to both is accepted, but only a token request for one of them succeeds."""
    both = f"{SEND} {GRAPH_SCOPE}"
    assert failed((400, await client.sign_in(scope=both))) == TWO_RESOURCES
    refresh_token = (await client.sign_in())["refresh_token"]
    assert failed(await client.refresh(refresh_token, scope=both)) == TWO_RESOURCES
    assert (await client.refresh(refresh_token, scope=GRAPH_SCOPE))[0] == 200


async def test_one_page_asks_for_consent_to_two_resources(client: Client) -> None:
    """The code is redeemed for one of them."""
    client.identity.sign_in_as = ALICE
    target = await client.browse(scope=f"{SEND} {GRAPH_SCOPE}")
    assert isinstance(target, URL)
    assert failed(await client.redeem(target.query["code"])) == TWO_RESOURCES
    status, answer = await client.redeem(target.query["code"], scope=GRAPH_SCOPE)
    assert status == 200
    assert answer["access_token"] in client.identity.access_tokens[Resource.GRAPH]
    secret = client.identity.client_secret
    assert (await client.refresh(answer["refresh_token"], client_secret=secret))[0] == 200


async def test_the_meaning_of_a_bare_scope_depends_on_the_others(client: Client) -> None:
    """Alone it means Graph's; next to an Outlook scope it means Outlook's."""
    alone = await client.sign_in(scope="Mail.Send")
    beside = await client.sign_in(scope=f"Mail.Send {SEND}")
    tokens = client.identity.access_tokens
    assert alone["access_token"] in tokens[Resource.GRAPH]
    assert beside["access_token"] in tokens[Resource.SMTP]
    assert beside["access_token"] not in tokens[Resource.GRAPH]
