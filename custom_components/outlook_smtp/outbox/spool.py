"""The messages of one account on disk, one immutable file each; nothing here waits for a network.

A file is written under a name that does not count yet, brought to the disk, and renamed: whatever
happens in between, there is the whole message or none. All methods block, and raise `OSError`
where the disk does not do what is asked.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
import errno
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
    remove,
    sync,
    unlink,
    write_json,
)
from .entry import DamagedError, SpoolEntry, read_content, read_head, write_message
from .spooled import Contents, Failure, Spooled

_LOGGER = logging.getLogger(__name__)

WAITING: Final = "waiting"
FAILED: Final = "failed"
QUARANTINE: Final = "set_aside"
HOLD_FILE: Final = "hold.json"

_NAME: Final = re.compile(r"(\d{10,})-(\d{10,11})-([0-9a-f]{12})\.msg")
_END_OF_TIME: Final = 10**11  # Seconds since the epoch: as many digits as a name has for them.
_REASON: Final = re.compile(rf"{_NAME.pattern}\.json")
_LEFTOVER: Final = re.compile(rf"\.{_NAME.pattern}(\.json)?\.part")
# A file that says this is not one of ours; other errors are the machine's and may pass.
_FOREIGN: Final = (errno.EACCES, errno.EPERM, *FOREIGN)


class Spool:
    """The folder of one account."""

    def __init__(self, folder: Path) -> None:
        """Name the folder; `open` makes it."""
        self.folder = folder
        self.folders = [folder, *map(folder.joinpath, (WAITING, FAILED, QUARANTINE))]
        self._sequence = count(1)

    def open(self) -> Contents:
        """Make the folder, sweep what a crash has left, and read what is there."""
        make_folders(self.folders)
        quarantined: list[str] = []
        waiting = sorted(
            self._read_folder(WAITING, quarantined), key=lambda queued: queued.sequence
        )
        failed = sorted(
            (self._read_failure(queued) for queued in self._read_folder(FAILED, quarantined)),
            key=lambda failure: (failure.failed_at, failure.spooled.sequence),
        )
        self._sweep_reasons()
        known = (*waiting, *(failure.spooled for failure in failed))
        self._sequence = count(max((queued.sequence for queued in known), default=0) + 1)
        return Contents(list(self._finish_splits(waiting, known)), failed, quarantined)

    def write(self, entry: SpoolEntry, content: Iterable[bytes], queued_at: float) -> Spooled:
        """Put a message at the end of the order; it is safe when this returns.

        Raises `ValueError` if the content has not the size that its entry says.
        """
        make_folders(self.folders)
        spooled = Spooled(next(self._sequence), int(queued_at), token_hex(6), entry)
        path = self._path(WAITING, spooled.name)
        try:
            with new_file(path) as file:
                written = write_message(file, entry, content)
        except OSError:
            # It may have its name already, when that could not be brought to the disk.
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
        """Forget a waiting message for good."""
        unlink(self._path(WAITING, spooled.name))

    def restrict(self, spooled: Spooled, recipients: Sequence[str]) -> Spooled:
        """Keep a waiting message for some of its recipients, in its place of the order."""
        restricted = replace(spooled, entry=_restrict(spooled.entry, recipients))
        self._copy(spooled, self._path(WAITING, spooled.name), restricted.entry)
        return restricted

    def fail(self, failure: Failure, recipients: Sequence[str]) -> Failure:
        """Keep a waiting message as failed, for all of its recipients or some.

        For all it no longer waits; for some it still waits for all, until it is restricted, by the
        next start at the latest.
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
        """Let a failed message wait again, at the end of the order."""
        old = failure.spooled
        spooled = Spooled(next(self._sequence), int(queued_at), old.id, old.entry)
        self._move(self._path(FAILED, old.name), self._path(WAITING, spooled.name))
        remove(self._reason(old))
        return spooled

    def discard(self, failure: Failure) -> None:
        """Forget a failed message for good."""
        unlink(self._path(FAILED, failure.spooled.name))
        remove(self._reason(failure.spooled))

    def quarantine(self, spooled: Spooled) -> None:
        """Take a waiting message whose file is damaged out of the way, and keep the file."""
        self._quarantine(self._path(WAITING, spooled.name))

    def load_hold(self) -> dict[str, Any]:
        """Return what was last saved of a hold: nothing if there is none or it is unreadable."""
        return read_json(self.folder / HOLD_FILE)

    def save_hold(self, hold: dict[str, Any]) -> None:
        """Save what is to be known of a hold after a restart; nothing deletes it."""
        path = self.folder / HOLD_FILE
        if hold:
            write_json(path, hold)
        else:
            unlink(path)

    def destroy(self) -> None:
        """Delete everything; of a link only the link."""
        if self.folder.is_symlink():
            unlink(self.folder)
            return
        with suppress(FileNotFoundError):
            shutil.rmtree(self.folder)
            sync(self.folder.parent)
        self.folders = []  # Nobody makes them anew.

    def _finish_splits(
        self, waiting: Iterable[Spooled], known: Iterable[Spooled]
    ) -> Iterator[Spooled]:
        """Yield what waits, but not for recipients whom a message already has that was split off.

        A crash came after they were kept as failed, and before the message was restricted.
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
                _LOGGER.error("%s still names recipients of another: %s", spooled.name, reason)
            if rest:
                yield replace(spooled, entry=_restrict(spooled.entry, rest))

    def _path(self, folder: str, name: str) -> Path:
        """Return the path of a file."""
        return self.folder / folder / name

    def _reason(self, spooled: Spooled) -> Path:
        """Return the path of the file that says why a message failed."""
        return self._path(FAILED, f"{spooled.name}.json")

    def _copy(self, spooled: Spooled, target: Path, entry: SpoolEntry) -> None:
        """Write the content of a waiting message to another file, with another entry.

        Raises `DamagedError` if the content is not what was written.
        """
        with open_file(self._path(WAITING, spooled.name)) as file, new_file(target) as copy:
            read_head(file)
            write_message(copy, entry, read_content(file, spooled.entry))

    def _move(self, path: Path, target: Path) -> None:
        """Move a message to another folder; whichever the disk remembers, it has the message."""
        path.rename(target)
        try:
            sync(target.parent)
            sync(path.parent)
        except OSError as error:
            _LOGGER.error("A move may be undone by a power cut: %s", error.strerror)

    def _read_folder(self, name: str, quarantined: list[str]) -> Iterator[Spooled]:
        """Yield the messages of a folder, and take what is none out of the way."""
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
        """Return the message of a file; one that is none of ours is taken out of the way."""
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
        """Move a file out of the way, beside others of its name."""
        target = self._path(QUARANTINE, path.name)
        while target.exists(follow_symlinks=False):
            target = target.with_name(f"{path.name}.{token_hex(4)}")
        with suppress(OSError):
            path.rename(target)

    def _write_reason(self, failure: Failure) -> None:
        """Write why a message failed; without room for that it fails all the same."""
        reason = {
            "event": failure.event,
            "problem": failure.problem,
            "reply": failure.reply,
            "failed_at": failure.failed_at,
        }
        try:
            write_json(self._reason(failure.spooled), reason)
        except OSError as error:
            _LOGGER.error("The reason of a failure cannot be kept: %s", error.strerror)

    def _read_failure(self, spooled: Spooled) -> Failure:
        """Return a failed message with the reason that was kept with it."""
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
        """Delete the reasons of messages that have not failed after all."""
        for reason in (self.folder / FAILED).glob("*.msg.json"):
            if not reason.with_suffix("").exists():
                remove(reason)


def _describe(path: str, file_name: str) -> Spooled:
    """Return what the name and the head of a message's file say; `DamagedError` for any other.

    There may be thousands, and making a `Path` of each takes as long as reading it.
    """
    if (name := _NAME.fullmatch(file_name)) is None:
        raise DamagedError("it is not a message of this integration")
    with open_file(path) as file:
        entry = read_head(file)
        if os.fstat(file.fileno()).st_size != file.tell() + entry.size:
            raise DamagedError("its content was changed or cut off")
    spooled = Spooled(int(name[1]), int(name[2]), name[3], entry)
    if spooled.name != file_name:
        raise DamagedError("its name was changed")
    return spooled


def _restrict(entry: SpoolEntry, recipients: Iterable[str]) -> SpoolEntry:
    """Return the entry of the same message for some of its recipients."""
    old = entry.envelope
    return replace(entry, envelope=Envelope(old.sender, tuple(recipients), old.utf8))


def _shown(path: Path) -> str:
    """Return the name of a file as it may be shown: strangers can put anything into names."""
    return "".join(outgoing if outgoing.isprintable() else "\ufffd" for outgoing in path.name)
