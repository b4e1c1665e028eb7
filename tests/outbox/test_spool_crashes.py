"""Whatever interrupts the spool: a message exists completely, or not at all."""

from collections.abc import Callable
import errno
import io
from itertools import count
import os
from pathlib import Path
from typing import Any

import pytest

from custom_components.outlook_smtp.outbox.spool import Spool
from custom_components.outlook_smtp.outbox.spooled import Failure, Spooled

from .helpers import ANNA, BERT, content_of, fail, failed_content, files, read, write

type Work = Callable[[Spool, Spooled, Failure], object]

WORKS: dict[str, Work] = {
    "write": lambda spool, _spooled, _failure: write(spool, 5),
    "restrict": lambda spool, spooled, _failure: spool.restrict(spooled, (BERT,)),
    "fail": lambda spool, spooled, _failure: fail(spool, spooled),
    "fail for some": lambda spool, spooled, _failure: fail(spool, spooled, ANNA),
    "split": lambda spool, spooled, _failure: split(spool, spooled),
    "requeue": lambda spool, _spooled, failure: spool.requeue(failure, 0.0),
    "delete": lambda spool, spooled, _failure: spool.delete(spooled),
    "discard": lambda spool, _spooled, failure: spool.discard(failure),
    "save a hold": lambda spool, _spooled, _failure: spool.save_hold({"until": 2.0}),
}


def split(spool: Spool, spooled: Spooled) -> None:
    """Fail a message for one recipient, and let it wait for the other."""
    fail(spool, spooled, ANNA)
    spool.restrict(spooled, (BERT,))


class PowerCutError(BaseException):
    """Nothing runs after this, whatever catches it."""


