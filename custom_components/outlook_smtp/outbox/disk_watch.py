"""Watch whether the outbox is writable: nothing is sent if the result cannot be saved."""

import asyncio
from collections import deque
from collections.abc import Callable
import errno
import logging
from math import inf
import time
from typing import Final

from .disk import check_links, new_file, unlink
from .entry import DamagedError
from .spool import WAITING, Spool

_LOGGER = logging.getLogger(__name__)

TRUST: Final = 5.0  # Seconds for which a disk counts as writable after a successful write.
PROBE_FILE: Final = "probe"
CHECK_AGAIN: Final = 15.0  # Seconds between two checks of an unwritable disk.

# A full disk still allows deleting files, and a missing folder may come back.
_LETS_DELETE: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.ENOENT)


class DiskWatch:
    """Checks whether the disk is writable, and repeats changes that failed.

    A message whose file cannot be deleted would be sent again after each start.
    """

    def __init__(self, spool: Spool) -> None:
        """Watch the folder of a spool, which has not been checked yet."""
        self.error: OSError | None = None
        self._spool = spool
        self._behind: deque[Callable[[], object]] = deque()
        self._written_at = -inf

    def note_written(self) -> None:
        """Record a successful write."""
        self._written_at = time.monotonic()

    def fall_behind(self, work: Callable[[], object]) -> None:
        """Record a failed change, to repeat it when the disk is writable again."""
        self._written_at = -inf
        self._behind.append(work)

    async def check(self) -> bool:
        """Return whether the disk is writable; try it unless it was written just now."""
        trusted_until = self._written_at + TRUST
        if self.error is None and not self._behind and time.monotonic() < trusted_until:
            return True
        try:
            await asyncio.to_thread(self._try)
        except OSError as error:
            if self.error is None:
                reason = error.strerror or error
                _LOGGER.error("Sending is paused: %s cannot be written: %s", self.folder, reason)
            self.error = error
            return False
        if self.error:
            _LOGGER.info("%s can be written again", self.folder)
        self.error = None
        self.note_written()
        return True

    @property
    def folder(self) -> str:
        """Return the folder of the outbox."""
        return str(self._spool.folder)

    def _probe(self) -> None:
        """Write a file and delete it; a full disk counts as writable: it lets files be deleted."""
        check_links(self._spool.folders)
        path = self._spool.folder / PROBE_FILE
        try:
            with new_file(path) as file:
                file.write(b"\n")
            unlink(path)
        except OSError as error:
            if error.errno not in _LETS_DELETE:
                raise

    def _try(self) -> None:
        """Write a file, then repeat the failed changes in their original order."""
        self._probe()
        while self._behind:
            try:
                self._behind[0]()
            except DamagedError, FileNotFoundError:
                if not (self._spool.folder / WAITING).is_dir():
                    return  # The folder may come back; otherwise there is nothing left to do.
            self._behind.popleft()
