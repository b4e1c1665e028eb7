"""The repair dialogs: each leads to a remedy and checks whether it helped."""

from typing import Any, Final

from homeassistant.components.repairs import FlowType, RepairsFlow, RepairsFlowResult
from homeassistant.config_entries import (
    SOURCE_REAUTH,
    SOURCE_RECONFIGURE,
    SOURCE_USER,
    ConfigEntry,
)
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import AbortFlow

from .const import DOMAIN
from .delivery.faults import Problem
from .flows.account_repair import AccountRepair
from .flows.outbox_repair import (
    DiscardedRepair,
    FailedRepair,
    FloodRepair,
    OutboxRepair,
    QuarantineRepair,
)
from .flows.smtp_import import (
    BUILT_IN_SMTP,
    account_of_mailbox,
    async_copy,
    describe_smtp,
    is_importable,
    mailbox_of,
)
from .foreign_text import shown
from .issue_texts import describe_health, describe_passwords_end, explain
from .issues import (
    FILES_QUARANTINED,
    FLOOD,
    MESSAGES_DISCARDED,
    MESSAGES_FAILED,
    OUTBOX_FULL,
    PASSWORDS_END,
)


class HealthRepair(AccountRepair):
    """Explains what to do about an account, then checks whether it was done."""

    async def async_step_init(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Explain the problem."""
        return self._show_check({})

    async def async_step_check(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Check whether mail works again."""
        await self._async_try()
        if self._coordinator.data.connected:
            return self.async_create_entry(data={})
        return self._show_check({"base": "still_there"})

    def _show_check(self, errors: dict[str, str]) -> RepairsFlowResult:
        """Explain the problem and the result of the last check."""
        return self._show_form("check", self._texts(), errors)

    def _texts(self) -> dict[str, str]:
        """Return the placeholders, with the result of the last check if there was one."""
        texts = describe_health(self._entry)
        if fault := self._coordinator.last_fault:
            texts["answer"] = explain(self._entry, fault)
        return texts


class ChoiceRepair(HealthRepair):
    """Offers a remedy, or to check again; `_remedy` is the step that leads to it."""

    _remedy: str

    async def async_step_init(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Explain the problem, and offer the choices."""
        return self._show_menu("init", describe_health(self._entry))

    async def async_step_check(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Check whether mail works again; the remedy stays available if it does not."""
        await self._async_try()
        if self._coordinator.data.connected:
            return self.async_create_entry(data={})
        return await self.async_step_still_refused()

    async def async_step_still_refused(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Show the result of the check, and offer the same choices again."""
        return self._show_menu("still_refused", self._texts())

    def _show_menu(self, step_id: str, texts: dict[str, str]) -> RepairsFlowResult:
        """Show the choices."""
        return self.async_show_menu(
            step_id=step_id,
            menu_options=[self._remedy, "check"],
            description_placeholders=shown(texts),
        )


class PasswordRepair(ChoiceRepair):
    """Leads an account whose password is no longer accepted to the sign-in."""

    _remedy = "sign_in"

    async def async_step_sign_in(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Continue with the sign-in."""
        told = {
            "problem": Problem.BASIC_AUTH_DISABLED,
            "reply": self._coordinator.data.reply or "-",
        }
        return await self._async_start_dialog(SOURCE_REAUTH, {**self._entry.data, **told})


class RouteRepair(ChoiceRepair):
    """Leads an account for which SMTP is switched off to Microsoft Graph."""

    _remedy = "graph"

    async def async_step_graph(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Continue with the choice of the route."""
        health = self._coordinator.data
        told = {"problem": health.problem, "reply": health.reply or "-"}
        return await self._async_start_dialog(SOURCE_RECONFIGURE, told)


class PasswordsEndRepair(AccountRepair):
    """Leads an account whose password still works to the sign-in before passwords end."""

    async def async_step_init(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Say when passwords end."""
        return self._show_form("sign_in", describe_passwords_end(self._entry))

    async def async_step_sign_in(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Continue with the choice of the sign-in method."""
        return await self._async_start_dialog(SOURCE_RECONFIGURE)


class SmtpRepair(AccountRepair):
    """Copies the data of a built-in entry for a Microsoft server to an account."""

    async def async_step_init(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Offer to copy if there is an account for the mailbox, else to add one."""
        smtp = self._smtp
        step_id = "copy" if account_of_mailbox(self.hass, mailbox_of(smtp)) else "add_account"
        return self._show_form(step_id, describe_smtp(self.hass, smtp))

    async def async_step_add_account(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Continue with the dialog that adds an account."""
        texts = describe_smtp(self.hass, self._smtp)
        flow = await self.hass.config_entries.flow.async_init(
            DOMAIN, context={"source": SOURCE_USER}
        )
        return self.async_abort(
            reason="account_needed",
            description_placeholders=shown(texts),
            next_flow=(FlowType.CONFIG_FLOW, flow["flow_id"]),
        )

    async def async_step_copy(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Copy the data, and explain what to do with the old entry."""
        smtp = self._smtp
        texts = describe_smtp(self.hass, smtp)
        account = account_of_mailbox(self.hass, mailbox_of(smtp))
        if account is None:
            return await self.async_step_init()
        if not await async_copy(self.hass, smtp, account):
            return self.async_abort(
                reason="account_not_loaded",
                description_placeholders=shown({"account": account.title}),
            )
        return self.async_create_entry(
            data={}, description="copied", description_placeholders=shown(texts)
        )

    @property
    def _smtp(self) -> ConfigEntry[Any]:
        """Return the built-in entry; abort if there is nothing to copy from it."""
        smtp = self.hass.config_entries.async_get_entry(self._entry_id)
        if smtp is None or not is_importable(self.hass, smtp):
            raise AbortFlow("entry_gone")
        return smtp


_FLOWS: Final[dict[str, type[AccountRepair]]] = {
    BUILT_IN_SMTP: SmtpRepair,
    FILES_QUARANTINED: QuarantineRepair,
    FLOOD: FloodRepair,
    MESSAGES_DISCARDED: DiscardedRepair,
    MESSAGES_FAILED: FailedRepair,
    OUTBOX_FULL: OutboxRepair,
    PASSWORDS_END: PasswordsEndRepair,
    Problem.BASIC_AUTH_DISABLED: PasswordRepair,
    Problem.SECURITY_DEFAULTS: PasswordRepair,
    Problem.SMTP_DISABLED_MAILBOX: RouteRepair,
    Problem.SMTP_DISABLED_TENANT: RouteRepair,
}


async def async_create_fix_flow(
    hass: HomeAssistant, issue_id: str, data: dict[str, str | int | float | None] | None
) -> RepairsFlow:
    """Return the dialog for an issue."""
    known = data or {}
    return _FLOWS.get(str(known.get("key")), HealthRepair)(str(known.get("entry_id")))
