"""Whether an outbox can be written: what cannot be settled on disk is not sent."""

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

TRUST: Final = 5.0  # Seconds for which a disk that was written is taken to be one that can be.
PROBE_FILE: Final = "probe"
CHECK_AGAIN: Final = 15.0  # Seconds between two looks at a disk that cannot be written.

# A full disk lets files be deleted, and a folder that is away may come back.
_LETS_DELETE: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.ENOENT)


class DiskWatch:
    """Tries whether the disk can be written, and makes up for what it did not do.

    A message whose file cannot be deleted would be sent again after each start.
    """

    def __init__(self, spool: Spool) -> None:
        """Watch over the folder of a spool, which has not been tried yet."""
        self.error: OSError | None = None
        self._spool = spool
        self._behind: deque[Callable[[], object]] = deque()
        self._written_at = -inf

    def note_written(self) -> None:
        """Note that the disk was written just now."""
        self._written_at = time.monotonic()

    def fall_behind(self, work: Callable[[], object]) -> None:
        """Note what the disk did not do, for when it can be written again."""
        self._written_at = -inf
        self._behind.append(work)

    async def check(self) -> bool:
        """Return whether the disk can be written, by trying it unless that was done just now."""
        trusted_until = self._written_at + TRUST
        if self.error is None and not self._behind and time.monotonic() < trusted_until:
            return True
        try:
            await asyncio.to_thread(self._try)
        except OSError as error:
            if self.error is None:
                reason = error.strerror or error
                _LOGGER.error("Nothing is sent: %s cannot be written: %s", self.folder, reason)
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
        """Write a file and delete it: a full disk refuses the first and allows the second."""
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
        """Write a file, then make up for what could not be done, in the order of then."""
        self._probe()
        while self._behind:
            try:
                self._behind[0]()
            except DamagedError, FileNotFoundError:
                if not (self._spool.folder / WAITING).is_dir():
                    return  # It may come back; else there is nothing left to be done.
            self._behind.popleft()
