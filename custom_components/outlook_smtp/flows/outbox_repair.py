"""The dialogs about an outbox: full, with failed messages, or with unreadable files."""

from contextlib import suppress

from homeassistant.components.repairs import FlowType, RepairsFlowResult

from ..foreign_text import shown
from ..issue_texts import (
    MOST_LISTED,
    describe_account,
    describe_discarded,
    describe_failed,
    describe_flood,
    describe_outbox,
    describe_quarantined,
)
from ..outbox.queued import OutboxFullError, UnknownMessageError
from .account_repair import AccountRepair


class OutboxRepair(AccountRepair):
    """Shows how much waits in a full outbox, and offers to retry or to raise the limits."""

    async def async_step_init(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Ask what to do."""
        return self.async_show_menu(
            step_id="init",
            menu_options=["check", "options"],
            description_placeholders=shown(describe_outbox(self._entry)),
        )

    async def async_step_check(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Try to send all waiting messages, and check whether there is room again."""
        await self._async_try()
        if not self._queue.is_full:
            return self.async_create_entry(data={})
        return self._show_form("check", describe_outbox(self._entry), {"base": "still_full"})

    async def async_step_options(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Continue with the account's options."""
        entry = self._entry
        flow = await self.hass.config_entries.options.async_init(entry.entry_id)
        return self.async_abort(
            reason="options_opened",
            description_placeholders=shown(describe_account(entry)),
            next_flow=(FlowType.OPTIONS_FLOW, flow["flow_id"]),
        )


class FailedRepair(AccountRepair):
    """Shows the failed messages, to send them again or to delete them."""

    def __init__(self, entry_id: str) -> None:
        """Start with no messages shown."""
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
        """Show only the latest messages, and the number of others."""
        return self._show("many")

    def _show(self, step_id: str) -> RepairsFlowResult:
        """Show the menu, and remember the messages that the choice applies to."""
        self._shown = [item.failure.spooled.id for item in self._queue.failed]
        return self.async_show_menu(
            step_id=step_id,
            menu_options=["send_again", "drop"],
            description_placeholders=shown(describe_failed(self._entry)),
        )

    async def async_step_send_again(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Queue the shown messages again."""
        for message_id in self._shown:
            try:
                with suppress(UnknownMessageError):  # Sent again or deleted in the meantime.
                    await self._queue.retry(message_id)
            except OutboxFullError:
                return self.async_abort(
                    reason="no_room", description_placeholders=shown(describe_outbox(self._entry))
                )
            except OSError as error:
                reason = error.strerror or str(error)
                return self.async_abort(
                    reason="not_writable", description_placeholders=shown({"reason": reason})
                )
        return await self.async_step_init()

    async def async_step_drop(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Delete the shown messages, and none that have failed since."""
        failed = {item.failure.spooled.id for item in self._queue.failed}
        for message_id in failed.intersection(self._shown):
            with suppress(UnknownMessageError):
                await self._queue.cancel(message_id)
        return await self.async_step_init()


class DiscardedRepair(AccountRepair):
    """Shows which failed messages were deleted early, until a person has confirmed."""

    async def async_step_init(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Show the messages, and why there was no room for them."""
        return self._show_form("confirm", describe_discarded(self._entry))

    async def async_step_confirm(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Clear the list."""
        self._queue.discarded.clear()
        return self.async_create_entry(data={})


class QuarantineRepair(AccountRepair):
    """Shows which files of the outbox were quarantined, until a person has confirmed."""

    async def async_step_init(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Show the files and their location."""
        return self._show_form("confirm", describe_quarantined(self._entry))

    async def async_step_confirm(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Clear the list; the files stay where they are."""
        self._queue.quarantined.clear()
        return self.async_create_entry(data={})


class FloodRepair(AccountRepair):
    """Shows who sent too many emails, and lets emails through again when a person has confirmed."""

    async def async_step_init(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Show which automations sent them, as far as that is known."""
        if self._queue.brake.flood is None:
            return self.async_create_entry(data={})
        return self._show_form("confirm", describe_flood(self._entry))

    async def async_step_confirm(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Release the brake."""
        self._queue.brake.reset()
        return self.async_create_entry(data={})
