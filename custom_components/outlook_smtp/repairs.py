"""The dialogs under Repairs: each leads to what a person can do, and looks whether it helped."""

import asyncio
from contextlib import suppress
from typing import Any, Final

from homeassistant.components.repairs import FlowType, RepairsFlow, RepairsFlowResult
from homeassistant.config_entries import (
    SOURCE_REAUTH,
    SOURCE_USER,
    ConfigEntry,
    ConfigEntryState,
)
from homeassistant.core import HomeAssistant, callback
from homeassistant.data_entry_flow import AbortFlow
import voluptuous as vol

from .const import DOMAIN
from .coordinator import HealthCoordinator, OutlookSmtpConfigEntry
from .issues import (
    MESSAGES_FAILED,
    MOST_LISTED,
    OUTBOX_FULL,
    describe_account,
    describe_failed,
    describe_health,
    describe_outbox,
)
from .outbox.courier import Contact
from .outbox.delivery import Delivery
from .outbox.item import OutboxFullError, UnknownMessageError
from .outbox.queue import Queue
from .smtp.faults import Kind, Problem
from .smtp_import import (
    BUILT_IN_SMTP,
    async_copy,
    describe_smtp,
    find_account,
    is_worth_moving,
    mailbox_of,
)

PATIENCE: Final = 10.0  # Seconds that a dialog waits for the fate of a message.

_NOTHING_TO_FILL_IN: Final = vol.Schema({})


class AccountRepair(RepairsFlow):
    """What the dialogs about an account share: the account, and the look whether it works."""

    def __init__(self, entry_id: str) -> None:
        """Name the account's entry."""
        self._entry_id = entry_id

    @property
    def _entry(self) -> OutlookSmtpConfigEntry:
        """Return the account's entry; the dialog ends if it is gone or not loaded."""
        entry = self.hass.config_entries.async_get_entry(self._entry_id)
        if entry is None:
            raise AbortFlow("account_gone")
        if entry.state is not ConfigEntryState.LOADED:
            raise AbortFlow("account_not_loaded", {"account": entry.title})
        return entry

    @property
    def _coordinator(self) -> HealthCoordinator:
        """Return what watches over the account."""
        return self._entry.runtime_data

    @property
    def _queue(self) -> Queue:
        """Return the account's outbox."""
        return self._coordinator.mailer.queue

    async def _async_try(self) -> None:
        """Sign in, and try what waits, whatever holds it."""
        coordinator = self._coordinator
        mailer = coordinator.mailer
        tried = asyncio.Event()

        @callback
        def async_on_contact(contact: Contact) -> None:
            """Note what stands in the way of a message."""
            if contact.fault and contact.fault.kind is not Kind.MESSAGE:
                tried.set()

        @callback
        def async_on_delivery(delivery: Delivery | None) -> None:
            """Note what became of a message."""
            if delivery:
                tried.set()

        ends = mailer.async_subscribe(async_on_contact), mailer.queue.subscribe(async_on_delivery)
        try:
            await mailer.courier.flush()
            await coordinator.async_refresh()
            # Where the account is let in, only a message shows whether it may send.
            if mailer.queue.items and coordinator.last_fault is None:
                with suppress(TimeoutError):
                    async with asyncio.timeout(PATIENCE):
                        await tried.wait()
        finally:
            for end in ends:
                end()


