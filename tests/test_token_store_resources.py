"""An account's tokens for SMTP and Graph, in its cloud, and tokens that earlier versions stored."""

from dataclasses import replace
import json
from pathlib import Path

from homeassistant.const import CONF_EMAIL, CONF_TOKEN
from homeassistant.core import HomeAssistant
import pytest

from custom_components.outlook_smtp.auth.clouds import CLOUDS, GCC_HIGH, Resource
from custom_components.outlook_smtp.auth.device_code import GRANT
from custom_components.outlook_smtp.auth.tokens import Token, TokenManager
from custom_components.outlook_smtp.const import CONF_CLOUD
from custom_components.outlook_smtp.delivery.faults import Problem, SubmissionError
from custom_components.outlook_smtp.token_store import async_build_tokens, async_find_application

from .conftest import ADDRESS, new_token
from .fake_microsoft import Identity
from .test_token_store import REFRESH, Account, reauths, renew, tokens_of

WORKER = "me@contoso.example"

# As stored by versions that only knew SMTP.
EARLIER_TOKEN = {
    "access_token": "EwB4-first",
    "refresh_token": "M.C507-first",
    "obtained_at": 1790000000.25,
    "expires_at": 1790003599.25,
}
EARLIER_FILE = """{
  "sign_in": 1790000000.25,
  "token": {
    "access_token": "EwB4-second",
    "refresh_token": "M.C507-second",
    "obtained_at": 1790003299.75,
    "expires_at": 1790006898.75
  }
}"""


class Kept(list[Token]):
    """The renewed tokens that a dialog keeps."""

    async def store(self, token: Token) -> None:
        """Keep a token."""
        self.append(token)


def manager_of(account: Account) -> TokenManager:
    """Return the token manager of a loaded account."""
    manager: TokenManager = account.runtime_data.tokens
    return manager


async def refusal(account: Account, resource: Resource) -> Problem:
    """Return why an account has no access token for a resource."""
    with pytest.raises(SubmissionError) as caught:
        await manager_of(account).for_resource(resource).get()
    return caught.value.fault.problem


@pytest.mark.parametrize("renewed", [False, True])
async def test_tokens_stored_by_earlier_versions_still_work(
    hass: HomeAssistant, signed_in: Account, identity: Identity, storage: Path, *, renewed: bool
) -> None:
    """An entry sends without a new sign-in, whether or not it has a file of renewed tokens."""
    path = storage / f"outlook_smtp.{signed_in.entry_id}.token"
    data = {**signed_in.data, CONF_TOKEN: EARLIER_TOKEN}
    hass.config_entries.async_update_entry(signed_in, data=data)
    if renewed:
        path.write_text(EARLIER_FILE)
    last = "second" if renewed else "first"
    identity.adopt(ADDRESS, f"EwB4-{last}", f"M.C507-{last}")
    for _ in range(2):
        assert await hass.config_entries.async_setup(signed_in.entry_id)
        await hass.async_block_till_done(wait_background_tasks=True)
        assert signed_in.runtime_data.coordinator.data.connected
        assert await hass.config_entries.async_unload(signed_in.entry_id)
    assert identity.grant_types == [REFRESH]
    assert signed_in.data == data
    stored = json.loads(path.read_text())
    assert (stored["sign_in"], stored["token"]["resource"]) == (1790000000.25, "smtp")


async def test_a_refusal_for_graph_leaves_smtp_working(
    hass: HomeAssistant, signed_in_account: Account, identity: Identity
) -> None:
    """Microsoft is asked once, no one has to sign in, and the token for SMTP is renewed."""
    for _ in range(3):
        assert await refusal(signed_in_account, Resource.GRAPH) is Problem.SIGN_IN_REQUIRED
    assert identity.grant_types == [REFRESH]
    await renew(identity, signed_in_account)
    assert identity.grant_types == [REFRESH] * 2
    assert not reauths(hass)


async def test_a_refusal_for_smtp_leaves_graph_working(
    signed_in_account: Account, identity: Identity
) -> None:
    """The account can no longer send over SMTP, but still gets tokens for Graph."""
    identity.consents[ADDRESS] = {Resource.GRAPH}
    graph = manager_of(signed_in_account).for_resource(Resource.GRAPH)
    first = await graph.get()
    identity.access_tokens[Resource.SMTP].expire(ADDRESS)
    await signed_in_account.runtime_data.coordinator.async_refresh()
    assert signed_in_account.runtime_data.coordinator.data.problem == Problem.SIGN_IN_REQUIRED
    await graph.replace(first)
    assert await graph.get() in identity.access_tokens[Resource.GRAPH]


async def test_a_sign_in_for_graph_ends_its_refusal(
    hass: HomeAssistant, signed_in_account: Account, identity: Identity
) -> None:
    """It replaces the previous one, and SMTP continues with its refresh token."""
    await refusal(signed_in_account, Resource.GRAPH)
    token = await new_token(hass, identity, resource=Resource.GRAPH)
    identity.requests.clear()
    data = {**signed_in_account.data, CONF_TOKEN: token.as_dict()}
    hass.config_entries.async_update_entry(signed_in_account, data=data)
    await hass.async_block_till_done(wait_background_tasks=True)
    graph = manager_of(signed_in_account).for_resource(Resource.GRAPH)
    assert await graph.get() == token.access_token
    assert signed_in_account.runtime_data.coordinator.data.connected
    assert identity.grant_types == [REFRESH]


async def test_a_dialog_shares_the_tokens_of_the_account(
    hass: HomeAssistant, signed_in_account: Account
) -> None:
    """Checking another route with the same sign-in does not use up the refresh token."""
    manager = await async_build_tokens(hass, signed_in_account.data, Kept().store)
    assert manager is manager_of(signed_in_account)
    assert manager.for_resource(Resource.SMTP) == tokens_of(signed_in_account)


async def test_the_cloud_is_part_of_the_data(
    hass: HomeAssistant, signed_in: Account, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tokens are renewed at its authority with its scopes; the default is the worldwide cloud."""
    cloud = replace(CLOUDS[GCC_HIGH], authority=identity.authority)
    monkeypatch.setitem(CLOUDS, GCC_HIGH, cloud)
    identity.fake_server.add_mailbox(WORKER, "x")
    token = await new_token(hass, identity, WORKER)
    data = {**signed_in.data, CONF_EMAIL: WORKER, CONF_TOKEN: token.as_dict()}
    kept = Kept()
    for changed in ({}, {CONF_CLOUD: GCC_HIGH}):
        manager = await async_build_tokens(hass, data | changed, kept.store)
        assert manager
        assert await manager.replace(Resource.SMTP, token.access_token) == kept[-1].access_token
        data[CONF_TOKEN] = {**kept[-1].as_dict(), "access_token": token.access_token}
    assert (await async_find_application(hass, data | {CONF_CLOUD: GCC_HIGH})).cloud is cloud
    forms = [request.form for request in identity.requests if GRANT not in request.form.values()]
    assert [form["scope"].partition(" ")[0] for form in forms][-2:] == [
        "https://outlook.office.com/SMTP.Send",
        "https://outlook.office365.us/SMTP.Send",
    ]
