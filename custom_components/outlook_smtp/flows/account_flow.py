"""Shared steps of all account dialogs: the server form, the check and saving."""

from abc import abstractmethod
from collections.abc import Mapping
import logging
from typing import Any, Final, override

from homeassistant.config_entries import SOURCE_REAUTH, SOURCE_USER, ConfigFlowResult
from homeassistant.const import CONF_EMAIL, CONF_HOST, CONF_PASSWORD, CONF_PORT, CONF_USERNAME
from homeassistant.core import callback
from homeassistant.helpers.config_entry_oauth2_flow import AbstractOAuth2FlowHandler
from homeassistant.util.network import is_host_valid
import voluptuous as vol
from yarl import URL

from ..auth.clouds import CLOUDS, WORLDWIDE, Resource
from ..auth.error_codes import KINDS
from ..const import (
    CONF_ACCOUNT_KIND,
    CONF_CLOUD,
    CONF_ROUTE,
    CONF_SECURITY,
    CONF_SENDER_NAME,
    DOMAIN,
)
from ..coordinator import OutlookSmtpConfigEntry
from ..delivery.faults import Fault, Kind, Problem
from ..errors import fault_placeholders, text_key
from ..foreign_text import shown
from ..message.problems import InvalidMessageError, check_line
from ..message.text import short_line
from ..routes import find_server
from ..smtp.settings import PORTS, AccountKind, Security, Server
from ..token_store import async_note_sign_in
from .account_forms import OTHER_SERVER_FORM, SEND_TEST, SERVER_FORM, TESTED_FORM, WORKS_FORM
from .connection_check import ConnectionCheck
from .first_email import FirstEmail

# Problems shown at a field of the form; all others are shown above it.
_PROBLEM_FIELDS: Final[dict[Problem, str]] = {
    Problem.AUTH_REFUSED: CONF_PASSWORD,
    Problem.HOST_NOT_FOUND: CONF_HOST,
    Problem.INVALID_CREDENTIALS: CONF_PASSWORD,
    Problem.PASSWORD_REFUSED: CONF_PASSWORD,
}

# The texts of problems whose usual texts are about an account with an outbox.
_UNSAVED_TEXTS: Final[dict[Problem, str]] = {Problem.ANSWER_LOST: "test_not_confirmed"}


