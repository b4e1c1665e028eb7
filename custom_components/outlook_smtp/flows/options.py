"""The options flow of an account."""

from typing import Any, Final

from homeassistant.config_entries import ConfigFlowResult, OptionsFlow
from homeassistant.const import CONF_TIMEOUT, UnitOfInformation, UnitOfTime
from homeassistant.helpers.selector import (
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)
import voluptuous as vol

from ..const import (
    CONF_CHECK_INTERVAL,
    CONF_DELAYED_AFTER,
    CONF_FLOOD_LIMIT,
    CONF_LIFETIME,
    CONF_MAX_MESSAGES,
    CONF_MAX_SIZE,
    CONF_REPLY_TO,
    CONF_SENDER_ADDRESS,
    CONF_SENDER_NAME,
    CONF_URGENT_LIFETIME,
    DEFAULT_CHECK_INTERVAL,
    DEFAULT_DELAYED_AFTER,
    DEFAULT_FLOOD_LIMIT,
    DEFAULT_LIFETIME,
    DEFAULT_MAX_MESSAGES,
    DEFAULT_MAX_SIZE,
    DEFAULT_TIMEOUT,
)
from ..foreign_text import shown
from ..message.mailbox import Mailbox, check_mailbox, parse_mailboxes
from ..message.problems import InvalidMessageError
from ..message.text import short_line


def _whole_number(minimum: int, maximum: int, unit: str | None = None) -> Any:
    """Return a whole-number selector, with a unit if there is one."""
    config = NumberSelectorConfig(min=minimum, max=maximum, step=1, mode=NumberSelectorMode.BOX)
    if unit:
        config["unit_of_measurement"] = unit
    return vol.All(NumberSelector(config), vol.Coerce(int))


FORM: Final = vol.Schema(
    {
        vol.Optional(CONF_SENDER_NAME): TextSelector(),
        vol.Optional(CONF_SENDER_ADDRESS): TextSelector(
            TextSelectorConfig(type=TextSelectorType.EMAIL)
        ),
        vol.Optional(CONF_REPLY_TO): TextSelector(TextSelectorConfig(type=TextSelectorType.TEXT)),
        vol.Required(CONF_TIMEOUT, default=DEFAULT_TIMEOUT): _whole_number(
            5, 300, UnitOfTime.SECONDS
        ),
        vol.Required(CONF_CHECK_INTERVAL, default=DEFAULT_CHECK_INTERVAL): _whole_number(
            5, 1440, UnitOfTime.MINUTES
        ),
        vol.Required(CONF_LIFETIME, default=DEFAULT_LIFETIME): _whole_number(
            1, 168, UnitOfTime.HOURS
        ),
        vol.Optional(CONF_URGENT_LIFETIME): _whole_number(1, 10_080, UnitOfTime.MINUTES),
        vol.Required(CONF_DELAYED_AFTER, default=DEFAULT_DELAYED_AFTER): _whole_number(
            1, 1440, UnitOfTime.MINUTES
        ),
        vol.Required(CONF_FLOOD_LIMIT, default=DEFAULT_FLOOD_LIMIT): _whole_number(1, 10_000),
        vol.Required(CONF_MAX_MESSAGES, default=DEFAULT_MAX_MESSAGES): _whole_number(1, 10_000),
        vol.Required(CONF_MAX_SIZE, default=DEFAULT_MAX_SIZE): _whole_number(
            1, 10_000, UnitOfInformation.MEGABYTES
        ),
    }
)


class OutlookSmtpOptionsFlow(OptionsFlow):
    """Asks for the sender's details, the timeouts and the limits of the outbox."""

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Show the options until they are valid, then save them."""
        errors: dict[str, str] = {}
        placeholders = {"value": ""}
        if user_input is not None:
            try:
                return self.async_create_entry(data=_tidy(user_input))
            except InvalidMessageError as error:
                errors[error.field] = error.problem
                placeholders["value"] = error.value
        return self.async_show_form(
            step_id="init",
            data_schema=self.add_suggested_values_to_schema(
                FORM, user_input or self.config_entry.options
            ),
            errors=errors,
            description_placeholders=shown(placeholders, in_errors=placeholders),
        )


def _tidy(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options with normalized texts and without blank ones.

    Raises `InvalidMessageError` for an invalid address.
    """
    if sender := options.get(CONF_SENDER_ADDRESS, "").strip():
        check_mailbox(Mailbox(sender), CONF_SENDER_ADDRESS)
    reply_to = parse_mailboxes(options.get(CONF_REPLY_TO, ""), CONF_REPLY_TO)
    texts = {
        CONF_SENDER_ADDRESS: sender,
        CONF_SENDER_NAME: short_line(options.get(CONF_SENDER_NAME, "")),
        CONF_REPLY_TO: ", ".join(map(str, reply_to)),
    }
    return {key: value for key, value in (options | texts).items() if value != ""}
