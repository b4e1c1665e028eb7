"""The config flow: add, reauthenticate or reconfigure an account."""

from collections.abc import Mapping
from typing import Any, Final, override

from homeassistant.config_entries import (
    SOURCE_USER,
    ConfigFlowResult,
    ConfigSubentryFlow,
    FlowType,
    OptionsFlow,
    SubentryFlowContext,
)
from homeassistant.const import CONF_TOKEN
from homeassistant.core import callback

from .const import DOMAIN, SUBENTRY_RECIPIENT
from .coordinator import OutlookSmtpConfigEntry
from .delivery.faults import Fault, Kind, Problem
from .flows.options import OutlookSmtpOptionsFlow
from .flows.password import PASSWORD_STEPS, PasswordFlow
from .flows.recipient import RecipientFlow
from .flows.route_choice import SMTP_OFF, RouteFlow

# What Microsoft says if an app registration lacks a permission.
_LACKS_PERMISSION: Final = (Problem.APPLICATION_REFUSED, Problem.PERMISSION_MISSING)


class OutlookSmtpConfigFlow(PasswordFlow, RouteFlow, domain=DOMAIN):
    """Asks how to sign in, and leads from an error to the step that corrects it."""

    @classmethod
    @callback
    @override
    def async_get_supported_subentry_types(
        cls, config_entry: OutlookSmtpConfigEntry
    ) -> dict[str, type[ConfigSubentryFlow]]:
        """Return the subentry types of an account: recipients."""
        return {SUBENTRY_RECIPIENT: RecipientFlow}

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: OutlookSmtpConfigEntry) -> OptionsFlow:
        """Return the options flow of an account."""
        return OutlookSmtpOptionsFlow()

    @override
    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask how to sign in."""
        return self._show_menu("user", ["code", "browser", "password"])

    async def async_step_reauth(self, entry_data: Mapping[str, Any]) -> ConfigFlowResult:
        """Start reauthentication, preferring the method that can succeed."""
        self._data = dict(self._get_reauth_entry().data)
        if CONF_TOKEN in self._data:
            return await self.async_step_reauth_sign_in()
        if entry_data.get("problem") == Problem.BASIC_AUTH_DISABLED:
            self._fault = Fault(Kind.ACCOUNT, Problem.BASIC_AUTH_DISABLED, text=entry_data["reply"])
            return await self.async_step_passwords_refused()
        return await self.async_step_reauth_confirm()

    async def async_step_reauth_sign_in(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask how to sign in with Microsoft again."""
        return self._show_menu("reauth_sign_in", ["code", "browser"])

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask what to change; a repair says which problem it leads here from."""
        self._data = dict(self._get_reconfigure_entry().data)
        if user_input and user_input["problem"] in SMTP_OFF:
            problem = Problem(user_input["problem"])
            self._fault = Fault(Kind.ACCOUNT, problem, text=user_input["reply"])
            return self._show_smtp_off()
        return self._show_menu("reconfigure", self._changes())

    async def async_step_passwords_refused(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Lead an account whose password Microsoft no longer accepts to the sign-in."""
        return self._show_menu(
            "passwords_refused", ["code", "browser", PASSWORD_STEPS[self.source]]
        )

    @override
    async def async_on_create_entry(self, result: ConfigFlowResult) -> ConfigFlowResult:
        """Offer to add a recipient right away."""
        subentry_result = await self.hass.config_entries.subentries.async_init(
            (result["result"].entry_id, SUBENTRY_RECIPIENT),
            context=SubentryFlowContext(source=SOURCE_USER),
        )
        result["next_flow"] = (FlowType.CONFIG_SUBENTRIES_FLOW, subentry_result["flow_id"])
        return result

    @override
    def _correction_step(self, fault: Fault) -> str:
        """Return the step that lets the user correct the credentials."""
        if fault.problem in SMTP_OFF:
            return self._smtp_off_step
        if self._is_secret_refused(self._data):
            return "credentials"
        if CONF_TOKEN in self._data:
            # The app registration may lack the permission for the other route.
            lacks = self._is_changing_route and fault.problem in _LACKS_PERMISSION
            is_refused = fault.kind is Kind.CREDENTIALS or lacks
            return self._step_to_sign_in() if is_refused else "retry"
        if fault.problem is Problem.BASIC_AUTH_DISABLED:
            return "passwords_refused"
        return PASSWORD_STEPS[self.source]
