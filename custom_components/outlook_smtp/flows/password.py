"""The dialogs for accounts that sign in with a password."""

from typing import Any, Final

from homeassistant.config_entries import (
    SOURCE_REAUTH,
    SOURCE_RECONFIGURE,
    SOURCE_USER,
    ConfigFlowResult,
)
from homeassistant.const import (
    CONF_CLIENT_ID,
    CONF_EMAIL,
    CONF_PASSWORD,
    CONF_TOKEN,
    CONF_USERNAME,
)
import voluptuous as vol

from ..const import CONF_ACCOUNT_KIND, CONF_CLOUD, CONF_IMPLEMENTATION, CONF_ROUTE, CONF_TENANT
from ..message.mailbox import parse_mailbox
from ..message.problems import InvalidMessageError
from ..smtp.settings import SERVERS, AccountKind
from .account_flow import AccountFlow
from .account_forms import CHANGE_PASSWORD_FORM, PASSWORD_FORM, REAUTH_FORM

# The step that asks for the password, by the source of the flow.
PASSWORD_STEPS: Final[dict[str | None, str]] = {
    SOURCE_REAUTH: "reauth_confirm",
    SOURCE_RECONFIGURE: "change_password",
    SOURCE_USER: "password",
}
_SIGN_IN_KEYS: Final = (
    CONF_CLIENT_ID,
    CONF_CLOUD,
    CONF_IMPLEMENTATION,
    CONF_ROUTE,
    CONF_TENANT,
    CONF_TOKEN,
)


class PasswordFlow(AccountFlow):
    """Asks for an address and its password."""

    async def async_step_password(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for a new account and its password."""
        return await self._async_password_step(PASSWORD_FORM, user_input)

    async def async_step_reauth_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the current password."""
        return await self._async_password_step(REAUTH_FORM, user_input)

    async def async_step_change_password(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for another kind of account or another password."""
        return await self._async_password_step(CHANGE_PASSWORD_FORM, user_input)

    async def _async_password_step(
        self, form: vol.Schema, user_input: dict[str, Any] | None
    ) -> ConfigFlowResult:
        """Ask for the credentials, and go on to the server form or the check."""
        errors = self._fault_errors(form)
        if user_input is not None:
            errors = self._take_account(user_input)
            if not errors:
                await self._async_claim(self._data[CONF_EMAIL])
                if self._has_own_server and self.source != SOURCE_REAUTH:
                    return await self.async_step_server()
                return await self.async_step_check()
        typed = dict(user_input or {})
        if CONF_EMAIL not in errors:
            typed.pop(CONF_PASSWORD, None)  # A typo in the address does not cost the password.
        return self._show_form(PASSWORD_STEPS[self.source], form, typed, errors)

    def _take_account(self, user_input: dict[str, Any]) -> dict[str, str]:
        """Store the account that was entered, or return the error in it."""
        try:
            address = parse_mailbox(user_input[CONF_EMAIL], CONF_EMAIL).address
        except InvalidMessageError:
            return {CONF_EMAIL: "invalid_email"}
        if self._is_other_mailbox(address):
            return {CONF_EMAIL: "wrong_mailbox"}
        saved = {} if self.source == SOURCE_USER else self._entry.data
        password = user_input.get(CONF_PASSWORD) or saved.get(CONF_PASSWORD)
        if not password:
            return {CONF_PASSWORD: "no_password"}
        account = {CONF_EMAIL: saved.get(CONF_EMAIL, address), CONF_PASSWORD: password}
        previous_kind = self._data.get(CONF_ACCOUNT_KIND)
        self._data |= user_input | account
        for key in _SIGN_IN_KEYS:
            self._data.pop(key, None)
        kind = AccountKind(self._data[CONF_ACCOUNT_KIND])
        if kind is not AccountKind.OTHER:
            self._data.pop(CONF_USERNAME, None)
        if kind != previous_kind and kind in SERVERS:
            self._take_server(SERVERS[kind])
        return {}
