"""The tokens of a signed-in account are renewed in time, and never unnecessarily."""

import asyncio
from typing import Any, Final

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import SOURCE_REAUTH
from homeassistant.const import (
    CONF_TOKEN,
    EVENT_STATE_CHANGED,
    STATE_OFF,
    STATE_ON,
    STATE_UNKNOWN,
)
from homeassistant.core import Event, HomeAssistant, callback
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.outlook_smtp.const import DOMAIN
from custom_components.outlook_smtp.delivery.access_tokens import AccessTokens
from custom_components.outlook_smtp.token_store import TokenFile

from .conftest import ADDRESS, until
from .fake_microsoft import (
    Endpoint,
    FakeServer,
    Identity,
    Misstep,
    Script,
    Step,
    identity_script as script,
    identity_wording as wording,
)
from .flows.test_sign_in import ROWS
from .test_health import SENSOR, Pass, connection, pass_time, send

__all__ = ["pass_time"]

REFUSED = Script.for_row(ROWS["identity_refused"])
REFRESH = "refresh_token"

type Account = MockConfigEntry


@pytest.fixture
def states(hass: HomeAssistant) -> set[str]:
    """Return the states of the connection sensor from now on."""
    seen = set[str]()

    @callback
    def note(event: Event[Any]) -> None:
        if event.data["entity_id"] == SENSOR:
            seen.add(event.data["new_state"].state)

    hass.bus.async_listen(EVENT_STATE_CHANGED, note)
    return seen


def reauths(hass: HomeAssistant) -> list[str]:
    """Return the dialogs that have opened automatically."""
    flows = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
    return [flow["context"]["source"] for flow in flows]


def tokens_of(account: Account) -> AccessTokens:
    """Return the source of an account's tokens."""
    tokens: AccessTokens = account.runtime_data.route._account.credentials.tokens
    return tokens


async def renew(identity: Identity, account: Account) -> None:
    """Let the server refuse the access token, so that it is renewed."""
    identity.expire_access_tokens(ADDRESS)
    await account.runtime_data.coordinator.async_refresh()
    assert account.runtime_data.coordinator.data.connected


async def test_email_is_sent_with_a_token(
    hass: HomeAssistant, signed_in_account: Account, identity: Identity, fake_server: FakeServer
) -> None:
    """A valid token is used as it is."""
    await send(hass)
    assert len(await fake_server.async_wait_for_mail()) == 1
    assert "AUTH XOAUTH2" in str(fake_server.sessions[-1])
    assert not identity.requests


async def test_token_is_renewed_once_before_it_expires(
    hass: HomeAssistant,
    signed_in_account: Account,
    pass_time: Pass,
    identity: Identity,
    states: set[str],
) -> None:
    """Many callers cause one request, the server never gets an old token, the sensor is stable."""
    await pass_time(seconds=3290)
    assert identity.grant_types == []
    await pass_time(seconds=15)
    tokens = tokens_of(signed_in_account)
    async with asyncio.TaskGroup() as group:
        many = [group.create_task(tokens.get()) for _ in range(20)]
        group.create_task(send(hass))
    assert identity.grant_types == [REFRESH]
    assert len({task.result() for task in many}) == 1
    stored = await TokenFile(hass, signed_in_account).async_load()
    assert stored[CONF_TOKEN]["access_token"] == many[0].result()
    said = [line for session in identity.fake_server.sessions for _, line in session]
    assert not [line for line in said if line.startswith("535")]
    assert states == {STATE_ON}


async def test_check_keeps_the_sign_in_alive(
    hass: HomeAssistant,
    signed_in_account: Account,
    pass_time: Pass,
    identity: Identity,
    states: set[str],
) -> None:
    """Without any email for a year, the account stays signed in: each renewal lasts 90 days."""
    for _ in range(6):
        await pass_time(days=60)
    assert identity.grant_types == [REFRESH] * 6
    assert not identity.fake_server.received
    assert states == {STATE_ON}
    assert not reauths(hass)


REFUSALS: Final = {
    "AUTH": REFUSED,
    "other words": Script.for_row(ROWS["credentials_incorrect"]),
    "others still": Script(
        replies={Step.AUTH: "535 5.7.8 Error: authentication failed: token expired"}
    ),
    "MAIL": Script.for_row(ROWS["identity_expired"]),
    "DATA": Script.for_row(ROWS["sign_in_expired"]),
}


@pytest.mark.usefixtures("signed_in_account", "no_pace")
async def test_refused_token_is_renewed_and_retried_once(
    hass: HomeAssistant,
    identity: Identity,
    fake_server: FakeServer,
    states: set[str],
    subtests: pytest.Subtests,
) -> None:
    """A first refusal is corrected silently, whatever the server, and wherever."""
    for name, refused in REFUSALS.items():
        with subtests.test(name):
            fake_server.hang_up()
            await until(lambda: not fake_server.open_connections)
            fake_server.received.clear()
            identity.requests.clear()
            connections = fake_server.connections
            fake_server.script_next(refused)
            await send(hass)
            assert len(fake_server.received) == 1
            assert fake_server.connections == connections + 2
            assert identity.grant_types == [REFRESH]
            assert states <= {STATE_ON}


