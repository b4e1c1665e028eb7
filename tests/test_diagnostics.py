"""A diagnostics file helps whoever reads it, and gives nobody away."""

from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.components.diagnostics import (
    get_diagnostics_for_config_entry,
)
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from .conftest import ADDRESS, PASSWORD
from .standin import Identity, Script, StandIn, Step


@pytest.mark.parametrize("refused", [False, True])
async def test_diagnostics_tell_all_but_secrets(
    hass: HomeAssistant,
    account: MockConfigEntry,
    standin: StandIn,
    hass_client: ClientSessionGenerator,
    refused: bool,
) -> None:
    """Health, server and settings are there; password, addresses and names are not."""
    if refused:
        reply = f"550 5.1.8 Access denied, bad outbound sender {ADDRESS}"
        standin.mailboxes[ADDRESS].script = Script(replies={Step.AUTH: reply})
        await account.runtime_data.async_refresh()
    assert await async_setup_component(hass, "diagnostics", {})
    told: Any = await get_diagnostics_for_config_entry(hass, hass_client, account)
    assert told["health"]["connected"] is not refused
    assert told["health"]["problem"] == ("sender_blocked" if refused else None)
    assert told["server"]["tls_version"] == "TLSv1.3"
    assert told["data"]["port"] == standin.port
    assert told["recipients"] == 1
    for secret in (ADDRESS, PASSWORD, "anna@example.com"):
        assert secret not in str(told)


async def test_diagnostics_of_an_account_that_never_met_its_server(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    standin: StandIn,
    hass_client: ClientSessionGenerator,
) -> None:
    """What is not known yet is left open."""
    standin.stop()
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert await async_setup_component(hass, "diagnostics", {})
    told: Any = await get_diagnostics_for_config_entry(hass, hass_client, entry)
    assert told["server"] is None
    assert told["health"]["connected"] is None


async def test_diagnostics_of_a_signed_in_account_hold_no_token(
    hass: HomeAssistant,
    signed_in_account: MockConfigEntry,
    identity: Identity,
    hass_client: ClientSessionGenerator,
) -> None:
    """Nothing that Microsoft issued is in the file."""
    assert await async_setup_component(hass, "diagnostics", {})
    told = str(await get_diagnostics_for_config_entry(hass, hass_client, signed_in_account))
    assert "'token': '**REDACTED**'" in told
    assert identity.issued
    assert [secret for secret in identity.issued if secret in told] == []
