"""The dialogs for accounts that sign in with Microsoft: with a code, and what both ways share."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final, override

from homeassistant.config_entries import SOURCE_USER, ConfigFlowResult
from homeassistant.const import CONF_CLIENT_ID, CONF_EMAIL, CONF_HOST, CONF_PORT, CONF_TOKEN
from homeassistant.core import callback
from homeassistant.data_entry_flow import section
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.selector import (
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
)
import voluptuous as vol

from ..auth.application import DEFAULT_TENANT, PERSONAL_ACCOUNTS, is_client_id, is_tenant
from ..auth.auth_error import AuthError, read_auth_error
from ..auth.clouds import CLOUDS, WORLDWIDE
from ..auth.device_code import DeviceCode, await_sign_in, request_code
from ..auth.tokens import Token, is_personal, read_address, read_sender
from ..const import (
    CONF_ACCOUNT_KIND,
    CONF_CLOUD,
    CONF_ROUTE,
    CONF_SECURITY,
    CONF_SENDER_ADDRESS,
    CONF_TENANT,
    DEFAULT_CLIENT_ID,
    SIGN_IN_DOCS,
)
from ..delivery.faults import Problem
from ..foreign_text import Markdown, shown
from ..message.mailbox import parse_mailbox
from ..message.problems import InvalidMessageError
from ..routes import find_server
from ..smtp.settings import AccountKind
from ..token_store import build_application
from .account_flow import AccountFlow
from .code_page import describe_code
from .connection_check import PROGRESS_INTERVAL

SECTION_ADVANCED: Final = "advanced"

_TENANT: Final[dict[vol.Marker, Any]] = {vol.Optional(CONF_TENANT): TextSelector()}
_CLOUD: Final[dict[vol.Marker, Any]] = {
    vol.Required(CONF_CLOUD, default=WORLDWIDE): SelectSelector(
        SelectSelectorConfig(
            options=list(CLOUDS), mode=SelectSelectorMode.DROPDOWN, translation_key=CONF_CLOUD
        )
    )
}
_CLIENT_ID: Final[dict[vol.Marker, Any]] = {vol.Required(CONF_CLIENT_ID): TextSelector()}
RETRY_FORM: Final = vol.Schema({})
# Errors in the fields under Advanced, or that these fields can remedy.
_ADVANCED_ERRORS: Final = frozenset(
    {
        "invalid_tenant",
        "personal_only_worldwide",
        Problem.ACCOUNT_TYPE_REFUSED,
        Problem.CLIENT_ID_UNKNOWN,
        Problem.TENANT_UNKNOWN,
    }
)


class SignInFlow(AccountFlow):
    """Lets a person sign in with Microsoft, and uses the account that signed in.

    `_sign_in_step` is the step that starts the sign-in and shows its error; `_refusal` is the error
    in an account that may not be used here.
    """

    def __init__(self) -> None:
        """Start without a sign-in."""
        super().__init__()
        self._client_id = ""
        self._tenant = ""
        self._cloud = ""
        self._sign_in_step = ""
        self._code: DeviceCode | None = None
        self._sign_in: asyncio.Task[Mapping[str, Any] | AuthError] | None = None
        self._sign_in_progress: asyncio.Task[None] | None = None
        self._refusal = ""
        self._other_address = ""

    async def async_step_code(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the app registration, and request a code for it."""
        self._sign_in_step = "code"
        errors = self._sign_in_errors()
        if user_input is not None:
            errors = await self._async_request_code(user_input)
            if not errors:
                return await self.async_step_wait()
        return self._show_registration("code", {} if DEFAULT_CLIENT_ID else _CLIENT_ID, errors)

    async def async_step_wait(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Show the code until the person has signed in; continues automatically."""
        assert self._sign_in  # noqa: S101 - There is no way here without one.
        if self._sign_in.done():
            return self.async_show_progress_done(next_step_id="signed_in")
        if self._sign_in_progress is None or self._sign_in_progress.done():
            self._sign_in_progress = self.hass.async_create_background_task(
                self._async_progress(self._sign_in), "sign-in progress"
            )
        return self.async_show_progress(
            step_id="wait",
            progress_action="wait_for_sign_in",
            description_placeholders=shown(self._placeholders()),
            progress_task=self._sign_in_progress,
        )

    async def async_step_signed_in(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Use the account that signed in, or offer a new code."""
        assert self._sign_in  # noqa: S101 - There is no way here without one.
        return await self._async_take(self._sign_in.result(), {CONF_CLIENT_ID: self._client_id})

    async def async_step_retry(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Explain why the server still refuses the account, and check again on request."""
        if user_input is not None:
            return await self.async_step_check()
        return self._show_form("retry", RETRY_FORM, {}, self._fault_errors(RETRY_FORM))

    @callback
    @override
    def async_remove(self) -> None:
        """Stop polling when the dialog is closed."""
        super().async_remove()
        if self._sign_in:
            self._sign_in.cancel()

    def _show_registration(
        self, step_id: str, fields: dict[vol.Marker, Any], errors: dict[str, str]
    ) -> ConfigFlowResult:
        """Show the form about the app registration; Advanced is open if the error is there."""
        is_open = not _ADVANCED_ERRORS.isdisjoint(errors.values())
        advanced = section(vol.Schema(_TENANT | _CLOUD), {"collapsed": not is_open})
        tenant = self._tenant or self._data.get(CONF_TENANT, DEFAULT_TENANT)
        typed: dict[str, Any] = {
            SECTION_ADVANCED: {CONF_CLOUD: self._cloud or self._data.get(CONF_CLOUD, WORLDWIDE)}
        }
        if tenant != DEFAULT_TENANT:
            typed[SECTION_ADVANCED][CONF_TENANT] = tenant
        if self._client_id:
            typed[CONF_CLIENT_ID] = self._client_id
        form = vol.Schema(fields | {vol.Optional(SECTION_ADVANCED): advanced})
        return self._show_form(step_id, form, typed, errors)

    async def _async_request_code(self, user_input: dict[str, Any]) -> dict[str, str]:
        """Take over the app registration, and request a code for it, or return the error."""
        self._client_id = user_input.get(CONF_CLIENT_ID, DEFAULT_CLIENT_ID).strip().lower()
        if not is_client_id(self._client_id):
            return {CONF_CLIENT_ID: "invalid_client_id"}
        return self._take_directory(user_input) or await self._async_start_sign_in()

    async def _async_start_sign_in(self) -> dict[str, str]:
        """Request a code and start polling, or return the error."""
        self._fault, self._refusal = None, ""
        application = build_application(self._client_id, self._tenant, cloud=self._cloud)
        http = async_get_clientsession(self.hass)
        try:
            code = self._code = await request_code(http, application, self._resource)
        except AuthError as error:
            self._fault = read_auth_error(error)
            return self._sign_in_errors()
        # Raises if the dialog was closed in the meantime: nothing would stop the polling.
        self.hass.config_entries.flow.async_get(self.flow_id)

        async def async_poll() -> Mapping[str, Any] | AuthError:
            try:
                return await await_sign_in(http, application, code)
            except AuthError as error:
                return error

        if self._sign_in:
            self._sign_in.cancel()
        self._sign_in = self.hass.async_create_background_task(async_poll(), "sign-in")
        return {}

    def _sign_in_as_before(self, step: str) -> None:
        """Let a step start a sign-in with the tenant and the cloud that the account has."""
        self._sign_in_step = step
        self._tenant = self._data[CONF_TENANT]
        self._cloud = self._data.get(CONF_CLOUD, WORLDWIDE)

    def _take_directory(self, user_input: dict[str, Any]) -> dict[str, str]:
        """Store the tenant and its cloud, or return the error in them; empty means any account."""
        advanced = user_input.get(SECTION_ADVANCED, {})
        self._tenant = advanced.get(CONF_TENANT, "").strip().lower() or DEFAULT_TENANT
        self._cloud = cloud = advanced.get(CONF_CLOUD, WORLDWIDE)
        if self._tenant == PERSONAL_ACCOUNTS and not CLOUDS[cloud].has_personal_accounts:
            return {"base": "personal_only_worldwide"}
        return {} if is_tenant(self._tenant) else {"base": "invalid_tenant"}

    async def _async_take(
        self, answer: Mapping[str, Any] | AuthError, registration: dict[str, str]
    ) -> ConfigFlowResult:
        """Check the account that signed in, or go back and show the error."""
        self._fault, self._refusal = None, ""
        try:
            if isinstance(answer, AuthError):
                raise answer
            token = Token.from_answer(answer, resource=self._resource)
            address = self._other_address = read_address(answer)
        except AuthError as error:
            self._fault = read_auth_error(error)
        else:
            kind = AccountKind.PERSONAL if is_personal(answer) else AccountKind.WORK
            self._refusal = self._refuse(kind, address)
            if not self._refusal:
                await self._async_claim(address)
                self._keep_sign_in(kind, address, token, registration)
                self._take_sender(read_sender(answer))
                return await self.async_step_check()
        step = self._step_after_refusal(registration)
        result: ConfigFlowResult = await getattr(self, f"async_step_{step}")()
        return result

    def _step_after_refusal(self, registration: Mapping[str, str]) -> str:
        """Return the step that shows why Microsoft or this dialog refused the sign-in."""
        return self._sign_in_step

    def _refuse(self, kind: AccountKind, address: str) -> str:
        """Return the error in the account that signed in, if it may not be used."""
        if self._is_other_mailbox(address):
            return "wrong_account"
        is_misplaced = (
            kind is AccountKind.PERSONAL and not CLOUDS[self._cloud].has_personal_accounts
        )
        return "personal_only_worldwide" if is_misplaced else ""

    def _keep_sign_in(
        self, kind: AccountKind, address: str, token: Token, registration: dict[str, str]
    ) -> None:
        """Store the sign-in; keep a port that was set for the same server."""
        before = self._data.get(CONF_ACCOUNT_KIND), self._data.get(CONF_CLOUD, WORLDWIDE)
        if before != (kind, self._cloud):
            self._take_server(find_server(kind, self._cloud))
        kept = (CONF_HOST, CONF_PORT, CONF_SECURITY, CONF_ROUTE)
        self._data = {
            **{key: self._data[key] for key in kept if key in self._data},
            **({} if self._cloud == WORLDWIDE else {CONF_CLOUD: self._cloud}),
            **registration,
            CONF_ACCOUNT_KIND: kind.value,
            CONF_EMAIL: address if self.source == SOURCE_USER else self._entry.data[CONF_EMAIL],
            CONF_TENANT: self._tenant,
            CONF_TOKEN: token.as_dict(),
        }

    def _take_sender(self, address: str) -> None:
        """Send from the mailbox's own address, unless the account has signed in before."""
        if self.source != SOURCE_USER and CONF_TOKEN in self._entry.data:
            return
        with suppress(InvalidMessageError):
            mailbox = parse_mailbox(address, CONF_SENDER_ADDRESS)
            self._options = {CONF_SENDER_ADDRESS: mailbox.address}

    @staticmethod
    async def _async_progress(sign_in: asyncio.Task[Any]) -> None:
        """Wait for the sign-in, and until the frontend is listening."""
        await asyncio.sleep(PROGRESS_INTERVAL)
        await asyncio.wait([sign_in])

    def _sign_in_errors(self) -> dict[str, str]:
        """Return the error of the last sign-in attempt."""
        if self._refusal:
            return {"base": self._refusal}
        if self._fault and self._fault.problem is Problem.BASIC_AUTH_DISABLED:
            return {}  # The sign-in started because Microsoft refused the password.
        return self._fault_errors(RETRY_FORM)

    @override
    def _placeholders(self) -> dict[str, str]:
        """Return the placeholders of this dialog's texts, including the code."""
        return {
            **super()._placeholders(),
            **(describe_code(self._code) if self._code else {}),
            "docs_url": Markdown(SIGN_IN_DOCS),
            "stranger": self._other_address,
        }
