"""The dialogs that add an account, sign it in again, or change its server or password."""

from collections.abc import Mapping
from typing import Any, Final, override

from homeassistant.config_entries import (
    SOURCE_REAUTH,
    SOURCE_RECONFIGURE,
    SOURCE_USER,
    ConfigEntry,
    ConfigFlow,
    ConfigFlowResult,
    ConfigSubentryFlow,
    FlowType,
    OptionsFlow,
    SubentryFlowContext,
)
from homeassistant.const import CONF_EMAIL, CONF_HOST, CONF_PASSWORD, CONF_PORT
from homeassistant.core import callback
from homeassistant.util.network import is_host_valid
import voluptuous as vol

from .account_forms import PASSWORD_FORM, REAUTH_FORM, RECONFIGURE_FORM, SERVER_FORM
from .const import CONF_ACCOUNT_KIND, CONF_SECURITY, DOMAIN, SUBENTRY_RECIPIENT
from .exceptions import fault_placeholders
from .message.mailbox import parse_mailbox
from .message.problems import LetterError
from .options_flow import OutlookSmtpOptionsFlow
from .recipient_flow import RecipientFlow
from .smtp.account import PORTS, SERVERS, AccountKind, Security, Server
from .smtp.faults import Fault, Kind, Problem
from .staged_check import StagedCheck

# The step that asks who signs in, by what began the dialog.
_ACCOUNT_STEPS: Final[dict[str | None, str]] = {
    SOURCE_REAUTH: "reauth_confirm",
    SOURCE_RECONFIGURE: "reconfigure",
    SOURCE_USER: "password",
}
# Problems that are shown at a field of the form; all others are shown above it.
_PROBLEM_FIELDS: Final[dict[Problem, str]] = {
    Problem.AUTH_REFUSED: CONF_PASSWORD,
    Problem.HOST_NOT_FOUND: CONF_HOST,
    Problem.INVALID_CREDENTIALS: CONF_PASSWORD,
}