class HealthRepair(AccountRepair):
    """Tells what a person has to do about an account, then looks whether it was done."""

    async def async_step_init(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Tell what is wrong."""
        return self._show_check({})

    async def async_step_check(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Look whether mail works again."""
        await self._async_try()
        if self._coordinator.data.connected:
            return self.async_create_entry(data={})
        return self._show_check({"base": "still_there"})

    def _show_check(self, errors: dict[str, str]) -> RepairsFlowResult:
        """Show what is wrong, and what the last look has met."""
        texts = describe_health(self._entry)
        if errors and (fault := self._coordinator.last_fault):
            texts["answer"] = fault.reply or "-"
        return self.async_show_form(
            step_id="check",
            data_schema=_NOTHING_TO_FILL_IN,
            errors=errors,
            description_placeholders=texts,
        )


class PasswordRepair(HealthRepair):
    """Leads an account whose password is no longer taken to the sign-in."""

    async def async_step_init(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Ask whether to sign in with Microsoft, or to look again."""
        return self.async_show_menu(
            step_id="init",
            menu_options=["sign_in", "check"],
            description_placeholders=describe_health(self._entry),
        )

    async def async_step_sign_in(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Go on to the sign-in; the issue stays until mail works."""
        entry = self._entry
        flow = next(entry.async_get_active_flows(self.hass, {SOURCE_REAUTH}), None)
        if flow is None:
            told = {
                "problem": Problem.BASIC_AUTH_DISABLED,
                "reply": entry.runtime_data.data.reply or "-",
            }
            flow = await self.hass.config_entries.flow.async_init(
                DOMAIN,
                context={
                    "source": SOURCE_REAUTH,
                    "entry_id": entry.entry_id,
                    "title_placeholders": {"name": entry.title},
                    "unique_id": entry.unique_id,
                },
                data={**entry.data, **told},
            )
        return self.async_abort(
            reason="sign_in_started",
            description_placeholders=describe_account(entry),
            next_flow=(FlowType.CONFIG_FLOW, flow["flow_id"]),
        )


class OutboxRepair(AccountRepair):
    """Tells how much waits in a full outbox, and lets it be tried or be given more room."""

    async def async_step_init(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Ask what to do."""
        return self.async_show_menu(
            step_id="init",
            menu_options=["check", "options"],
            description_placeholders=describe_outbox(self._entry),
        )

    async def async_step_check(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Try what waits, and look whether there is room again."""
        await self._async_try()
        if not self._queue.is_full:
            return self.async_create_entry(data={})
        return self.async_show_form(
            step_id="check",
            data_schema=_NOTHING_TO_FILL_IN,
            errors={"base": "still_full"},
            description_placeholders=describe_outbox(self._entry),
        )

    async def async_step_options(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Go on to the account's options."""
        entry = self._entry
        flow = await self.hass.config_entries.options.async_init(entry.entry_id)
        return self.async_abort(
            reason="options_opened",
            description_placeholders=describe_account(entry),
            next_flow=(FlowType.OPTIONS_FLOW, flow["flow_id"]),
        )


class FailedRepair(AccountRepair):
    """Shows the messages that could not be sent, to send them again or to delete them."""

    def __init__(self, entry_id: str) -> None:
        """Start with nothing shown."""
        super().__init__(entry_id)
        self._shown: list[str] = []

    async def async_step_init(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Show the messages, and ask what to do with them."""
        failed = self._queue.failed
        if not failed:
            return self.async_create_entry(data={})
        if len(failed) > MOST_LISTED:
            return await self.async_step_many()
        return self._show("init")

    async def async_step_many(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Show the latest messages only, and how many more there are."""
        return self._show("many")

    def _show(self, step_id: str) -> RepairsFlowResult:
        """Show the menu, and remember for which messages the choice will be."""
        self._shown = [item.failure.spooled.id for item in self._queue.failed]
        return self.async_show_menu(
            step_id=step_id,
            menu_options=["send_again", "drop"],
            description_placeholders=describe_failed(self._entry),
        )

    async def async_step_send_again(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Put what was shown back into the outbox."""
        for message_id in self._shown:
            try:
                with suppress(UnknownMessageError):  # Meanwhile it was sent again or forgotten.
                    await self._queue.retry(message_id)
            except OutboxFullError:
                return self.async_abort(
                    reason="no_room", description_placeholders=describe_outbox(self._entry)
                )
            except OSError as error:
                reason = error.strerror or str(error)
                return self.async_abort(
                    reason="not_writable", description_placeholders={"reason": reason}
                )
        return await self.async_step_init()

    async def async_step_drop(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Delete what was shown, and nothing that has failed since."""
        failed = {item.failure.spooled.id for item in self._queue.failed}
        for message_id in failed.intersection(self._shown):
            with suppress(UnknownMessageError):
                await self._queue.cancel(message_id)
        return await self.async_step_init()


class SmtpRepair(AccountRepair):
    """Moves what a built-in entry for one of Microsoft's servers knows to an account of ours."""

    async def async_step_init(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Offer to copy, if there is an account for the mailbox, else to add one."""
        smtp = self._smtp
        step_id = "copy" if find_account(self.hass, mailbox_of(smtp)) else "add_account"
        return self.async_show_form(
            step_id=step_id,
            data_schema=_NOTHING_TO_FILL_IN,
            description_placeholders=describe_smtp(self.hass, smtp),
        )

    async def async_step_add_account(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Go on to the dialog that adds an account."""
        texts = describe_smtp(self.hass, self._smtp)
        flow = await self.hass.config_entries.flow.async_init(
            DOMAIN, context={"source": SOURCE_USER}
        )
        return self.async_abort(
            reason="account_needed",
            description_placeholders=texts,
            next_flow=(FlowType.CONFIG_FLOW, flow["flow_id"]),
        )

    async def async_step_copy(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Copy, and tell what to do with the old entry."""
        smtp = self._smtp
        texts = describe_smtp(self.hass, smtp)
        account = find_account(self.hass, mailbox_of(smtp))
        if account is None:
            return await self.async_step_init()
        if not await async_copy(self.hass, smtp, account):
            return self.async_abort(
                reason="account_not_loaded", description_placeholders={"account": account.title}
            )
        return self.async_create_entry(
            data={}, description="copied", description_placeholders=texts
        )

    @property
    def _smtp(self) -> ConfigEntry[Any]:
        """Return the built-in entry; the dialog ends if there is nothing to copy from it."""
        smtp = self.hass.config_entries.async_get_entry(self._entry_id)
        if smtp is None or not is_worth_moving(self.hass, smtp):
            raise AbortFlow("entry_gone")
        return smtp


_FLOWS: Final[dict[str, type[AccountRepair]]] = {
    BUILT_IN_SMTP: SmtpRepair,
    MESSAGES_FAILED: FailedRepair,
    OUTBOX_FULL: OutboxRepair,
    Problem.BASIC_AUTH_DISABLED: PasswordRepair,
    Problem.SECURITY_DEFAULTS: PasswordRepair,
}


async def async_create_fix_flow(
    hass: HomeAssistant, issue_id: str, data: dict[str, str | int | float | None] | None
) -> RepairsFlow:
    """Return the dialog that an issue calls for."""
    known = data or {}
    return _FLOWS.get(str(known.get("key")), HealthRepair)(str(known.get("entry_id")))