class AccountFlow(AbstractOAuth2FlowHandler):
    """Checks an account against its server, and saves it only if it works.

    `_data` is the data of the future config entry, `_options` its initial options, and `_fault` the
    fault of the last attempt.
    """

    DOMAIN = DOMAIN

    def __init__(self) -> None:
        """Start with no input and no check."""
        super().__init__()
        self._data: dict[str, Any] = {}
        self._options: dict[str, Any] = {}
        self._check: ConnectionCheck | None = None
        self._checked: Server | None = None
        self._fault: Fault | None = None

    @property
    @override
    def logger(self) -> logging.Logger:
        """Return the logger of Home Assistant's part of the browser sign-in."""
        return logging.getLogger(__name__)

    async def async_step_server(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the server and its encryption."""
        is_other = self._data[CONF_ACCOUNT_KIND] == AccountKind.OTHER
        form = OTHER_SERVER_FORM if is_other and CONF_PASSWORD in self._data else SERVER_FORM
        errors = self._fault_errors(form)
        if user_input is not None:
            errors = self._take_typed_server(user_input)
            if not errors:
                return await self.async_step_check()
        return self._show_form("server", form, self._port_typed, errors)

    async def async_step_works(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Say that the account works, ask for the sender's name, and offer a test email."""
        if user_input is None:
            errors = self._fault_errors(WORKS_FORM)
            typed = self._options | ({SEND_TEST: False} if errors else {})
            return self._show_form("works", WORKS_FORM, typed, errors)
        self._options.pop(CONF_SENDER_NAME, None)
        if name := short_line(user_input.get(CONF_SENDER_NAME, "")):
            self._options[CONF_SENDER_NAME] = name
        if user_input[SEND_TEST]:
            return await self.async_step_test()
        return self._create_entry()

    async def async_step_test(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Send a test email, and show that it is under way."""
        if self._check is None:
            self._fault = None
            self._check = FirstEmail(self.hass, self._data, self._options)
        if not self._check.done:
            return self._show_progress("test")
        self._fault = self._check.fault
        self._check = None
        return self.async_show_progress_done(next_step_id="works" if self._fault else "tested")

    async def async_step_tested(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Say that the server accepted the test email, then save the account."""
        if user_input is None:
            return self._show_form("tested", TESTED_FORM, {}, {})
        return self._create_entry()

    async def async_step_check(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Check the account, and show the current stage."""
        if self._check is None:
            options = {} if self.source == SOURCE_USER else self._entry.options
            self._fault = None
            self._checked = self._target
            self._check = ConnectionCheck(self.hass, self._data, options)
        if not self._check.done:
            return self._show_progress("check")
        self._fault = self._check.fault
        self._check = None
        return self.async_show_progress_done(next_step_id=self._step_after_check())

    async def async_step_save(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Save the working account; a new one is asked for the sender's name first."""
        if self.source == SOURCE_USER:
            return await self.async_step_works()
        async_note_sign_in(self.hass, self._entry)
        if self._data == self._entry.data:
            # Without a change, nothing else reports that the account works again.
            self.hass.config_entries.async_schedule_reload(self._entry.entry_id)
        options = self._options | self._entry.options
        return self.async_update_and_abort(self._entry, data=self._data, options=options)

    @callback
    @override
    def async_remove(self) -> None:
        """Cancel a check when its dialog is closed."""
        if self._check:
            self._check.async_cancel()

    @abstractmethod
    def _correction_step(self, fault: Fault) -> str:
        """Return the step that lets the user correct the credentials."""

    def _step_after_check(self) -> str:
        """Return the next step: save the account, or correct the problem."""
        if self._fault is None:
            return "save"
        if self._fault.problem is Problem.PORT_BLOCKED_OTHER_OPEN:
            port = int(self._fault.hint)
            security = next(key for key, value in PORTS.items() if value == port)
            self._take_server(Server(self._data[CONF_HOST], port, security))
        is_of_sign_in = self._fault.problem in KINDS  # No other server helps against those.
        is_of_account = self._fault.kind in (Kind.CREDENTIALS, Kind.ACCOUNT)
        if self._has_own_server and not (is_of_sign_in or is_of_account):
            return "server"
        return self._correction_step(self._fault)

    @property
    def _entry(self) -> OutlookSmtpConfigEntry:
        """Return the entry to reauthenticate or reconfigure."""
        if self.source == SOURCE_REAUTH:
            return self._get_reauth_entry()
        return self._get_reconfigure_entry()

    def _is_other_mailbox(self, address: str) -> bool:
        """Return whether an address differs from that of the entry in this dialog."""
        if self.source == SOURCE_USER:
            return False
        return address.lower() != str(self._entry.data[CONF_EMAIL]).lower()

    async def _async_claim(self, address: str) -> None:
        """Abort if the mailbox of a new account is already set up."""
        if self.source == SOURCE_USER:
            # A forgotten dialog in another window must not block this one.
            await self.async_set_unique_id(address.lower(), raise_on_progress=False)
            self._abort_if_unique_id_configured()

    def _take_typed_server(self, user_input: dict[str, Any]) -> dict[str, str]:
        """Store the server that was entered, or return the error in it."""
        host, username = user_input[CONF_HOST].strip(), user_input.get(CONF_USERNAME, "").strip()
        port = user_input.get(CONF_PORT) or PORTS[Security(user_input[CONF_SECURITY])]
        self._data |= user_input | {CONF_HOST: host, CONF_PORT: port, CONF_USERNAME: username}
        if not username:
            del self._data[CONF_USERNAME]
        try:
            check_line(username, CONF_USERNAME)
        except InvalidMessageError as error:
            return {CONF_USERNAME: error.problem}
        return {} if is_host_valid(host) else {CONF_HOST: "invalid_host"}

    def _take_server(self, server: Server) -> None:
        """Store a server."""
        self._data |= {
            CONF_HOST: server.host,
            CONF_PORT: server.port,
            CONF_SECURITY: server.security.value,
        }

    @property
    def _port_typed(self) -> dict[str, Any]:
        """Return the port to fill in: none if it is the one that the security implies."""
        if CONF_SECURITY not in self._data:
            return {}
        usual = PORTS[Security(self._data[CONF_SECURITY])]
        return {CONF_PORT: None} if self._data[CONF_PORT] == usual else {}

    @property
    def _resource(self) -> Resource:
        """Return what the account sends through: what its sign-in is for."""
        return Resource(self._data.get(CONF_ROUTE, Resource.SMTP))

    @property
    def _target(self) -> Server:
        """Return the server that is checked."""
        if self._resource is Resource.SMTP:
            return _server_of(self._data)
        url = URL(CLOUDS[self._data.get(CONF_CLOUD, WORLDWIDE)].graph)
        return Server(str(url.host), url.port or 443)

    @property
    def _has_own_server(self) -> bool:
        """Return whether the server differs from the default of this kind of account."""
        if self._resource is Resource.GRAPH:
            return False
        kind = AccountKind(self._data[CONF_ACCOUNT_KIND])
        cloud = self._data.get(CONF_CLOUD, WORLDWIDE)
        return kind is AccountKind.OTHER or _server_of(self._data) != find_server(kind, cloud)

    def _fault_errors(self, form: vol.Schema) -> dict[str, str]:
        """Return the last attempt's fault as a form error, at its field if it has one."""
        if self._fault is None:
            return {}
        field = _PROBLEM_FIELDS.get(self._fault.problem, "base")
        problem = self._fault.problem
        error = _UNSAVED_TEXTS.get(problem, str(text_key(problem, self._resource)))
        return {field if field in form.schema else "base": error}

    def _show_form(
        self,
        step_id: str,
        form: vol.Schema,
        user_input: dict[str, Any],
        errors: dict[str, str],
    ) -> ConfigFlowResult:
        """Show a form with the previous input; a password only if it has just been typed."""
        typed = {
            key: value for key, value in (self._data | user_input).items() if value is not None
        }
        if CONF_PASSWORD not in user_input:
            typed.pop(CONF_PASSWORD, None)
        texts = self._placeholders()
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(form, typed),
            errors=errors,
            # The last attempt's fault is shown as a form error.
            description_placeholders=shown(texts, in_errors=texts),
        )

    def _show_progress(self, step_id: str) -> ConfigFlowResult:
        """Show the current stage of the check."""
        assert self._check  # noqa: S101 - There is no way here without one.
        return self.async_show_progress(
            step_id=step_id,
            progress_action=self._check.stage,
            description_placeholders=shown(self._placeholders()),
            progress_task=self._check.async_progress(),
        )

    def _create_entry(self) -> ConfigFlowResult:
        """Save the new account."""
        return self.async_create_entry(
            title=self._data[CONF_EMAIL], data=self._data, options=self._options
        )

    def _show_menu(self, step_id: str, options: list[str]) -> ConfigFlowResult:
        """Show a menu whose texts may quote the account and the server's reply."""
        return self.async_show_menu(
            step_id=step_id,
            menu_options=options,
            description_placeholders=shown(self._placeholders()),
        )

    def _placeholders(self) -> dict[str, str]:
        """Return the placeholders of this dialog's texts."""
        fault = self._fault or Fault(Kind.SETUP, Problem.UNFORESEEN)
        server = self._checked or Server("", PORTS[Security.STARTTLS])
        address = self._data.get(CONF_EMAIL, "")
        username = short_line(self._data.get(CONF_USERNAME, ""))
        # Home Assistant would show the title unescaped.
        name = "" if self.source == SOURCE_USER else self._entry.title
        return {
            **fault_placeholders(fault, address, server.host, server.port),
            "value": username,
            "name": name,
        }


def _server_of(data: Mapping[str, Any]) -> Server:
    """Return the server in a config entry's data."""
    return Server(data[CONF_HOST], data[CONF_PORT], Security(data[CONF_SECURITY]))
