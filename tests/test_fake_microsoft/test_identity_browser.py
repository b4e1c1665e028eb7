"""The fake of Microsoft's identity platform, as people use it in the browser."""

from collections.abc import AsyncIterator

import pytest
from yarl import URL

from tests.fake_microsoft import FakeServer

from .client import ALIAS, ALICE, PASSWORD
from .identity_client import REDIRECT, VERIFIER, WORKER, Client, failed, smtp_reply


@pytest.fixture
async def client(fake_server: FakeServer) -> AsyncIterator[Client]:
    """Run the identity platform for the accounts of a fake server, and return a client of it."""
    async with Client.running(fake_server) as client:
        yield client


async def test_browser_signs_in(client: Client, fake_server: FakeServer) -> None:
    """A person signs in in the browser, and the code can be used once."""
    client.identity.sign_in_as = ALIAS
    target = await client.browse()
    assert isinstance(target, URL)
    assert (str(target.with_query(None)), target.query["state"]) == (REDIRECT, "s & t")
    status, answer = await client.redeem(target.query["code"])
    assert status == 200
    assert smtp_reply(fake_server, answer["access_token"]).startswith("235 ")
    redeemed = ("invalid_grant", "AADSTS54005")
    assert failed(await client.redeem(target.query["code"])) == redeemed
    assert {target.query["code"], VERIFIER} <= client.identity.issued
    refreshed = await client.refresh(answer["refresh_token"])
    assert failed(refreshed) == ("invalid_client", "AADSTS7000218")
    secret = client.identity.client_secret
    assert (await client.refresh(answer["refresh_token"], client_secret=secret))[0] == 200


@pytest.mark.parametrize(
    ("form", "number"),
    [
        ({"code": "invented"}, "AADSTS70000"),
        ({"code_verifier": "w" * 64}, "AADSTS501481"),
        ({"code_verifier": ""}, "AADSTS50148"),
        ({"redirect_uri": "https://example.com"}, "AADSTS500112"),
        ({"client_secret": ""}, "AADSTS7000218"),
        ({"client_secret": "wrong"}, "AADSTS7000215"),
        ({"client_id": "other"}, "AADSTS700016"),
        ({"client_id": ""}, "AADSTS900144"),
        ({"grant_type": "password"}, "AADSTS70003"),
    ],
)
async def test_mismatched_code_request_is_rejected(
    client: Client, form: dict[str, str], number: str
) -> None:
    """A mismatched request is refused, and the code stays valid."""
    client.identity.sign_in_as = ALICE
    code = await client.code()
    assert failed(await client.redeem(**{"code": code} | form))[1] == number
    assert (await client.redeem(code))[0] == 200


async def test_authorization_code_expires(client: Client) -> None:
    """A code that is not redeemed in time is void."""
    client.identity.sign_in_as = ALICE
    client.identity.code_lifetime = 0
    assert failed(await client.redeem(await client.code()))[1] == "AADSTS70008"


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"scope": "SMTP.Send"}, "invalid_scope"),
        ({"account": ""}, "access_denied"),
        ({"account": WORKER}, None),
    ],
)
async def test_browser_returns_with_an_error(
    client: Client, query: dict[str, str], error: str | None
) -> None:
    """The application receives a refusal through the browser."""
    client.identity.sign_in_as = ALICE
    target = await client.browse(**query)
    assert isinstance(target, URL)
    assert target.query.get("error") == error
    assert target.query["state"] == "s & t"


@pytest.mark.parametrize("query", [{"redirect_uri": "https://evil.example"}, {"client_id": "x"}])
async def test_browser_does_not_return_to_unknown_applications(
    client: Client, query: dict[str, str]
) -> None:
    """The browser is not redirected to an unknown application."""
    page = await client.browse(**query)
    assert "having trouble signing you in" in str(page)


async def test_pages_can_be_used(client: Client, fake_server: FakeServer) -> None:
    """A person can enter a code, cancel, and pick an account in the browser."""
    fake_server.add_mailbox("<b>@x.example", PASSWORD)
    page = f"{client.identity.authority}/device"
    codes = [(await client.ask_for_code())["user_code"] for _ in range(2)]
    async with client.http.get(page) as response:
        assert f"<option>{ALICE}</option><option>&lt;b&gt;@x.example" in await response.text()
    for code, answer, title in (
        ("WRONG", "approve", "That code didn&#x27;t work"),
        (codes[0].lower(), "approve", "You have signed in"),
        (codes[1], "decline", "You canceled"),
    ):
        form = {"code": code, "answer": answer, "account": ALICE}
        async with client.http.post(page, data=form) as response:
            assert f"<h1>{title}</h1>" in await response.text()
    assert client.identity.user_codes == []
    asked = await client.browse()
    assert "account=alice@outlook.com" in str(asked)
    assert "<b>" not in str(asked)
