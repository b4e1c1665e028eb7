"""The options of an account: their limits and their effects."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from homeassistant.config_entries import ConfigFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, InvalidData
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.outlook_smtp.outbox.queued import Limits

from ..fake_microsoft import FakeServer

DEFAULTS = {
    "timeout": 30,
    "check_interval": 30,
    "lifetime": 48,
    "delayed_after": 15,
    "flood_limit": 100,
    "max_messages": 1000,
    "max_size": 500,
}


async def submit(
    hass: HomeAssistant, entry: MockConfigEntry, options: Mapping[str, Any]
) -> ConfigFlowResult:
    """Open and submit the options, and wait for the account to reload."""
    form = await hass.config_entries.options.async_init(entry.entry_id)
    result = await hass.config_entries.options.async_configure(form["flow_id"], {**options})
    await hass.async_block_till_done(wait_background_tasks=True)
    return result


async def test_defaults_are_filled_in(hass: HomeAssistant, account: MockConfigEntry) -> None:
    """The form can be submitted unchanged."""
    result = await submit(hass, account, {})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert account.options == DEFAULTS


LIMITS: Final = {
    "check_interval": (5, 1440),
    "timeout": (5, 300),
    "lifetime": (1, 168),
    "urgent_lifetime": (1, 10_080),
    "delayed_after": (1, 1440),
    "flood_limit": (1, 10_000),
    "max_messages": (1, 10_000),
    "max_size": (1, 10_000),
}


async def test_numbers_have_limits(
    hass: HomeAssistant, account: MockConfigEntry, subtests: pytest.Subtests
) -> None:
    """The limits are accepted as whole numbers, and nothing beyond them."""
    for option, (lowest, highest) in LIMITS.items():
        with subtests.test(option):
            for value in (lowest, float(highest)):
                await submit(hass, account, {option: value})
                assert account.options == DEFAULTS | {option: int(value)}
                assert type(account.options[option]) is int
            for value in (lowest - 1, highest + 1):
                with pytest.raises(InvalidData) as refused:
                    await submit(hass, account, {option: value})
                assert list(refused.value.schema_errors) == [option]


@pytest.mark.parametrize(
    ("reply_to", "error", "value"),
    [
        ("nobody", "missing_at", "nobody"),
        ("a@example.com, b@", "nothing_after_at", "b@"),
        ("a@example.com\nBcc: b@example.com", "line_break", r"a@example.com\nBcc: b@example.com"),
    ],
)
async def test_invalid_reply_to_is_rejected(
    hass: HomeAssistant, account: MockConfigEntry, reply_to: str, error: str, value: str
) -> None:
    """The error is shown at its field and quotes it, and the form keeps its values."""
    typed = DEFAULTS | {"reply_to": reply_to, "timeout": 60, "lifetime": 10}
    result = await submit(hass, account, typed)
    assert result["type"] is FlowResultType.FORM
    assert result["errors"] == {"reply_to": error}
    assert result["description_placeholders"] == {"value": value}
    assert result["data_schema"]
    fields = result["data_schema"].schema
    filled_in = {str(f): f.description["suggested_value"] for f in fields if f.description}
    assert filled_in == typed
    assert account.options == {}


async def test_options_take_effect(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """An email has the sender name and Reply-To; timeout and interval take effect."""
    options = {
        "sender_name": " Zuhause\r\nim\tGrünen ",
        "reply_to": "Anna <anna@example.com>, bert@example.com",
        "timeout": 42,
        "check_interval": 5,
        "max_messages": 7,
        "max_size": 8,
    }
    await submit(hass, account, options)
    assert account.runtime_data.route._account.timeout == 42
    assert account.runtime_data.coordinator.update_interval == timedelta(minutes=5)
    assert account.runtime_data.queue.limits == Limits(7, 8_000_000)
    mail = await send(hass, fake_server)
    assert mail["From"] == "Zuhause im Grünen <me@outlook.com>"
    assert mail["Reply-To"] == options["reply_to"]

    await submit(hass, account, {"sender_name": " "})
    assert account.options == DEFAULTS
    mail = await send(hass, fake_server)
    assert mail["From"] == "me@outlook.com"
    assert mail["Reply-To"] is None


async def send(hass: HomeAssistant, fake_server: FakeServer) -> Any:
    """Send an email to oneself, and return it as received."""
    await hass.services.async_call(
        "notify",
        "send_message",
        {"entity_id": "notify.me_outlook_com", "message": "Hello"},
        blocking=True,
    )
    return fake_server.received[-1].message
