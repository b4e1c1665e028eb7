"""What the dialogs under Repairs share: the account, and the look whether it works."""

import asyncio
from contextlib import suppress
from typing import Final

from homeassistant.components.repairs import RepairsFlow, RepairsFlowResult
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import callback
from homeassistant.data_entry_flow import AbortFlow
import voluptuous as vol

from .coordinator import HealthCoordinator, OutlookSmtpConfigEntry
from .outbox.courier import Contact
from .outbox.delivery import Delivery
from .outbox.queue import Queue
from .smtp.faults import Kind

PATIENCE: Final = 10.0  # Seconds that a dialog waits for the fate of a message.


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
            await coordinator.async_check_now()
            # Where the account is let in, only a message shows whether it may send.
            if mailer.queue.items and coordinator.last_fault is None:
                await mailer.courier.flush()
                with suppress(TimeoutError):
                    async with asyncio.timeout(PATIENCE):
                        await tried.wait()
        finally:
            for end in ends:
                end()

    def _show_form(
        self, step_id: str, texts: dict[str, str], errors: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Show a form with nothing to fill in."""
        return self.async_show_form(
            step_id=step_id,
            data_schema=vol.Schema({}),
            errors=errors,
            description_placeholders=texts,
        )