class Disk:
    """Records each disk operation, and can make one fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Intercept the system calls."""
        self.steps: list[tuple[str, ...]] = []
        self.trouble: BaseException | None = None
        self.spoiled_step = 0
        for name in ("open", "rename", "unlink"):
            monkeypatch.setattr(os, name, self._spoil(name, getattr(os, name)))
        # Only its position among the steps matters, not its duration.
        monkeypatch.setattr(os, "fsync", self._spoil("fsync", lambda _descriptor: None))
        monkeypatch.setattr(os, "fdopen", self._fdopen)

    def spoil(self, step: int, trouble: BaseException) -> None:
        """Make a step fail, counted from now; after a power cut, all later ones fail, too."""
        self.steps.clear()
        self.spoiled_step = step
        self.trouble = trouble

    def take(self, *step: str) -> None:
        """Record a step, or raise its error."""
        self.steps.append(step)
        now = len(self.steps) == self.spoiled_step
        dead = isinstance(self.trouble, PowerCutError) and len(self.steps) > self.spoiled_step
        if self.trouble and self.spoiled_step and (now or dead):
            raise self.trouble

    def _spoil(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """Return the system's function with a step before it."""

        def spoiled(target: Any, *args: Any, **kwargs: Any) -> Any:
            self.take(name, _name(target))
            return work(target, *args, **kwargs)

        return spoiled

    def _fdopen(self, descriptor: int, mode: str) -> io.BufferedIOBase:
        """Open a file that may stop in the middle of a write."""
        if mode == "rb":
            return io.BufferedReader(io.FileIO(descriptor))
        return io.BufferedWriter(BreakingFile(descriptor, self))


class BreakingFile(io.FileIO):
    """A file that writes only the first half when that step fails."""

    def __init__(self, descriptor: int, disk: Disk) -> None:
        """Attach the file to a disk."""
        super().__init__(descriptor, "wb")
        self._disk = disk

    def write(self, data: Any, /) -> int:
        """Write as much as possible before the interruption."""
        try:
            self._disk.take("write", _name(self.fileno()))
        except BaseException:
            super().write(data[: len(data) // 2])
            raise
        return super().write(data)


def _name(target: int | str | os.PathLike[str]) -> str:
    """Return the name of a path or of an open file."""
    path = Path(f"/proc/self/fd/{target}").readlink() if isinstance(target, int) else Path(target)
    return path.name


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """Return a disk that can be made to fail."""
    return Disk(monkeypatch)


def filled(folder: Path) -> tuple[Spool, Spooled, Failure]:
    """Return a spool, the second of its three waiting messages, and its failed one."""
    spool = Spool(folder)
    spool.open()
    write(spool, 1)
    spooled = write(spool, 2, ANNA, BERT)
    write(spool, 3)
    return spool, spooled, fail(spool, write(spool, 4))


def state(folder: Path) -> list[tuple[str, ...]]:
    """Return what a new start finds, after reading every byte."""
    spool = Spool(folder)
    contents = spool.open()
    assert not contents.quarantined
    assert not [name for name in files(folder / "waiting") if name.endswith(".part")]
    found = []
    for spooled in contents.waiting:
        assert read(spool, spooled) == content_of(int(spooled.entry.title[-1]))
        found.append(("waiting", spooled.entry.title, *spooled.entry.envelope.recipients))
    for failure in contents.failed:
        entry = failure.spooled.entry
        assert failed_content(spool, failure) == content_of(int(entry.title[-1]))
        found.append(("failed", entry.title, *entry.envelope.recipients))
    return [*found, ("hold", *spool.load_hold())]


def run(work: str, spool: Spool, spooled: Spooled, failure: Failure) -> bool:
    """Run an operation; return whether it completed."""
    try:
        WORKS[work](spool, spooled, failure)
    except OSError, PowerCutError:
        return False
    return True


@pytest.mark.parametrize("work", WORKS)
@pytest.mark.parametrize("trouble", [PowerCutError(), OSError(errno.EIO, "I/O error")], ids=repr)
def test_any_interruption_leaves_complete_messages(
    disk: Disk, tmp_path: Path, work: str, trouble: BaseException
) -> None:
    """The state is the old or the new one, each message complete and in place, never partial."""
    well = filled(tmp_path / "well")
    before = state(tmp_path / "well")
    assert run(work, *well)
    after = state(tmp_path / "well")
    for step in count(1):
        folder = tmp_path / str(step)
        spool, spooled, failure = filled(folder)
        disk.spoil(step, trouble)
        done = run(work, spool, spooled, failure)
        reached = len(disk.steps) >= step
        disk.spoil(0, trouble)  # It works again.
        if not done and work == "write" and not isinstance(trouble, PowerCutError):
            assert not [name for name in files(folder) if name.endswith(".part")]
            assert state(folder) == before
        assert state(folder) in ([after] if done else [before, after])
        if not reached:
            break
    assert step > 2


@pytest.mark.parametrize("work", ["write", "restrict"])
def test_content_is_synced_before_the_rename(disk: Disk, spool_folder: Path, work: str) -> None:
    """A file gets its name after its content is on disk, and the name is synced, too."""
    assert run(work, *filled(spool_folder))
    steps = disk.steps[-7:]
    assert [step[0] for step in steps] == [
        *("open", "write", "write", "fsync", "rename"),  # The head again, with the digest.
        *("open", "fsync"),
    ]
    assert {step[1][-9:] for step in steps[:5]} == {".msg.part"}
    assert {step[1] for step in steps[5:]} == {"waiting"}


def test_new_folders_are_synced(disk: Disk, spool_folder: Path) -> None:
    """The folders of a new account survive a power cut, too."""
    Spool(spool_folder).open()
    assert [name for step, name in disk.steps if step == "fsync"] == [
        spool_folder.name,
        spool_folder.parent.name,
    ]


def test_file_system_without_folder_sync_works(disk: Disk, spool: Spool) -> None:
    """If only files can be synced, as on some network drives, that must be enough."""
    disk.spoil(7, OSError(errno.EINVAL, "Invalid argument"))
    write(spool)
    assert disk.steps[6] == ("fsync", "waiting")
    disk.spoil(0, OSError())
    assert state(spool.folder) == [("waiting", "Alarm 1", ANNA), ("hold",)]