class OutlookSmtpConfigFlow(ConfigFlow, domain=DOMAIN):
    """Asks for an account, checks it against its server, and only then keeps it."""

    def __init__(self) -> None:
        """Start with nothing typed and nothing checked."""
        self._data: dict[str, Any] = {}
        self._check: StagedCheck | None = None
        self._checked: Server | None = None
        self._fault: Fault | None = None

    @classmethod
    @callback
    @override
    def async_get_supported_subentry_types(
        cls, config_entry: ConfigEntry
    ) -> dict[str, type[ConfigSubentryFlow]]:
        """Return what an account can have: recipients."""
        return {SUBENTRY_RECIPIENT: RecipientFlow}

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: ConfigEntry) -> OptionsFlow:
        """Return the dialog of an account's options."""
        return OutlookSmtpOptionsFlow()

    @override
    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask how to sign in."""
        return self.async_show_menu(step_id="user", menu_options=["password"])

    async def async_step_password(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the account and its password."""
        return await self._async_account_step(PASSWORD_FORM, user_input)

    async def async_step_reauth(self, entry_data: Mapping[str, Any]) -> ConfigFlowResult:
        """Begin to sign in again."""
        self._data = dict(entry_data)
        return await self.async_step_reauth_confirm()

    async def async_step_reauth_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the password that holds now."""
        return await self._async_account_step(REAUTH_FORM, user_input)

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for another kind of account or another password."""
        self._data = self._data or dict(self._get_reconfigure_entry().data)
        return await self._async_account_step(RECONFIGURE_FORM, user_input)

    async def async_step_server(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask where to connect to, and how the line is encrypted."""
        errors = self._fault_errors(SERVER_FORM)
        if user_input is not None:
            self._data |= user_input | {CONF_HOST: user_input[CONF_HOST].strip()}
            if is_host_valid(self._data[CONF_HOST]):
                return await self.async_step_check()
            errors = {CONF_HOST: "invalid_host"}
        return self._show_form("server", SERVER_FORM, {}, errors)

    async def async_step_check(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Check the account, and show the stage that the check has reached."""
        if self._check is None:
            options = {} if self.source == SOURCE_USER else self._entry.options
            self._fault = None
            self._checked = _server_of(self._data)
            self._check = StagedCheck(self.hass, self._data, options)
        if not self._check.done:
            return self.async_show_progress(
                step_id="check",
                progress_action=self._check.stage,
                description_placeholders=self._placeholders(),
                progress_task=self._check.async_news(),
            )
        self._fault = self._check.fault
        self._check = None
        return self.async_show_progress_done(next_step_id=self._step_after_check())

    async def async_step_save(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Keep the account that was found to work."""
        if self.source == SOURCE_USER:
            return self.async_create_entry(title=self._data[CONF_EMAIL], data=self._data)
        if self._data == self._entry.data:
            # Without a change nothing else tells the account that it works again.
            self.hass.config_entries.async_schedule_reload(self._entry.entry_id)
        return self.async_update_and_abort(self._entry, data=self._data)

    @override
    async def async_on_create_entry(self, result: ConfigFlowResult) -> ConfigFlowResult:
        """Offer to add a recipient right away."""
        subentry_result = await self.hass.config_entries.subentries.async_init(
            (result["result"].entry_id, SUBENTRY_RECIPIENT),
            context=SubentryFlowContext(source=SOURCE_USER),
        )
        result["next_flow"] = (FlowType.CONFIG_SUBENTRIES_FLOW, subentry_result["flow_id"])
        return result

    @callback
    @override
    def async_remove(self) -> None:
        """Give up a check that nobody waits for any more: the dialog was closed."""
        if self._check:
            self._check.async_cancel()

    @property
    def _entry(self) -> ConfigEntry:
        """Return the entry that is signed in again or reconfigured."""
        if self.source == SOURCE_REAUTH:
            return self._get_reauth_entry()
        return self._get_reconfigure_entry()

    async def _async_account_step(
        self, form: vol.Schema, user_input: dict[str, Any] | None
    ) -> ConfigFlowResult:
        """Ask who signs in, and go on to the server's form or to the check."""
        errors = self._fault_errors(form)
        if user_input is not None:
            errors = self._take_account(user_input)
            if not errors:
                if self.source == SOURCE_USER:
                    # A dialog forgotten in another window must not keep anybody from this one.
                    await self.async_set_unique_id(
                        self._data[CONF_EMAIL].lower(), raise_on_progress=False
                    )
                    self._abort_if_unique_id_configured()
                if self._has_own_server and self.source != SOURCE_REAUTH:
                    return await self.async_step_server()
                return await self.async_step_check()
        return self._show_form(_ACCOUNT_STEPS[self.source], form, user_input or {}, errors)

    def _take_account(self, user_input: dict[str, Any]) -> dict[str, str]:
        """Take over what was typed of the account, or return what is wrong with it."""
        try:
            address = parse_mailbox(user_input[CONF_EMAIL], CONF_EMAIL).address
        except LetterError:
            return {CONF_EMAIL: "invalid_email"}
        account = user_input | {CONF_EMAIL: address}
        if self.source != SOURCE_USER:
            saved = self._entry.data
            if address.lower() != saved[CONF_EMAIL].lower():
                return {CONF_EMAIL: "wrong_mailbox"}
            account[CONF_EMAIL] = saved[CONF_EMAIL]
            account[CONF_PASSWORD] = user_input.get(CONF_PASSWORD) or saved[CONF_PASSWORD]
        kind_before = self._data.get(CONF_ACCOUNT_KIND)
        self._data |= account
        kind = AccountKind(self._data[CONF_ACCOUNT_KIND])
        if kind != kind_before and kind in SERVERS:
            self._take_server(SERVERS[kind])
        return {}

    def _take_server(self, server: Server) -> None:
        """Take over a server."""
        self._data |= {
            CONF_HOST: server.host,
            CONF_PORT: server.port,
            CONF_SECURITY: server.security.value,
        }

    @property
    def _has_own_server(self) -> bool:
        """Return whether the server is another than the usual one of this kind of account."""
        kind = AccountKind(self._data[CONF_ACCOUNT_KIND])
        return kind is AccountKind.OTHER or _server_of(self._data) != SERVERS[kind]

    def _step_after_check(self) -> str:
        """Return the step that follows: to keep the account, or to mend what is wrong with it."""
        if self._fault is None:
            return "save"
        if self._fault.problem is Problem.PORT_BLOCKED_OTHER_OPEN:
            port = int(self._fault.hint)
            security = next(key for key, value in PORTS.items() if value == port)
            self._take_server(Server(self._data[CONF_HOST], port, security))
        if self._has_own_server and self._fault.kind not in (Kind.CREDENTIALS, Kind.ACCOUNT):
            return "server"
        return _ACCOUNT_STEPS[self.source]

    def _fault_errors(self, form: vol.Schema) -> dict[str, str]:
        """Return the last check's fault as the error of a form, at its field if it has one."""
        if self._fault is None:
            return {}
        field = _PROBLEM_FIELDS.get(self._fault.problem, "base")
        return {field if field in form.schema else "base": self._fault.problem.value}

    def _show_form(
        self,
        step_id: str,
        form: vol.Schema,
        user_input: dict[str, Any],
        errors: dict[str, str],
    ) -> ConfigFlowResult:
        """Show a form with what was typed before, except the password."""
        typed = {**self._data, **user_input}
        typed.pop(CONF_PASSWORD, None)
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(form, typed),
            errors=errors,
            description_placeholders=self._placeholders(),
        )

    def _placeholders(self) -> dict[str, str]:
        """Return what the texts of this dialog may name."""
        fault = self._fault or Fault(Kind.SETUP, Problem.UNKNOWN)
        server = self._checked or Server("", PORTS[Security.STARTTLS])
        address = self._data.get(CONF_EMAIL, "")
        return fault_placeholders(fault, address, server)


def _server_of(data: Mapping[str, Any]) -> Server:
    """Return the server that a config entry's data names."""
    return Server(data[CONF_HOST], data[CONF_PORT], Security(data[CONF_SECURITY]))
