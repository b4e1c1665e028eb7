"""Monitor the health of an account."""

from collections import deque
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
import logging
from typing import Final, override

from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntry
from homeassistant.const import CONF_EMAIL, CONF_PASSWORD
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.event import async_call_later, async_track_time_interval
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator
from homeassistant.util import dt as dt_util

from .auth.tokens import TokenManager
from .clock import ClockWatch
from .const import CONF_CHECK_INTERVAL, DEFAULT_CHECK_INTERVAL, DOMAIN
from .delivery.faults import Fault, Kind, Problem, Stage, SubmissionError
from .delivery.route import Route
from .health import Health, Suspicion, is_away
from .mailer import Mailer
from .outbox.events import Attempt
from .outbox.queue import Queue
from .outbox.schedule import EARLY_CHECK, is_soon_over
from .outbox.worker import DeliveryWorker
from .sent_log import SentLog

_LOGGER = logging.getLogger(__name__)

REPEAT_AFTER: Final = timedelta(minutes=1)
AWAY_INTERVAL: Final = timedelta(seconds=45)  # While no server responds: it may be back soon.
RECOVERY_INTERVAL: Final = timedelta(minutes=5)  # While it responds, but has no time.
LONGEST_OFF: Final = timedelta(minutes=30)  # Between two checks while mail does not work.
MAX_ATTEMPTS: Final = 50
CLOCK_PROBLEMS: Final = (Problem.CERTIFICATE_EXPIRED, Problem.CLOCK_WRONG)

type OutlookSmtpConfigEntry = ConfigEntry[OutlookSmtpData]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlookSmtpData:
    """The parts of a loaded account."""

    route: Route
    queue: Queue
    worker: DeliveryWorker
    mailer: Mailer
    coordinator: HealthCoordinator
    sent: SentLog
    tokens: TokenManager | None


