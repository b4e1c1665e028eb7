"""The moment of grace for what is under way when all has to end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

STOP_GRACE: Final = 5.0  # Seconds for a submission that is under way when all has to end.


class CutOffError(Exception):
    """All has to end, and the server has not answered within the moment of grace."""


class Grace:
    """Lets one thing at a time go on until all has to end, and for a moment more."""

    def __init__(self) -> None:
        """Begin while nothing has to end."""
        self.is_over = False
        self._limit: asyncio.Timeout | None = None

    def begin(self) -> None:
        """Let things go on."""
        self.is_over = False

    def end(self) -> None:
        """Let what is under way have its moment, and nothing else begin."""
        if self._limit and not self.is_over:
            self._limit.reschedule(asyncio.get_running_loop().time() + STOP_GRACE)
        self.is_over = True

    @asynccontextmanager
    async def until_cut_off(self) -> AsyncIterator[None]:
        """Do what may be broken off when all has to end.

        Raises:
            CutOffError: If it was broken off, or not even begun.

        """
        if self.is_over:
            raise CutOffError
        try:
            async with asyncio.timeout(None) as limit:
                self._limit = limit
                yield
        except TimeoutError as error:
            if limit.expired():
                raise CutOffError from error
            raise
        finally:
            self._limit = None
