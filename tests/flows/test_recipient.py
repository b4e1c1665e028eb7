"""Add, change and remove recipients of an account."""

from collections.abc import Mapping
from typing import Any, Final

from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    SOURCE_USER,
    ConfigSubentry,
    SubentryFlowContext,
    SubentryFlowResult,
)
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import device_registry as dr, entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.outlook_smtp.const import SUBENTRY_RECIPIENT

from ..fake_microsoft import FakeServer

FAMILY = ["anna@example.com", "Bert <bert@example.com>"]


async def submit(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    typed: Mapping[str, Any] | None,
    subentry: ConfigSubentry | None = None,
) -> SubentryFlowResult:
    """Open the dialog of a new or existing recipient, and submit it unless None."""
    flows = hass.config_entries.subentries
    context = SubentryFlowContext(source=SOURCE_USER)
    if subentry:
        context = SubentryFlowContext(source=SOURCE_RECONFIGURE, subentry_id=subentry.subentry_id)
    result = await flows.async_init((entry.entry_id, SUBENTRY_RECIPIENT), context=context)
    if typed is not None:
        result = await flows.async_configure(result["flow_id"], {**typed})
    await hass.async_block_till_done(wait_background_tasks=True)
    return result


def filled_in(result: SubentryFlowResult) -> dict[str, Any]:
    """Return the suggested values of the form."""
    assert result["data_schema"]
    fields = result["data_schema"].schema
    return {str(f): f.description["suggested_value"] for f in fields if f.description}


def family(entry: MockConfigEntry) -> ConfigSubentry:
    """Return the account's initial recipient."""
    return next(iter(entry.subentries.values()))


async def recipients_of(
    hass: HomeAssistant, fake_server: FakeServer, entity_id: str
) -> tuple[str, ...]:
    """Send an email to a notify entity, and return its recipients."""
    await hass.services.async_call(
        "notify", "send_message", {"entity_id": entity_id, "message": "Hello"}, blocking=True
    )
    return fake_server.received[-1].recipients


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (["carl@example.com"], ["carl@example.com"]),
        (
            [' "Doe, Carl"  <carl@example.com> ', "Dora <dora@example.com>; e@example.com"],
            ['"Doe, Carl" <carl@example.com>', "Dora <dora@example.com>", "e@example.com"],
        ),
        (
            ['The Does: carl@example.com (Carl), Dora "D." Doe <dora@example.com>;'],
            ["Carl <carl@example.com>", '"Dora D. Doe" <dora@example.com>'],
        ),
    ],
)
async def test_recipient_becomes_a_notify_entity(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    typed: list[str],
    kept: list[str],
) -> None:
    """One or more addresses, with or without names, share one email."""
    result = await submit(hass, account, {"name": " Off\tice\n", "recipients": typed})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    [subentry] = [item for item in account.subentries.values() if item.title == "Off ice"]
    assert subentry.data == {"recipients": kept}
    state = hass.states.get("notify.off_ice")
    assert state
    assert state.name == "Off ice"
    got = await recipients_of(hass, fake_server, "notify.off_ice")
    assert len(got) == len(kept)
    assert fake_server.received[-1].message["To"] == ", ".join(kept)
    assert len(fake_server.received) == 1


async def test_recipient_is_changed_in_place(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """The notify entity stays the same; its name and its addresses change."""
    entities = er.async_get(hass)
    before = entities.async_get("notify.family")
    form = await submit(hass, account, None, family(account))
    assert form["step_id"] == "reconfigure"
    assert filled_in(form) == {"name": "Family", "recipients": FAMILY}
    result = await submit(
        hass, account, {"name": "Crew", "recipients": ["carl@example.com"]}, family(account)
    )
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "reconfigure_successful"
    after = entities.async_get("notify.family")
    assert before
    assert after
    assert (after.id, after.unique_id) == (before.id, before.unique_id)
    state = hass.states.get("notify.family")
    assert state
    assert state.name == "Crew"
    assert await recipients_of(hass, fake_server, "notify.family") == ("carl@example.com",)


async def test_recipient_may_keep_its_name(hass: HomeAssistant, account: MockConfigEntry) -> None:
    """Its own name does not count as taken."""
    typed = {"name": "FAMILY", "recipients": FAMILY}
    result = await submit(hass, account, typed, family(account))
    assert result["reason"] == "reconfigure_successful"
    assert family(account).title == "FAMILY"


INVALID: Final[tuple[tuple[dict[str, Any], dict[str, str], str], ...]] = (
    ({"recipients": ["a@example.com", "b@"]}, {"recipients": "nothing_after_at"}, "b@"),
    ({"recipients": ["a@example.com, b c"]}, {"recipients": "missing_at"}, "b c"),
    ({"recipients": ["a@example.com\nX"]}, {"recipients": "line_break"}, r"a@example.com\nX"),
    ({"recipients": []}, {"recipients": "no_recipient"}, ""),
    ({"recipients": [" ", ","]}, {"recipients": "no_recipient"}, ""),
    (
        {"recipients": [f"{number}@example.com" for number in range(101)]},
        {"recipients": "too_many_recipients"},
        "101",
    ),
    ({"name": " "}, {"name": "no_name"}, ""),
    ({"name": "family "}, {"name": "name_taken"}, ""),
    (
        {"name": "", "recipients": ["b@"]},
        {"name": "no_name", "recipients": "nothing_after_at"},
        "b@",
    ),
)


async def test_invalid_input_is_an_error_at_its_field(
    hass: HomeAssistant, account: MockConfigEntry, subtests: pytest.Subtests
) -> None:
    """The error quotes the invalid part, and the form keeps its values."""
    for changed, errors, value in INVALID:
        with subtests.test(f"{errors}: {value}"):
            typed = {"name": "Office", "recipients": FAMILY} | changed
            result = await submit(hass, account, typed)
            assert result["type"] is FlowResultType.FORM
            assert result["errors"] == errors
            assert result["description_placeholders"] == {"value": value}
            assert filled_in(result) == typed
            assert len(account.subentries) == 1


async def test_removed_recipient_leaves_nothing_behind(
    hass: HomeAssistant, account: MockConfigEntry
) -> None:
    """Entity and device are removed; the account itself stays usable."""
    hass.config_entries.async_remove_subentry(account, family(account).subentry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert hass.states.async_entity_ids("notify") == ["notify.me_outlook_com"]
    assert not er.async_get(hass).async_get("notify.family")
    assert len(dr.async_get(hass).devices) == 1
