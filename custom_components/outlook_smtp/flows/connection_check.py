"""Checks an account in the background of a dialog, which shows the current stage."""

import asyncio
from collections.abc import Mapping
import logging
from typing import Any, Final

from homeassistant.const import CONF_TOKEN
from homeassistant.core import HomeAssistant, callback

from ..auth.clouds import Resource
from ..auth.tokens import Token
from ..const import CONF_ROUTE
from ..delivery.faults import Fault, Kind, Problem, Stage, SubmissionError
from ..delivery.route import Route
from ..routes import async_build_route
from ..token_store import async_build_tokens

_LOGGER = logging.getLogger(__name__)

# The frontend reloads the step after each update. An update before it listens is lost and leaves
# the spinner running; one before its last request has arrived causes a second request, for a dialog
# that is over.
PROGRESS_INTERVAL: Final = 1.0  # Seconds.


class ConnectionCheck:
    """A check in progress; once it is `done`, `fault` is its fault or None."""

    def __init__(
        self, hass: HomeAssistant, data: dict[str, Any], options: Mapping[str, Any]
    ) -> None:
        """Start to check the account that a config entry's data and options describe.

        A token renewed for the check replaces the old one in the data.
        """
        self.stage = Stage.RESOLVE
        self.fault: Fault | None = None
        self.done = False
        self._hass = hass
        self._data = data
        self._progress = asyncio.Event()
        self._progress_task: asyncio.Task[None] | None = None
        self._check_task = hass.async_create_task(self._async_run(options))

    @callback
    def async_progress(self) -> asyncio.Task[None]:
        """Return a task that ends at the next stage or when the check is done."""
        if self._progress_task is None or self._progress_task.done():
            self._progress_task = self._hass.async_create_task(self._async_wait())
        return self._progress_task

    @callback
    def async_cancel(self) -> None:
        """Cancel the check because its dialog is closed."""
        self._check_task.cancel()

    async def _async_wait(self) -> None:
        """Wait for progress; report the last stage before the end."""
        await asyncio.sleep(PROGRESS_INTERVAL)
        await self._progress.wait()
        self._progress.clear()
        self.done = self._check_task.done()

    async def _async_run(self, options: Mapping[str, Any]) -> None:
        """Run the check, and diagnose its fault."""
        try:
            tokens = await async_build_tokens(self._hass, self._data, self._async_keep)
            if tokens:
                tokens.ask_again(Resource(self._data.get(CONF_ROUTE, Resource.SMTP)))
            route = await async_build_route(self._hass, self._data, options, tokens)
            try:
                await self._async_use(route)
            except SubmissionError as error:
                self.fault = await route.diagnose(error.fault)
        except Exception:
            _LOGGER.exception("Unexpected error while checking an account")
            self.fault = Fault(Kind.SETUP, Problem.UNFORESEEN)
        finally:
            self._progress.set()

    async def _async_use(self, route: Route) -> None:
        """Check the route."""
        await route.check(self._async_enter)

    async def _async_keep(self, token: Token) -> None:
        """Store a renewed token with the other unsaved data."""
        self._data[CONF_TOKEN] = token.as_dict()

    @callback
    def _async_enter(self, stage: Stage) -> None:
        """Store the stage and wake the dialog."""
        self.stage = stage
        self._progress.set()
