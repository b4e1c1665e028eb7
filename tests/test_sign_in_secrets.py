"""Nothing of a sign-in is ever logged or shown except the code that the user must enter."""

from base64 import b64encode
from collections.abc import Iterator
import json
import logging
import traceback
from typing import Any
from urllib.parse import quote

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import EVENT_STATE_CHANGED, Event, HomeAssistant, callback
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers.json import JSONEncoder
import pytest
from yarl import URL

from custom_components.outlook_smtp.const import DOMAIN

from .conftest import ADDRESS, PASSWORD
from .fake_microsoft import (
    FakeGraph,
    FakeServer,
    Identity,
    Misstep,
    Script,
    identity_script as script,
    identity_wording as wording,
)
from .flows.test_browser import Browser, Open, credentials, open_dialog as open_browser
from .flows.test_sign_in import ROWS, SignIn, haste, open_dialog as open_code
from .test_health import send
from .test_sign_in_again import OTHER, Repair, opened

__all__ = ["credentials", "haste", "open_browser", "open_code"]

PASSING = (script.MALFORMED, script.GATEWAY_DOWN, script.RESET)
USELESS = (
    script.NO_SEND_SCOPE,
    script.LOST_ANSWER,
    Misstep(without=("expires_in",)),
    Misstep(without=("access_token",)),
    Misstep(refusal=wording.SECRET_WRONG),
    Misstep(refusal=wording.REFRESH_INVALID),
)


class Spy:
    """Collects everything that is logged, shown or raised."""

    def __init__(self, hass: HomeAssistant, caplog: pytest.LogCaptureFixture) -> None:
        """Listen to every logger and to every state."""
        self._hass, self._caplog = hass, caplog
        self._heard: list[str] = []
        hass.bus.async_listen(EVENT_STATE_CHANGED, self._note)

    @callback
    def _note(self, event: Event[Any]) -> None:
        """Record a state with its attributes."""
        self._heard.append(str(event.as_dict()))

    def hear(self, *things: object) -> None:
        """Record what was shown."""
        for thing in things:
            self._heard += [str(thing), repr(thing)]
            if isinstance(thing, BaseException):
                self._heard += traceback.format_exception(thing)

    def record_dialog(self, dialog: SignIn) -> None:
        """Record what a dialog shows; the data of an entry is not shown."""
        shown = {
            key: value for key, value in dialog.result.items() if key not in ("data", "result")
        }
        self._heard.append(json.dumps(shown, cls=JSONEncoder, default=str, skipkeys=True))
        self.hear(dialog.filled_in if shown["type"] is FlowResultType.FORM else "")

    async def record_outbox(self) -> None:
        """Record what is shown about waiting messages."""
        listed = await self._hass.services.async_call(
            DOMAIN, "list_outbox", blocking=True, return_response=True
        )
        self.hear(listed)

    def record_account(self, entry: ConfigEntry) -> None:
        """Record the reprs of an account's objects."""
        mailer, account = entry.runtime_data.mailer, entry.runtime_data.route._account
        self.hear(entry, entry.runtime_data, entry.runtime_data.coordinator.data, mailer, account)
        self.hear(account.credentials, account.credentials.tokens)

    def leaks(self, identity: Identity) -> Iterator[str]:
        """Return the beginnings of the secrets that were found."""
        heard = "\n".join(
            (self._caplog.text, *self._heard, *map(str, self._hass.states.async_all()))
        )
        assert "AADSTS" in heard
        for secret in identity.issued | {PASSWORD}:
            assert len(secret) > 10
            sasl = f"user={ADDRESS}\x01auth=Bearer {secret}\x01\x01".encode()
            forms = (secret, quote(secret, safe=""), b64encode(sasl).decode())
            if any(form in heard for form in forms):
                yield secret[:12]


@pytest.fixture
def spy(hass: HomeAssistant, caplog: pytest.LogCaptureFixture) -> Iterator[Spy]:
    """Enable all log levels, except for the logger that Home Assistant itself silences."""
    caplog.set_level(logging.DEBUG)
    quiet = {"aiohttp.access": logging.WARNING}
    names = [name for name in logging.root.manager.loggerDict if name not in quiet]
    levels = {name: logging.getLogger(name).level for name in (*names, *quiet)}
    for name in levels:
        logging.getLogger(name).setLevel(quiet.get(name, logging.DEBUG))
    yield Spy(hass, caplog)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


