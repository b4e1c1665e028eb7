"""The dialogs that choose the way mail is sent: over SMTP, or through Microsoft Graph."""

from typing import Any, Final, override

from homeassistant.config_entries import SOURCE_USER, ConfigFlowResult
from homeassistant.const import CONF_CLIENT_ID, CONF_EMAIL, CONF_PASSWORD, CONF_TOKEN

from ..auth.clouds import Resource
from ..auth.tokens import Token
from ..const import (
    CONF_ACCOUNT_KIND,
    CONF_IMPLEMENTATION,
    CONF_ROUTE,
)
from ..delivery.faults import Problem
from ..smtp.settings import AccountKind
from .browser_sign_in import BrowserFlow
from .sign_in import RETRY_FORM

# The step that says what is switched off; nobody can switch it on for a personal account.
SMTP_OFF: Final[dict[str, str]] = {
    Problem.SMTP_DISABLED_MAILBOX: "smtp_off_mailbox",
    Problem.SMTP_DISABLED_TENANT: "smtp_off_tenant",
}
_SMTP_OFF_PERSONAL: Final = "smtp_off_personal"
_PERMISSION_STEP: Final = "permission"
# How Microsoft says that it has not been asked for a permission yet.
_NOT_ASKED_YET: Final = (Problem.CONSENT_REQUIRED, Problem.SIGN_IN_REQUIRED)

# Names and permissions, as Microsoft writes them.
_NAMES: Final = {Resource.SMTP: "SMTP", Resource.GRAPH: "Microsoft Graph"}
_PERMISSIONS: Final = {Resource.SMTP: "SMTP.Send", Resource.GRAPH: "Mail.Send"}


class RouteFlow(BrowserFlow):
    """Offers Microsoft Graph where SMTP is switched off, and changes the route both ways."""

    def __init__(self) -> None:
        """Start without a change."""
        super().__init__()
        # To another route, with a sign-in that may not be good for it.
        self._is_changing_route = False

    async def async_step_smtp_off_personal(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Say that SMTP is switched off for a personal account, and offer Microsoft Graph."""
        return self._show_smtp_off()

    async def async_step_smtp_off_mailbox(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Say that SMTP is switched off for a mailbox, and offer Microsoft Graph."""
        return self._show_smtp_off()

    async def async_step_smtp_off_tenant(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Say that SMTP is switched off for an organization, and offer Microsoft Graph."""
        return self._show_smtp_off()

    async def async_step_graph(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Send through Microsoft Graph from now on, if the check succeeds."""
        self._data[CONF_ROUTE] = Resource.GRAPH.value
        return await self._async_move()

    async def async_step_smtp(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Send over SMTP from now on, if the check succeeds."""
        del self._data[CONF_ROUTE]
        return await self._async_move()

    async def async_step_sign_in_first(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask how to sign in with Microsoft, because Microsoft Graph accepts no password."""
        return self._show_menu("sign_in_first", ["code", "browser"])

    async def async_step_permission(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Explain the permission that is missing, and ask Microsoft for it on request."""
        errors = self._sign_in_errors()
        if user_input is not None:
            self._sign_in_as_before(_PERMISSION_STEP)
            if CONF_IMPLEMENTATION in self._data:
                return await self.async_step_pick_implementation()
            self._client_id = self._data[CONF_CLIENT_ID]
            errors = await self._async_start_sign_in()
            if not errors:
                return await self.async_step_wait()
        return self._show_form(_PERMISSION_STEP, RETRY_FORM, {}, errors)

    async def _async_move(self) -> ConfigFlowResult:
        """Check the new route; Microsoft may have been asked for its permission before."""
        self._fault = None
        if CONF_TOKEN not in self._data:
            return await self.async_step_sign_in_first()
        self._is_changing_route = True
        return await self.async_step_check()

    @override
    def _keep_sign_in(
        self, kind: AccountKind, address: str, token: Token, registration: dict[str, str]
    ) -> None:
        """Store the sign-in, which is for the route that was chosen."""
        super()._keep_sign_in(kind, address, token, registration)
        self._is_changing_route = False

    @override
    def _is_other_mailbox(self, address: str) -> bool:
        """Return whether an address differs from that of the account that sends."""
        if self._sign_in_step == _PERMISSION_STEP:
            return address.lower() != str(self._data[CONF_EMAIL]).lower()
        return super()._is_other_mailbox(address)

    def _step_to_sign_in(self) -> str:
        """Return the step that starts another sign-in."""
        if self._is_changing_route:
            if self._fault and self._fault.problem in _NOT_ASKED_YET:
                self._fault = None  # No error: the permission has not been asked for yet.
            return _PERMISSION_STEP
        return self._sign_in_step or ("browser" if CONF_IMPLEMENTATION in self._data else "code")

    @property
    def _smtp_off_step(self) -> str:
        """Return the step that says what is switched off."""
        assert self._fault  # noqa: S101 - There is no way here without one.
        if self._data[CONF_ACCOUNT_KIND] == AccountKind.PERSONAL:
            return _SMTP_OFF_PERSONAL
        return SMTP_OFF[self._fault.problem]

    def _show_smtp_off(self) -> ConfigFlowResult:
        """Show what is switched off, and what can be done."""
        options = ["graph", "check"]
        if CONF_PASSWORD in self._data and self.source == SOURCE_USER:
            options.append("password")  # Of another account: this one needs no other password.
        return self._show_menu(self._smtp_off_step, options)

    def _changes(self) -> list[str]:
        """Return what of an account can be changed."""
        if self._resource is Resource.GRAPH:
            return ["code", "browser", "smtp", "change_password"]
        is_other_provider = self._data[CONF_ACCOUNT_KIND] == AccountKind.OTHER
        return [
            "code",
            "browser",
            *([] if is_other_provider else ["graph"]),
            "change_password",
            "server",
        ]

    @override
    def _placeholders(self) -> dict[str, str]:
        """Return the placeholders of this dialog's texts, including the route."""
        return {
            **super()._placeholders(),
            "route": _NAMES[self._resource],
            "permission": _PERMISSIONS[self._resource],
        }
