"""The messages of one account on disk, one immutable file each; nothing here uses the network.

A file is written under a temporary name, synced and renamed, so that an interruption leaves a
complete message or none. All methods block, and raise `OSError` if the disk fails.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
import errno
from io import BytesIO
from itertools import count
import logging
import os
from pathlib import Path
import re
from secrets import token_hex
import shutil
from typing import Any, BinaryIO, Final

from ..delivery.envelope import Envelope
from .disk import (
    FOREIGN,
    make_folders,
    new_file,
    open_file,
    read_json,
    read_start,
    remove,
    sync,
    unlink,
    write_json,
)
from .entry import (
    MAX_HEAD,
    USUAL_HEAD,
    DamagedError,
    SpoolEntry,
    read_content,
    read_head,
    write_message,
)
from .spooled import Contents, Failure, Spooled

_LOGGER = logging.getLogger(__name__)

WAITING: Final = "waiting"
FAILED: Final = "failed"
QUARANTINE: Final = "set_aside"
HOLD_FILE: Final = "hold.json"

HEAD_LINES: Final = 2

_NAME: Final = re.compile(r"(\d{10,})-(\d{10,11})-([0-9a-f]{12})\.msg")
_END_OF_TIME: Final = 10**11  # Seconds since the epoch; a file name has no more digits for them.
_REASON: Final = re.compile(rf"{_NAME.pattern}\.json")
_LEFTOVER: Final = re.compile(rf"\.{_NAME.pattern}(\.json)?\.part")
# Errors for a file that is not ours; other errors may be temporary.
_FOREIGN: Final = (errno.EACCES, errno.EPERM, *FOREIGN)


class Spool:
    """The outbox folder of one account."""

    def __init__(self, folder: Path) -> None:
        """Keep the path of the folder; `open` creates it."""
        self.folder = folder
        self.folders = [folder, *map(folder.joinpath, (WAITING, FAILED, QUARANTINE))]
        self._sequence = count(1)

    def open(self) -> Contents:
        """Create the folder, delete leftovers of a crash, and read the messages."""
        make_folders(self.folders)
        quarantined: list[str] = []
        waiting = sorted(
            self._read_folder(WAITING, quarantined), key=lambda spooled: spooled.sequence
        )
        failed = sorted(
            (self._read_failure(spooled) for spooled in self._read_folder(FAILED, quarantined)),
            key=lambda failure: (failure.failed_at, failure.spooled.sequence),
        )
        self._sweep_reasons()
        known = (*waiting, *(failure.spooled for failure in failed))
        self._sequence = count(max((queued.sequence for queued in known), default=0) + 1)
        return Contents(list(self._finish_splits(waiting, known)), failed, quarantined)

    def write(self, entry: SpoolEntry, content: Iterable[bytes], queued_at: float) -> Spooled:
        """Append a message to the order; it is safely on disk when this returns.

        Raises `ValueError` if the size of the content differs from that in its entry.
        """
        make_folders(self.folders)
        spooled = Spooled(next(self._sequence), int(queued_at), token_hex(6), entry)
        path = self._path(WAITING, spooled.name)
        try:
            with new_file(path) as file:
                written = write_message(file, entry, content)
        except OSError:
            # It may be renamed already, if only syncing the folder failed.
            path.unlink(missing_ok=True)
            raise
        return replace(spooled, entry=written)

    def open_content(self, spooled: Spooled) -> BinaryIO:
        """Open the file of a waiting message, at the first byte of its content.

        Raises `DamagedError` if the content is not what was written.
        """
        with ExitStack() as unless_whole:
            file = unless_whole.enter_context(open_file(self._path(WAITING, spooled.name)))
            read_head(file)
            start = file.tell()
            for _ in read_content(file, spooled.entry):
                pass
            file.seek(start)
            unless_whole.pop_all()
        return file

    def delete(self, spooled: Spooled) -> None:
        """Delete a waiting message."""
        unlink(self._path(WAITING, spooled.name))

    def restrict(self, spooled: Spooled, recipients: Sequence[str]) -> Spooled:
        """Keep a waiting message for some of its recipients only, in its place in the order."""
        restricted = replace(spooled, entry=_restrict(spooled.entry, recipients))
        self._copy(spooled, self._path(WAITING, spooled.name), restricted.entry)
        return restricted

    def fail(self, failure: Failure, recipients: Sequence[str]) -> Failure:
        """Keep a waiting message as failed, for all of its recipients or some.

        If all failed, it no longer waits. If some failed, it keeps waiting for all until it is
        restricted, at the next start at the latest.
        """
        spooled = failure.spooled
        whole = tuple(recipients) == spooled.entry.envelope.recipients
        if not whole:
            entry = replace(_restrict(spooled.entry, recipients), split_from=spooled.id)
            spooled = Spooled(next(self._sequence), spooled.queued_at, token_hex(6), entry)
        kept = replace(failure, spooled=spooled)
        self._write_reason(kept)
        path = self._path(FAILED, spooled.name)
        if whole:
            self._move(self._path(WAITING, spooled.name), path)
        else:
            self._copy(failure.spooled, path, spooled.entry)
        return kept

    def requeue(self, failure: Failure, queued_at: float) -> Spooled:
        """Queue a failed message again, at the end of the order."""
        old = failure.spooled
        spooled = Spooled(next(self._sequence), int(queued_at), old.id, old.entry)
        self._move(self._path(FAILED, old.name), self._path(WAITING, spooled.name))
        remove(self._reason(old))
        return spooled

    def discard(self, failure: Failure) -> None:
        """Delete a failed message."""
        unlink(self._path(FAILED, failure.spooled.name))
        remove(self._reason(failure.spooled))

    def quarantine(self, spooled: Spooled) -> None:
        """Quarantine a waiting message whose file is damaged, keeping the file."""
        self._quarantine(self._path(WAITING, spooled.name))

    def load_hold(self) -> dict[str, Any]:
        """Return the saved hold, empty if there is none or it is unreadable."""
        return read_json(self.folder / HOLD_FILE)

    def save_hold(self, hold: dict[str, Any]) -> None:
        """Save a hold for after a restart; an empty dict deletes the file."""
        path = self.folder / HOLD_FILE
        if hold:
            write_json(path, hold)
        else:
            unlink(path)

    def destroy(self) -> None:
        """Delete the folder with its content; if it is a link, delete only the link."""
        if self.folder.is_symlink():
            unlink(self.folder)
            return
        with suppress(FileNotFoundError):
            shutil.rmtree(self.folder)
            sync(self.folder.parent)
        self.folders = []  # So that they are not created again.

    def _finish_splits(
        self, waiting: Iterable[Spooled], known: Iterable[Spooled]
    ) -> Iterator[Spooled]:
        """Yield waiting messages without recipients that were already split off as failed.

        A crash came after they were saved as failed, and before the message was restricted.
        """
        split_off: defaultdict[str, set[str]] = defaultdict(set)
        for other in known:
            split_off[other.entry.split_from].update(other.entry.envelope.recipients)
        for spooled in waiting:
            old = spooled.entry.envelope.recipients
            rest = tuple(name for name in old if name not in split_off[spooled.id])
            if rest == old:
                yield spooled
                continue
            try:
                self.restrict(spooled, rest) if rest else self.delete(spooled)
            except (DamagedError, OSError) as error:
                reason = getattr(error, "strerror", None) or error
                _LOGGER.error("%s still lists recipients that failed: %s", spooled.name, reason)
            if rest:
                yield replace(spooled, entry=_restrict(spooled.entry, rest))

    def _path(self, folder: str, name: str) -> Path:
        """Return the path of a file."""
        return self.folder / folder / name

    def _reason(self, spooled: Spooled) -> Path:
        """Return the path of the file with the reason for a failure."""
        return self._path(FAILED, f"{spooled.name}.json")

    def _copy(self, spooled: Spooled, target: Path, entry: SpoolEntry) -> None:
        """Copy a waiting message to another file, with another entry.

        Raises `DamagedError` if the content is not what was written.
        """
        with open_file(self._path(WAITING, spooled.name)) as file, new_file(target) as copy:
            read_head(file)
            write_message(copy, entry, read_content(file, spooled.entry))

    def _move(self, path: Path, target: Path) -> None:
        """Move a message to another folder; after a power cut, it is in one of the two."""
        path.rename(target)
        try:
            sync(target.parent)
            sync(path.parent)
        except OSError as error:
            _LOGGER.error("A move may be undone by a power cut: %s", error.strerror)

    def _read_folder(self, name: str, quarantined: list[str]) -> Iterator[Spooled]:
        """Yield the messages of a folder, and quarantine everything else."""
        with os.scandir(self.folder / name) as entries:
            found = [(entry, entry.is_file(follow_symlinks=False)) for entry in entries]
        for entry, is_file in found:
            if is_file and _LEFTOVER.fullmatch(entry.name):
                remove(Path(entry.path))
            elif is_file and name == FAILED and _REASON.fullmatch(entry.name):
                continue
            elif spooled := self._load(entry.path, entry.name, quarantined):
                yield spooled

    def _load(self, file: str, name: str, quarantined: list[str]) -> Spooled | None:
        """Return the message in a file; quarantine the file if it is not ours."""
        try:
            return _describe(file, name)
        except DamagedError as error:
            reason = str(error)
        except OSError as error:
            reason = error.strerror or str(error)
            if error.errno not in _FOREIGN:
                _LOGGER.error("%s cannot be read now: %s", _shown(Path(file)), reason)
                return None
        path = Path(file)
        self._quarantine(path)
        quarantined.append(_shown(path))
        _LOGGER.error("%s was moved to %s: %s", _shown(path), self.folder / QUARANTINE, reason)
        return None

    def _quarantine(self, path: Path) -> None:
        """Move a file to the quarantine, next to others of the same name."""
        target = self._path(QUARANTINE, path.name)
        while target.exists(follow_symlinks=False):
            target = target.with_name(f"{path.name}.{token_hex(4)}")
        with suppress(OSError):
            path.rename(target)

    def _write_reason(self, failure: Failure) -> None:
        """Write the reason for a failure; an error is only logged."""
        reason = {
            "event": failure.event,
            "problem": failure.problem,
            "reply": failure.reply,
            "failed_at": failure.failed_at,
        }
        try:
            write_json(self._reason(failure.spooled), reason)
        except OSError as error:
            _LOGGER.error("The reason for a failure cannot be saved: %s", error.strerror)

    def _read_failure(self, spooled: Spooled) -> Failure:
        """Return a failed message with its saved reason."""
        reason = read_json(self._reason(spooled))
        try:
            failed_at = float(reason["failed_at"])
            if not 0 <= failed_at < _END_OF_TIME:
                raise ValueError("it is no time of day")  # noqa: TRY301 - Caught with its kind.
            return Failure(
                spooled=spooled,
                event=str(reason["event"]),
                problem=str(reason["problem"]),
                reply=str(reason["reply"]),
                failed_at=failed_at,
            )
        except KeyError, OverflowError, TypeError, ValueError:
            at = float(spooled.queued_at)
            return Failure(spooled=spooled, event="failed", problem="", reply="", failed_at=at)

    def _sweep_reasons(self) -> None:
        """Delete reasons without a failed message."""
        for reason in (self.folder / FAILED).glob("*.msg.json"):
            if not reason.with_suffix("").exists():
                remove(reason)


def _describe(path: str, file_name: str) -> Spooled:
    """Return a message from the name and head of its file; raise `DamagedError` for other files.

    There may be thousands, and creating a `Path` for each takes as long as reading it.
    """
    if (name := _NAME.fullmatch(file_name)) is None:
        raise DamagedError("it is not a message of this integration")
    start, size = read_start(path, USUAL_HEAD)
    if start.count(b"\n") < HEAD_LINES:
        start, size = read_start(path, 2 * MAX_HEAD)
    entry = read_head(head := BytesIO(start))
    if size != head.tell() + entry.size:
        raise DamagedError("its content was changed or cut off")
    spooled = Spooled(int(name[1]), int(name[2]), name[3], entry)
    if spooled.name != file_name:
        raise DamagedError("its name was changed")
    return spooled


def _restrict(entry: SpoolEntry, recipients: Iterable[str]) -> SpoolEntry:
    """Return the entry of the same message with only some of its recipients."""
    old = entry.envelope
    return replace(entry, envelope=Envelope(old.sender, tuple(recipients), old.utf8))


def _shown(path: Path) -> str:
    """Return the name of a file, safe to show: a stranger's file name can contain anything."""
    return "".join(outgoing if outgoing.isprintable() else "\ufffd" for outgoing in path.name)