async def test_repeatedly_refused_token_starts_reauthentication(
    hass: HomeAssistant, signed_in_account: Account, identity: Identity, fake_server: FakeServer
) -> None:
    """Two attempts and one renewal, then the mail waits, and there is one dialog for all."""
    fake_server.mailboxes[ADDRESS].script = REFUSED
    connections = fake_server.connections
    for _ in range(2):
        await send(hass)
        assert fake_server.connections == connections + 2
        assert identity.grant_types == [REFRESH]
    await hass.async_block_till_done(wait_background_tasks=True)
    assert reauths(hass) == [SOURCE_REAUTH]
    assert connection(hass).attributes["problem"] == "identity_refused"


@pytest.mark.parametrize(
    ("refusal", "problem"),
    [
        (wording.REFRESH_STALE, "sign_in_required"),
        (wording.REFRESH_REVOKED, "sign_in_required"),
        (wording.INTERACTION_REQUIRED, "mfa_required"),
        (wording.CONSENT_REQUIRED, "consent_required"),
    ],
)
async def test_ended_sign_in_is_requested_once(
    hass: HomeAssistant,
    signed_in_account: Account,
    pass_time: Pass,
    identity: Identity,
    *,
    refusal: wording.Refusal,
    problem: str,
) -> None:
    """Whatever is sent or checked later, Microsoft is asked once and the user is asked once."""
    identity.script.always[Endpoint.TOKEN] = Misstep(refusal=refusal)
    await pass_time(hours=2)
    for _ in range(3):
        await send(hass)
        await pass_time(minutes=31)
    assert identity.grant_types == [REFRESH]
    assert reauths(hass) == [SOURCE_REAUTH]
    assert connection(hass).state == STATE_OFF
    assert connection(hass).attributes["problem"] == problem
    said = [line for each in identity.fake_server.sessions for _, line in each]
    assert sum(line.startswith("AUTH XOAUTH2") for line in said) == 1


@pytest.mark.parametrize(
    "misstep",
    [
        None,
        script.GATEWAY_DOWN,
        script.SERVER_ERROR,
        script.RESET,
        script.MALFORMED,
        Misstep(refusal=wording.Refusal("x", "Slow", 429), headers={"Retry-After": "60"}),
    ],
    ids=["away", "503", "500", "reset", "malformed", "429"],
)
async def test_unreachable_microsoft_is_temporary(
    hass: HomeAssistant,
    signed_in_account: Account,
    pass_time: Pass,
    identity: Identity,
    misstep: Misstep | None,
) -> None:
    """Mail is sent while the token lasts, then it is a temporary fault without a dialog."""
    if misstep:
        identity.script.always[Endpoint.TOKEN] = misstep
    else:
        await asyncio.to_thread(identity.stop)
    await pass_time(seconds=3400)
    await send(hass)
    assert len(identity.fake_server.received) == 1
    assert connection(hass).state == STATE_ON
    await pass_time(seconds=300)
    await send(hass)
    responds = misstep not in (None, script.RESET)
    assert connection(hass).state == (STATE_ON if responds else STATE_UNKNOWN)
    await pass_time(seconds=61)
    await until(lambda: hass.states.is_state(SENSOR, STATE_OFF))
    assert connection(hass).attributes["problem"] == "identity_unreachable"
    assert not reauths(hass)
    identity.script.always.clear()
    if misstep is None:
        identity.start()
    await pass_time(minutes=5, seconds=2)
    await until(lambda: len(identity.fake_server.received) == 2)
    assert connection(hass).state == STATE_ON


@pytest.mark.parametrize(
    ("misstep", "outcome"),
    [
        (Misstep(refusal=wording.CLIENT_UNKNOWN), ("client_id_unknown", [])),
        (script.NO_SEND_SCOPE, ("no_send_permission", [SOURCE_REAUTH])),
    ],
)
async def test_other_failures_are_reported(
    hass: HomeAssistant,
    signed_in_account: Account,
    identity: Identity,
    misstep: Misstep,
    outcome: tuple[str, list[str]],
) -> None:
    """A refused app registration is no reason to sign in again; a lost permission is."""
    identity.script.always[Endpoint.TOKEN] = misstep
    identity.expire_access_tokens(ADDRESS)
    await signed_in_account.runtime_data.coordinator.async_refresh()
    await hass.async_block_till_done()
    assert (connection(hass).attributes["problem"], reauths(hass)) == outcome


async def test_expired_refresh_token_starts_reauthentication(
    hass: HomeAssistant, signed_in: Account, identity: Identity, freezer: FrozenDateTimeFactory
) -> None:
    """A Home Assistant that was off for months asks to sign in once it is back."""
    freezer.tick(91 * 24 * 3600)
    assert await hass.config_entries.async_setup(signed_in.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert reauths(hass) == [SOURCE_REAUTH]
    assert "AADSTS700082" in connection(hass).attributes["server_reply"]
    assert identity.grant_types == [REFRESH]
