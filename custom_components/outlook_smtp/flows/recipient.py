"""The dialog to add or change a recipient of an account."""

from collections.abc import Mapping
from typing import Any, Final

from homeassistant.config_entries import SOURCE_RECONFIGURE, ConfigSubentryFlow, SubentryFlowResult
from homeassistant.const import CONF_NAME
from homeassistant.helpers.selector import TextSelector, TextSelectorConfig, TextSelectorType
import voluptuous as vol

from ..const import CONF_RECIPIENTS
from ..foreign_text import shown
from ..message.mailbox import parse_mailboxes
from ..message.outgoing import OutgoingMessage
from ..message.problems import InvalidMessageError
from ..message.text import short_line

FORM: Final = vol.Schema(
    {
        vol.Required(CONF_NAME): TextSelector(),
        vol.Required(CONF_RECIPIENTS): TextSelector(
            TextSelectorConfig(type=TextSelectorType.TEXT, multiple=True)
        ),
    }
)


class RecipientFlow(ConfigSubentryFlow):
    """Asks for a recipient: a name, and the addresses that share one email."""

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Add a recipient."""
        return self._step("user", user_input, {CONF_RECIPIENTS: [""]})  # One empty line.

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Change a recipient."""
        subentry = self._get_reconfigure_subentry()
        return self._step("reconfigure", user_input, {CONF_NAME: subentry.title, **subentry.data})

    def _step(
        self, step_id: str, user_input: dict[str, Any] | None, before: Mapping[str, Any]
    ) -> SubentryFlowResult:
        """Show the form until it is valid, then save it."""
        errors: dict[str, str] = {}
        placeholders = {"value": ""}
        if user_input is not None:
            title = short_line(user_input[CONF_NAME])
            if not title:
                errors[CONF_NAME] = "no_name"
            elif self._is_taken(title):
                errors[CONF_NAME] = "name_taken"
            try:
                mailboxes = parse_mailboxes(user_input[CONF_RECIPIENTS], CONF_RECIPIENTS)
                # Raises if there is none, or more than one email can have.
                OutgoingMessage(to=mailboxes, title="")
            except InvalidMessageError as error:
                errors[CONF_RECIPIENTS] = error.problem
                placeholders["value"] = error.value
            else:
                if not errors:
                    return self._keep(title, [str(mailbox) for mailbox in mailboxes])
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(FORM, user_input or before),
            errors=errors,
            description_placeholders=shown(placeholders, in_errors=placeholders),
        )

    def _is_taken(self, title: str) -> bool:
        """Return whether another recipient of the account has the name."""
        own = self.source == SOURCE_RECONFIGURE and self._get_reconfigure_subentry().subentry_id
        return any(
            subentry.title.casefold() == title.casefold()
            for subentry in self._get_entry().subentries.values()
            if subentry.subentry_id != own
        )

    def _keep(self, title: str, recipients: list[str]) -> SubentryFlowResult:
        """Add the recipient or change it."""
        data = {CONF_RECIPIENTS: recipients}
        if self.source == SOURCE_RECONFIGURE:
            return self.async_update_and_abort(
                self._get_entry(), self._get_reconfigure_subentry(), title=title, data=data
            )
        return self.async_create_entry(title=title, data=data)
