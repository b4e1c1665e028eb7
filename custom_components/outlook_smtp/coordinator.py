"""Watches over the health of an account."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
import logging
from typing import Final, override

from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntry
from homeassistant.const import CONF_PASSWORD
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.event import async_call_later
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator
from homeassistant.util import dt as dt_util

from .const import CONF_CHECK_INTERVAL, DEFAULT_CHECK_INTERVAL, DOMAIN
from .mailer import Contact, Mailer
from .smtp.faults import Fault, Kind, Problem, SubmissionError

_LOGGER = logging.getLogger(__name__)

REPEAT_AFTER: Final = timedelta(minutes=1)
RECOVERY_INTERVAL: Final = timedelta(minutes=5)
HOLD: Final = timedelta(days=1)  # Microsoft's quotas are of a day.

type OutlookSmtpConfigEntry = ConfigEntry[HealthCoordinator]


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Whether an account can send.

    `connected` is None before the first answer; `since` is when it last changed; `latency` is
    how long the last contact took, in seconds. `held` says that the account may sign in but not
    send, so that a check, which only signs in, proves nothing.
    """

    connected: bool | None = None
    problem: Problem | None = None
    reply: str | None = None
    since: datetime | None = None
    last_success: datetime | None = None
    latency: float | None = None
    held: bool = False


class HealthCoordinator(DataUpdateCoordinator[Health]):
    """Holds the health of one account: fed by every submission, and by checks when it is quiet.

    A passing fault does not turn the health off: it has to repeat, a minute later.
    """

    config_entry: OutlookSmtpConfigEntry

    def __init__(self, hass: HomeAssistant, entry: OutlookSmtpConfigEntry, mailer: Mailer) -> None:
        """Listen to the mailer's contacts."""
        self.interval = timedelta(
            minutes=entry.options.get(CONF_CHECK_INTERVAL, DEFAULT_CHECK_INTERVAL)
        )
        super().__init__(
            hass, _LOGGER, config_entry=entry, name=DOMAIN, update_interval=self.interval
        )
        self.data = Health()
        self.mailer = mailer
        self._cancel_repeat: CALLBACK_TYPE | None = None
        self._repeating = False
        entry.async_on_unload(mailer.async_subscribe(self._async_on_contact))
        entry.async_on_unload(self._async_forget_suspicion)

    @override
    async def _async_update_data(self) -> Health:
        """Check the account."""
        started = self.hass.loop.time()
        try:
            await self.mailer.check()
        except SubmissionError as error:
            return self._health_after(Contact(error.fault, self.hass.loop.time() - started))
        return self._health_after(Contact(None, self.hass.loop.time() - started))

    @callback
    def _async_on_contact(self, contact: Contact) -> None:
        """Learn from a submission, which puts off the next check by an interval."""
        self.async_set_updated_data(self._health_after(contact))

    def _health_after(self, contact: Contact) -> Health:
        """Return the health that a contact leaves behind."""
        fault = contact.fault
        kind = fault.kind if fault else None
        accepted = contact.submitting and fault is None
        if self._is_held and not accepted and kind in (None, Kind.MESSAGE, Kind.TRANSIENT):
            return self.data
        if fault is None or kind is Kind.MESSAGE:
            return self._healthy(contact)
        passing = fault.kind is Kind.TRANSIENT and not self._repeating
        if passing and self.data.connected is not False:
            self._suspect()
            return self.data
        return self._unhealthy(fault, contact)

    @property
    def _is_held(self) -> bool:
        """Return whether only a mail that is accepted proves, for a day, that mail works again."""
        since = self.data.since
        return self.data.held and since is not None and dt_util.utcnow() < since + HOLD

    def _healthy(self, contact: Contact) -> Health:
        """Return the health of an account that was let in."""
        self._async_forget_suspicion()
        self.update_interval = self.interval
        now = dt_util.utcnow()
        if self.data.connected is False:
            _LOGGER.info("%s can send mail again", self.mailer.account.address)
            for flow in self.config_entry.async_get_active_flows(self.hass, {SOURCE_REAUTH}):
                self.hass.config_entries.flow.async_abort(flow["flow_id"])
        return Health(
            connected=True,
            since=self.data.since if self.data.connected else now,
            last_success=now,
            latency=contact.latency,
        )

    def _unhealthy(self, fault: Fault, contact: Contact) -> Health:
        """Return the health of an account that cannot send."""
        self._async_forget_suspicion()
        if fault.kind is Kind.TRANSIENT:
            self.update_interval = min(self.interval, RECOVERY_INTERVAL)
        passwords_refused = (
            fault.problem is Problem.BASIC_AUTH_DISABLED and CONF_PASSWORD in self.config_entry.data
        )
        if fault.kind is Kind.CREDENTIALS or passwords_refused:
            # The dialog may open before this health is the coordinator's.
            told = {"problem": fault.problem, "reply": fault.reply}
            self.config_entry.async_start_reauth(self.hass, data=told)
        if self.data.connected is not False:
            _LOGGER.warning(
                "%s cannot send mail: %s (%s)",
                self.mailer.account.address,
                fault.problem,
                fault.reply,
            )
        return replace(
            self.data,
            connected=False,
            problem=fault.problem,
            reply=fault.reply or None,
            since=self.data.since if self.data.connected is False else dt_util.utcnow(),
            latency=contact.latency,
            held=contact.submitting and fault.kind in (Kind.ACCOUNT, Kind.QUOTA),
        )

    def _suspect(self) -> None:
        """Look again in a minute, unless that is planned already."""
        if self._cancel_repeat is None:
            self._cancel_repeat = async_call_later(self.hass, REPEAT_AFTER, self._async_repeat)

    async def _async_repeat(self, _: datetime) -> None:
        """Check once more; this time a passing fault counts."""
        self._cancel_repeat = None
        self._repeating = True
        try:
            await self.async_refresh()
        finally:
            self._repeating = False

    @callback
    def _async_forget_suspicion(self) -> None:
        """Drop the planned second look."""
        if self._cancel_repeat:
            self._cancel_repeat()
            self._cancel_repeat = None
