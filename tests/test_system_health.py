"""The system health page shows whether the servers are reachable, and what waits."""

from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, get_system_health_info

from custom_components.outlook_smtp.auth.clouds import CLOUDS, WORLDWIDE
from custom_components.outlook_smtp.const import DOMAIN

from .conftest import ADDRESS
from .fake_microsoft import FakeServer, Identity, Script, Step, closed_port
from .helpers import ANNA, add_account, defer, mailer_of, outgoing, settle


async def page(hass: HomeAssistant) -> dict[str, Any]:
    """Return the final content of the page."""
    assert await async_setup_component(hass, "system_health", {})
    await hass.async_block_till_done()
    info: dict[str, Any] = await get_system_health_info(hass, DOMAIN)
    return {
        key: await value if isinstance(value, Coroutine) else value for key, value in info.items()
    }


async def test_page_of_a_healthy_account(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """One account, nothing waiting, and a server whose port responds."""
    connections = fake_server.connections
    assert await page(hass) == {
        "accounts": 1,
        "waiting": 0,
        "failed": 0,
        f"127.0.0.1:{fake_server.port}": "ok",
    }
    assert fake_server.connections <= connections + 1


async def test_page_counts_waiting_and_failed_messages(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """The numbers are totals of all accounts."""
    fake_server.script = Script(refuse_recipients={ANNA: "550 5.1.1 User unknown"})
    with pytest.raises(HomeAssistantError):
        await mailer_of(account).send(outgoing())
    fake_server.script = Script(replies={Step.MAIL: "451 4.7.500 Server busy."})
    await defer(account)
    shown = await page(hass)
    assert (shown["waiting"], shown["failed"]) == (1, 1)


async def test_shared_server_is_checked_once(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    account_data: dict[str, Any],
) -> None:
    """A server has one line, however many accounts it has."""
    await settle(hass, add_account(hass, fake_server, account_data, "you@outlook.com"))
    shown = await page(hass)
    assert shown["accounts"] == 2
    assert len(shown) == 4


async def test_unreachable_server_is_shown(
    hass: HomeAssistant, entry: MockConfigEntry, account_data: dict[str, Any]
) -> None:
    """The problem is shown with the same text as in the sensors."""
    port = closed_port()
    hass.config_entries.async_update_entry(entry, data=account_data | {"port": port})
    await settle(hass, entry)
    shown = await page(hass)
    assert shown[f"127.0.0.1:{port}"] == {"type": "failed", "error": "connection_refused"}


async def test_sign_in_is_checked_if_an_account_needs_it(
    hass: HomeAssistant,
    signed_in_account: MockConfigEntry,
    identity: Identity,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An account that signed in with Microsoft adds a line."""
    assert (await page(hass))["can_reach_sign_in"] == "ok"
    away = replace(CLOUDS[WORLDWIDE], authority=f"http://127.0.0.1:{closed_port()}")
    monkeypatch.setitem(CLOUDS, WORLDWIDE, away)
    shown = await page(hass)
    assert shown["can_reach_sign_in"] == {"type": "failed", "error": "unreachable"}


async def test_page_without_a_loaded_account(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """An account that is not loaded is counted, and no more."""
    await async_setup_component(hass, DOMAIN, {})
    await hass.config_entries.async_unload(entry.entry_id)
    assert await page(hass) == {"accounts": 1, "waiting": 0, "failed": 0}
    assert ADDRESS not in str(await page(hass))
