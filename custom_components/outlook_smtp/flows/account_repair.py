"""Shared parts of an account's repair dialogs: the account and the connection check."""

import asyncio
from contextlib import suppress
from typing import Any, Final

from homeassistant.components.repairs import FlowType, RepairsFlow, RepairsFlowResult
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import callback
from homeassistant.data_entry_flow import AbortFlow
import voluptuous as vol

from ..const import DOMAIN
from ..coordinator import HealthCoordinator, OutlookSmtpConfigEntry
from ..delivery.faults import Kind
from ..foreign_text import plain, shown
from ..issue_texts import describe_account
from ..outbox.events import Attempt, Delivery
from ..outbox.queue import Queue

PATIENCE: Final = 10.0  # Seconds that a dialog waits for the result of a message.


class AccountRepair(RepairsFlow):
    """Shared parts of an account's repair dialogs: the account and the connection check."""

    def __init__(self, entry_id: str) -> None:
        """Store the entry ID of the account."""
        self._entry_id = entry_id

    @property
    def _entry(self) -> OutlookSmtpConfigEntry:
        """Return the account's entry; abort if it is gone or not loaded."""
        entry = self.hass.config_entries.async_get_entry(self._entry_id)
        if entry is None:
            raise AbortFlow("account_gone")
        if entry.state is not ConfigEntryState.LOADED:
            raise AbortFlow("account_not_loaded", shown({"account": entry.title}))
        return entry

    @property
    def _coordinator(self) -> HealthCoordinator:
        """Return the account's coordinator."""
        return self._entry.runtime_data.coordinator

    @property
    def _queue(self) -> Queue:
        """Return the account's outbox."""
        return self._entry.runtime_data.queue

    async def _async_try(self) -> None:
        """Check the connection, and try to send all waiting messages, including those on hold."""
        data = self._entry.runtime_data
        tried = asyncio.Event()

        @callback
        def async_on_attempt(attempt: Attempt) -> None:
            """Note a fault that keeps a message from being sent."""
            if attempt.fault and attempt.fault.kind is not Kind.MESSAGE:
                tried.set()

        @callback
        def async_on_delivery(delivery: Delivery | None) -> None:
            """Store the outcome of a message."""
            if delivery:
                tried.set()

        ends = data.worker.subscribe(async_on_attempt), data.queue.subscribe(async_on_delivery)
        try:
            await data.coordinator.async_check_now()
            # If the account could be authenticated, only a message shows whether it may send.
            if data.queue.waiting and data.coordinator.last_fault is None:
                await data.worker.flush()
                with suppress(TimeoutError):
                    async with asyncio.timeout(PATIENCE):
                        await tried.wait()
        finally:
            for end in ends:
                end()

    async def _async_start_dialog(
        self, source: str, data: dict[str, Any] | None = None
    ) -> RepairsFlowResult:
        """Continue with a dialog of the account; the issue stays until that has helped."""
        entry = self._entry
        flow = next(entry.async_get_active_flows(self.hass, {source}), None)
        if flow is None:
            flow = await self.hass.config_entries.flow.async_init(
                DOMAIN,
                context={
                    "source": source,
                    "entry_id": entry.entry_id,
                    "title_placeholders": {"name": plain(entry.title)},
                    "unique_id": entry.unique_id,
                },
                data=data,
            )
        return self.async_abort(
            reason="sign_in_started",
            description_placeholders=shown(describe_account(entry)),
            next_flow=(FlowType.CONFIG_FLOW, flow["flow_id"]),
        )

    def _show_form(
        self, step_id: str, texts: dict[str, str], errors: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Show a form without fields."""
        return self.async_show_form(
            step_id=step_id,
            data_schema=vol.Schema({}),
            errors=errors,
            description_placeholders=shown(texts, in_errors={"answer"}),
        )
