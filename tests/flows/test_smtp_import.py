"""Entries of the built-in integration for Microsoft are found if they have something to copy."""

from types import MappingProxyType
from typing import Any

from homeassistant.config_entries import (
    ConfigEntryDisabler,
    ConfigSubentry,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.outlook_smtp.const import DOMAIN
from custom_components.outlook_smtp.flows.smtp_import import BUILT_IN_SMTP

from ..repair_helpers import CARL, add_built_in, built_in, find_issue, raised


@pytest.mark.parametrize(
    "server",
    [
        "smtp-mail.outlook.com",
        "smtp.office365.com",
        "smtp.live.com",
        "SMTP.Office365.com.",
        "outlook.com",
        "eur.smtp.outlook.com",
    ],
)
async def test_entry_for_microsoft_is_found(
    hass: HomeAssistant, account: MockConfigEntry, server: str
) -> None:
    """The issue is raised when the entry is added, and cleared when it is removed."""
    smtp = built_in(CARL, server=server)
    await add_built_in(hass, smtp)
    assert raised(hass) == [BUILT_IN_SMTP]
    issue = find_issue(hass, BUILT_IN_SMTP, smtp)
    assert issue
    assert issue.severity is ir.IssueSeverity.WARNING
    await hass.config_entries.async_remove(smtp.entry_id)
    assert raised(hass) == []


@pytest.mark.parametrize(
    "data",
    [
        {"server": "smtp.gmail.com"},
        {"server": "outlook.com.example.org"},
        {"server": "notoutlook.com"},
        {"username": None},
    ],
)
async def test_other_entries_are_ignored(
    hass: HomeAssistant, account: MockConfigEntry, data: dict[str, Any]
) -> None:
    """Neither other servers nor a relay without a sign-in raise an issue."""
    await add_built_in(hass, built_in(CARL, **data))
    assert raised(hass) == []


async def test_entry_is_found_at_start(hass: HomeAssistant) -> None:
    """An existing entry is found when the integration is set up."""
    built_in(CARL).add_to_hass(hass)
    assert await async_setup_component(hass, DOMAIN, {})
    assert raised(hass) == [BUILT_IN_SMTP]


async def test_entry_with_nothing_to_copy_raises_no_issue(
    hass: HomeAssistant, account: MockConfigEntry
) -> None:
    """Without recipients, with invalid ones or with known ones, there is no issue."""
    await add_built_in(hass, built_in())
    await add_built_in(
        hass, built_in(("Nobody", None), ("Broken", "carl at example"), ("None", " , "))
    )
    await add_built_in(hass, built_in(("Both", "Anna@example.com, bert@example.com")))
    assert raised(hass) == []


async def test_disabled_entry_raises_no_issue(
    hass: HomeAssistant, account: MockConfigEntry
) -> None:
    """A user who has disabled the entry has already moved."""
    smtp = built_in(CARL)
    await add_built_in(hass, smtp)
    await hass.config_entries.async_set_disabled_by(smtp.entry_id, ConfigEntryDisabler.USER)
    hass.config_entries.async_update_entry(smtp, title="Off")
    await hass.async_block_till_done()
    assert raised(hass) == []


async def test_issue_ends_when_the_recipients_are_added_manually(
    hass: HomeAssistant, account: MockConfigEntry
) -> None:
    """The issue follows this integration's accounts, too."""
    await add_built_in(hass, built_in(CARL))
    hass.config_entries.async_add_subentry(
        account,
        ConfigSubentry(
            data=MappingProxyType({"recipients": ["Somebody <carl@EXAMPLE.com>"]}),
            subentry_type="recipient",
            title="My Carl",
            unique_id=None,
        ),
    )
    await hass.async_block_till_done(wait_background_tasks=True)
    assert raised(hass) == []


async def test_other_integrations_change_nothing(
    hass: HomeAssistant, account: MockConfigEntry
) -> None:
    """Their entries are not inspected."""
    other = MockConfigEntry(domain="other", data={"server": "smtp-mail.outlook.com"})
    other.add_to_hass(hass)
    hass.config_entries.async_update_entry(other, title="Changed")
    await hass.async_block_till_done()
    assert raised(hass) == []