async def use(
    hass: HomeAssistant,
    spy: Spy,
    entry: ConfigEntry,
    identity: Identity,
    fake_server: FakeServer,
) -> None:
    """Let an account send, renew, fail in every way, and lose its sign-in."""
    await send(hass)
    identity.strict_rotation = False
    for misstep in (*PASSING, *USELESS):
        identity.script.then("token", misstep)
        identity.expire_access_tokens(ADDRESS)
        await send(hass)
        await spy.record_outbox()
        spy.record_account(entry)
        # A refusal is remembered until the account is reloaded and a user requests an attempt.
        await hass.config_entries.async_reload(entry.entry_id)
        await hass.async_block_till_done(wait_background_tasks=True)
        await entry.runtime_data.coordinator.async_check_now()
    for each in ("identity_refused", "mailbox_disabled"):
        fake_server.mailboxes[ADDRESS].script = Script.for_row(ROWS[each])
        await send(hass)
        await spy.record_outbox()
        fake_server.mailboxes[ADDRESS].script = Script()
        await entry.runtime_data.coordinator.async_check_now()
    identity.revoke(ADDRESS)
    await entry.runtime_data.coordinator.async_refresh()
    spy.record_account(entry)


@pytest.mark.usefixtures("no_pace")
async def test_sign_in_with_a_code_stays_secret(
    hass: HomeAssistant,
    open_code: Any,
    identity: Identity,
    fake_server: FakeServer,
    spy: Spy,
) -> None:
    """From the first form to a revoked sign-in and the next one."""
    fake_server.add_mailbox(OTHER, PASSWORD)
    dialog: SignIn = await open_code()
    identity.script.then("token", *PASSING)
    for misstep in (*USELESS, script.NO_REFRESH_TOKEN, script.NO_ID_TOKEN, wording.DECLINED):
        identity.script.then("token", misstep)
        identity.approve(await dialog.ask(), ADDRESS)
        spy.record_dialog(dialog)
        await dialog.begin({})
        spy.record_dialog(dialog)
        await dialog.finish()
        assert dialog.result["step_id"] == "code"
        spy.record_dialog(dialog)
    for row in ("identity_refused", "tenant_disabled"):
        fake_server.mailboxes[ADDRESS].script = Script.for_row(ROWS[row])
        await dialog.sign_in()
        spy.record_dialog(dialog)
    fake_server.mailboxes[ADDRESS].script = Script()
    await dialog.submit({"next_step_id": "check"})
    entry = dialog.result["result"]
    await use(hass, spy, entry, identity, fake_server)
    again = await opened(hass, identity)
    await again.choose("code", ["code", "browser"])
    for address in (OTHER, ADDRESS):
        await again.sign_in(address)
        spy.record_dialog(again)
    again.assert_ended("reauth_successful")
    spy.record_account(entry)
    assert not list(spy.leaks(identity))
    assert len(identity.issued) > 20


@pytest.mark.usefixtures("credentials", "current_request_with_host", "no_pace")
async def test_sign_in_in_the_browser_stays_secret(
    hass: HomeAssistant,
    open_browser: Open,
    identity: Identity,
    fake_server: FakeServer,
    spy: Spy,
) -> None:
    """Authorization codes, verifiers and the client secret, too."""
    dialog: Browser = await open_browser()
    await dialog.come_back(await dialog.leave(), None)
    spy.record_dialog(dialog)
    for misstep in (*PASSING, *USELESS, script.NO_REFRESH_TOKEN, script.NO_ID_TOKEN):
        identity.script.then("token", misstep)
        page: URL = await dialog.leave()
        spy.record_dialog(dialog)
        await dialog.come_back(page)
        spy.record_dialog(dialog)
        assert dialog.result["step_id"] in ("browser", "credentials")
    await dialog.sign_in()
    spy.record_dialog(dialog)
    await use(hass, spy, dialog.result["result"], identity, fake_server)
    assert isinstance(await opened(hass, identity), Repair)
    assert identity.client_secret in identity.issued
    assert not list(spy.leaks(identity))


async def test_choice_of_graph_stays_secret(
    hass: HomeAssistant,
    *,
    graph: FakeGraph,
    open_code: Any,
    identity: Identity,
    fake_server: FakeServer,
    spy: Spy,
) -> None:
    """The second code, what Microsoft refuses it with, and the first email."""
    fake_server.mailboxes[ADDRESS].script = Script.for_row(ROWS["mailbox_disabled"])
    dialog: SignIn = await open_code()
    await dialog.sign_in()
    spy.record_dialog(dialog)
    await dialog.submit({"next_step_id": "graph"})
    for misstep in (wording.NOT_CONSENTED, script.NO_SEND_SCOPE, script.HEALTHY):
        assert dialog.result["step_id"] == "permission"
        spy.record_dialog(dialog)
        identity.script.then("token", misstep)
        await dialog.begin({})
        spy.record_dialog(dialog)
        identity.approve(dialog.placeholders["code"], ADDRESS)
        await dialog.submit({})
    spy.hear(dialog.result["result"].runtime_data)
    await send(hass)
    assert len(graph.received) == 1
    assert not list(spy.leaks(identity))
