"""The grace period for a submission in progress when the delivery worker stops."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

STOP_GRACE: Final = 5.0  # Seconds for a submission in progress when the delivery worker stops.


class CutOffError(Exception):
    """The delivery worker stops, and the server has not replied within the grace period."""


class Grace:
    """Lets operations continue until the stop, and for a grace period after it."""

    def __init__(self) -> None:
        """Start without a stop."""
        self.is_over = False
        self._limits: set[asyncio.Timeout] = set()

    def begin(self) -> None:
        """Allow operations."""
        self.is_over = False

    def end(self) -> None:
        """Start the grace period of the current operations, and allow no new one."""
        end = asyncio.get_running_loop().time() + STOP_GRACE
        for limit in () if self.is_over else self._limits:
            limit.reschedule(end)
        self.is_over = True

    @asynccontextmanager
    async def until_cut_off(self) -> AsyncIterator[None]:
        """Run an operation that may be cut off after the stop.

        Raises:
            CutOffError: If it was cut off, or could not start.

        """
        if self.is_over:
            raise CutOffError
        limit = asyncio.timeout(None)
        try:
            async with limit:
                self._limits.add(limit)
                yield
        except TimeoutError as error:
            if limit.expired():
                raise CutOffError from error
            raise
        finally:
            self._limits.discard(limit)