class HealthCoordinator(DataUpdateCoordinator[Health]):
    """Tracks the health of one account from all submissions, and from checks in between.

    A temporary fault only counts if it is still there a minute later; until then, the account is in
    doubt. A fault that may end at any moment is checked again within seconds, and immediately when
    the clock is set.
    """

    config_entry: OutlookSmtpConfigEntry

    def __init__(
        self,
        hass: HomeAssistant,
        entry: OutlookSmtpConfigEntry,
        queue: Queue,
        worker: DeliveryWorker,
    ) -> None:
        """Follow the attempts of an account's delivery worker."""
        self.interval = timedelta(
            minutes=entry.options.get(CONF_CHECK_INTERVAL, DEFAULT_CHECK_INTERVAL)
        )
        super().__init__(
            hass, _LOGGER, config_entry=entry, name=DOMAIN, update_interval=self.interval
        )
        self.data = Health()
        self._address: str = entry.data[CONF_EMAIL]
        self._queue = queue
        self._worker = worker
        self._cancel_repeat: CALLBACK_TYPE | None = None
        self.last_fault: Fault | None = None  # Of the last check.
        self.last_timings: dict[Stage, float] | None = None  # Of the last check that succeeded.
        self.attempts: deque[tuple[datetime, Attempt]] = deque(maxlen=MAX_ATTEMPTS)
        self._suspicion: Suspicion | None = None
        self._clock = ClockWatch(hass, self.async_refresh)
        self._is_asked = False
        entry.async_on_unload(worker.subscribe(self._async_on_attempt))
        entry.async_on_unload(self._async_forget_suspicion)
        entry.async_on_unload(self._clock.stop)
        entry.async_on_unload(
            async_track_time_interval(
                hass, self._async_check_held, LONGEST_OFF, cancel_on_shutdown=True
            )
        )

    @callback
    def async_set_interval(self) -> None:
        """Follow a change of the check interval."""
        minutes = self.config_entry.options.get(CONF_CHECK_INTERVAL, DEFAULT_CHECK_INTERVAL)
        before, self.interval = self.interval, timedelta(minutes=minutes)
        if before != self.interval:
            works = self.data.connected is not False
            self.update_interval = self.interval if works else min(self.interval, LONGEST_OFF)
            self.async_set_updated_data(self.data)  # Schedules the next check.

    async def async_check_now(self) -> None:
        """Check at a user's request, even if the sign-in was refused before."""
        self._is_asked = True
        try:
            await self.async_refresh()
        finally:
            self._is_asked = False

    @override
    async def _async_update_data(self) -> Health:
        """Check the account, unless it would only be refused again."""
        started = self.hass.loop.time()
        fault: Fault | None = None
        try:
            timings = await self._worker.check(unless_refused=not self._is_asked)
            if timings is None:
                return self.data
            self.last_timings = timings
        except SubmissionError as error:
            fault = error.fault
        except Exception:
            _LOGGER.exception("Unexpected error while checking an account")
            fault = Fault(Kind.TRANSIENT, Problem.UNFORESEEN)
        self.last_fault = fault
        if self._shutdown_requested:  # The account was unloaded meanwhile.
            return self.data
        return self._health_after(Attempt(fault, self.hass.loop.time() - started))

    async def _async_check_held(self, _: datetime) -> None:
        """Check whether a hold is over, even if polling is disabled."""
        if self.config_entry.pref_disable_polling and self._worker.hold:
            await self.async_refresh()

    @callback
    def _async_on_attempt(self, attempt: Attempt) -> None:
        """Update the health after a submission, which restarts the check interval."""
        self.async_set_updated_data(self._health_after(attempt))

    @callback
    def async_begin(self) -> None:
        """Start with the hold from before a restart, if any."""
        if hold := self._worker.hold:
            attempt = Attempt(hold.fault, 0.0, submitting=hold.submitting)
            health = self._unhealthy(hold.fault, attempt)
            self.async_set_updated_data(replace(health, latency=None))

    def _health_after(self, attempt: Attempt) -> Health:
        """Record an attempt, and return the health after it."""
        self.attempts.append((dt_util.utcnow(), attempt))
        hold = self._worker.hold
        if attempt.fault is None and hold and not self.data.submitting:
            # Signed in again, but still not allowed to send.
            attempt = Attempt(hold.fault, attempt.latency, submitting=True)
        fault = attempt.fault
        self._watch_clock(fault)
        kind = fault.kind if fault else None
        accepted = attempt.submitting and fault is None
        if self._proves_nothing(attempt):
            return self.data
        if fault is None or kind is Kind.MESSAGE:
            if accepted or not self._suspects_mail:
                return self._healthy(attempt)
            return self.data
        if kind is Kind.TRANSIENT and self.data.connected is not False and not _is_long(fault):
            now = self.hass.loop.time()
            if self._suspicion is None:
                self._suspicion = Suspicion(now, attempt.submitting)
            left = self._suspicion.since + REPEAT_AFTER.total_seconds() - now
            if left > 0:
                self._schedule_recheck(fault, left)
                return replace(self.data, doubt=fault)
        return self._unhealthy(fault, attempt)

    def _proves_nothing(self, attempt: Attempt) -> bool:
        """Return whether an attempt says nothing new about the account.

        A connection problem says nothing about whether a refused sign-in would work now.
        """
        kind = attempt.fault.kind if attempt.fault else None
        if self._worker.refusal and not attempt.submitting:
            return kind in (Kind.SETUP, Kind.TRANSIENT)
        accepted = attempt.submitting and kind is None
        passing = kind in (None, Kind.MESSAGE, Kind.TRANSIENT)
        return self._waits_for_mail and not accepted and passing

    @property
    def _waits_for_mail(self) -> bool:
        """Return whether only an accepted message proves that sending works again."""
        return self.data.submitting and self._is_mail_tried

    @property
    def _suspects_mail(self) -> bool:
        """Return whether there is a suspicion that a check cannot clear."""
        return bool(self._suspicion and self._suspicion.submitting and self._is_mail_tried)

    @property
    def _is_mail_tried(self) -> bool:
        """Return whether a waiting message will tell more than a check when it is retried."""
        return bool(self._queue.waiting or self._worker.hold)

    def _healthy(self, attempt: Attempt) -> Health:
        """Return the health of an account that works."""
        self._async_forget_suspicion()
        self.update_interval = self.interval
        now = dt_util.utcnow()
        if self.data.connected is False:
            _LOGGER.info("%s can send mail again", self._address)
            for flow in self.config_entry.async_get_active_flows(self.hass, {SOURCE_REAUTH}):
                self.hass.config_entries.flow.async_abort(flow["flow_id"])
        return Health(
            connected=True,
            since=self.data.since if self.data.connected else now,
            last_success=now,
            latency=attempt.latency,
        )

    def _unhealthy(self, fault: Fault, attempt: Attempt) -> Health:
        """Return the health of an account that cannot send."""
        self._async_forget_suspicion()
        self.update_interval = min(self.interval, _interval_after(fault))
        passwords_refused = (
            fault.problem is Problem.BASIC_AUTH_DISABLED and CONF_PASSWORD in self.config_entry.data
        )
        if fault.kind is Kind.CREDENTIALS or passwords_refused:
            # The dialog may open before the coordinator has this health.
            told = {"problem": fault.problem, "reply": fault.reply}
            self.config_entry.async_start_reauth(self.hass, data=told)
        if self.data.connected is not False:
            _LOGGER.info(
                "%s cannot send mail: %s (%s)",
                self._address,
                fault.problem,
                fault.reply or fault.detail,
            )
        return replace(
            self.data,
            connected=False,
            kind=fault.kind,
            problem=fault.problem,
            reply=fault.reply or None,
            detail=fault.detail,
            since=self.data.since if self.data.connected is False else dt_util.utcnow(),
            latency=attempt.latency,
            submitting=attempt.submitting,
            doubt=None,
        )

    def _watch_clock(self, fault: Fault | None) -> None:
        """Check immediately when the clock is set, if that may fix the problem."""
        if fault and fault.problem in CLOCK_PROBLEMS:
            self._clock.start()
        else:
            self._clock.stop()

    def _schedule_recheck(self, fault: Fault, left: float) -> None:
        """Schedule another check of a temporary fault: when it would count, or within seconds."""
        if soon := is_soon_over(fault):
            self._cancel_recheck()
        if self._cancel_repeat is None:
            delay = min(left, EARLY_CHECK) if soon else left
            self._cancel_repeat = async_call_later(self.hass, delay, self._async_repeat)

    async def _async_repeat(self, _: datetime) -> None:
        """Check once more."""
        self._cancel_repeat = None
        await self.async_refresh()

    @callback
    def _async_forget_suspicion(self) -> None:
        """Drop the suspicion, and cancel the scheduled second check."""
        self._suspicion = None
        self._cancel_recheck()

    def _cancel_recheck(self) -> None:
        """Cancel the scheduled check."""
        if self._cancel_repeat:
            self._cancel_repeat()
            self._cancel_repeat = None


def _interval_after(fault: Fault) -> timedelta:
    """Return how long to wait before the next check after a fault."""
    if is_away(fault):
        return AWAY_INTERVAL
    return RECOVERY_INTERVAL if fault.kind is Kind.TRANSIENT else LONGEST_OFF


def _is_long(fault: Fault) -> bool:
    """Return whether the server asked to wait for so long that nothing will confirm the fault."""
    return (fault.retry_after or 0.0) > REPEAT_AFTER.total_seconds()
