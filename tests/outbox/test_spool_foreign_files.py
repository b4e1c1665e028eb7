"""Foreign files are quarantined and reported: never sent, followed, deleted or fatal."""

from collections.abc import Callable
import errno
import json
import os
from pathlib import Path
import socket
import stat
from typing import Any

from hypothesis import HealthCheck, given, settings, strategies as st
import pytest

from custom_components.outlook_smtp.outbox.entry import DamagedError, write_head
from custom_components.outlook_smtp.outbox.spool import FAILED, QUARANTINE, WAITING, Spool
from custom_components.outlook_smtp.outbox.spooled import Spooled

from .helpers import ANNA, BERT, content_of, entry_of, fail, files, read, reopened, write

NAME = "0000000007-1795509015-0123456789ab.msg"
WHOLE = write_head(entry_of(content_of(7))) + content_of(7)


def make_file(path: Path) -> None:
    """Create a file that is no message."""
    path.write_bytes(b"From: eve@example.com\r\n\r\n")


def make_directory(path: Path) -> None:
    """Create a folder with something in it."""
    path.mkdir()
    (path / "something").touch()


def make_link(path: Path) -> None:
    """Create a link to a complete message elsewhere."""
    target = path.parents[2] / "elsewhere"
    target.write_bytes(WHOLE)
    path.symlink_to(target)


def make_dangling_link(path: Path) -> None:
    """Create a link to nothing."""
    path.symlink_to("nowhere")


def make_looped_link(path: Path) -> None:
    """Create a link to itself."""
    path.symlink_to(path.name)


def make_socket(path: Path) -> None:
    """Create a socket without a listener."""
    with socket.socket(socket.AF_UNIX) as server:
        descriptor = os.open(path.parent, os.O_DIRECTORY)
        server.bind(f"/proc/self/fd/{descriptor}/{path.name}")
        os.close(descriptor)


MAKERS = [
    make_file,
    make_directory,
    make_link,
    make_dangling_link,
    make_looped_link,
    make_socket,
    os.mkfifo,
]
NAMES = [
    NAME,
    "note.txt",
    "..part",
    "a\nb\x1b[2J",
    os.fsdecode(b"\xff\xfe"),
    "x" * 240,
    NAME.removesuffix(".msg"),
    f"{NAME}.json.txt",
]


@pytest.mark.parametrize("folder", [WAITING, FAILED])
@pytest.mark.parametrize("make", MAKERS)
def test_foreign_files_are_quarantined(
    spool: Spool, folder: str, make: Callable[[Path], object]
) -> None:
    """Whatever it is, it is moved unchanged, and the messages next to it are not delayed."""
    spooled = write(spool)
    path = spool.folder / folder / NAME
    make(path)
    kind = path.lstat()
    contents = reopened(spool.folder)
    assert contents.waiting == [spooled]
    assert contents.quarantined == [NAME]
    assert (spool.folder / QUARANTINE / NAME).lstat().st_ino == kind.st_ino
    assert not reopened(spool.folder).quarantined


@pytest.mark.parametrize("name", [f".{NAME}.part", f"{NAME}.json"])
@pytest.mark.parametrize("make", MAKERS[1:])
def test_foreign_files_with_our_names_are_quarantined(
    spool: Spool, make: Callable[[Path], object], name: str
) -> None:
    """Something with the name of a leftover that is not a file is quarantined, not deleted."""
    make(spool.folder / FAILED / name)
    assert reopened(spool.folder).quarantined == [name]
    assert stat.S_IFMT((spool.folder / QUARANTINE / name).lstat().st_mode)


@pytest.mark.parametrize("name", NAMES)
def test_strange_names_can_be_reported(spool: Spool, name: str) -> None:
    """Any name can be reported: control and invalid characters never get into a text."""
    make_file(spool.folder / WAITING / name)
    (shown,) = reopened(spool.folder).quarantined
    assert shown.isprintable()
    assert len(shown) == len(name)
    assert os.listdir(spool.folder / QUARANTINE) == [name]  # noqa: PTH208 - Raw names.


@pytest.mark.parametrize(
    "name",
    [
        NAME.replace("7", "\N{ARABIC-INDIC DIGIT SEVEN}", 1),
        NAME.replace("-1", "-01", 1),
        NAME.replace("-1795509015", "-179550901500"),
        NAME.replace("-1795509015", "-179550901"),
        f"0{NAME}",
        NAME.upper(),
        f"{NAME}~",
        NAME[1:],
    ],
)
def test_renamed_message_is_quarantined(spool: Spool, name: str) -> None:
    """A complete message is not sent after it was renamed: it could not be found again."""
    (spool.folder / WAITING / name).write_bytes(WHOLE)
    assert reopened(spool.folder).quarantined == [name]


def test_foreign_files_with_one_name_are_all_kept(spool: Spool) -> None:
    """No quarantined file is overwritten."""
    for number in range(3):
        (spool.folder / WAITING / NAME).write_text(str(number))
        (spool.folder / FAILED / NAME).write_text(str(number))
        assert reopened(spool.folder).quarantined == [NAME, NAME]
    kept = [path.read_text() for path in (spool.folder / QUARANTINE).iterdir()]
    assert sorted(kept) == ["0", "0", "1", "1", "2", "2"]


def test_foreign_file_that_cannot_be_moved_stays(spool: Spool) -> None:
    """It stays where it is, is reported, and does no harm."""
    spooled = write(spool)
    make_file(spool.folder / WAITING / ("x" * 255))
    make_file(spool.folder / QUARANTINE / ("x" * 255))
    contents = reopened(spool.folder)
    assert contents.waiting == [spooled]
    assert contents.quarantined == ["x" * 255]
    assert files(spool.folder / WAITING) == [spooled.name, "x" * 255]


def refuse_to_open(monkeypatch: pytest.MonkeyPatch, name: str, error: int) -> None:
    """Make the system refuse to open a file, as it does for users other than root."""
    real_open = os.open

    def refuse(path: Any, *args: Any) -> int:
        if Path(path).name == name:
            raise OSError(error, os.strerror(error))
        return real_open(path, *args)

    monkeypatch.setattr(os, "open", refuse)


def test_forbidden_file_is_quarantined(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is quarantined and reported."""
    spooled = write(spool)
    refuse_to_open(monkeypatch, spooled.name, errno.EACCES)
    assert reopened(spool.folder).quarantined == [spooled.name]


def test_temporarily_unreadable_file_stays(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A temporary problem of the machine is logged, and the message stays where it is."""
    spooled = write(spool)
    with monkeypatch.context() as patches:
        refuse_to_open(patches, spooled.name, errno.EIO)
        contents = reopened(spool.folder)
    assert not contents.waiting + contents.quarantined
    assert f"{spooled.name} cannot be read now" in caplog.text
    assert reopened(spool.folder).waiting == [spooled]


def test_exchanged_file_is_not_sent(spool: Spool) -> None:
    """Content for one recipient is never sent to another, however valid the file is."""
    first, second = write(spool, 1, ANNA), write(spool, 2, BERT)
    (spool.folder / WAITING / second.name).replace(spool.folder / WAITING / first.name)
    with pytest.raises(DamagedError):
        read(spool, first)


@pytest.mark.parametrize("make", [make_link, make_looped_link, os.mkfifo])
def test_special_file_is_not_read(spool: Spool, make: Callable[[Path], object]) -> None:
    """Reading a message never follows a link and never waits."""
    spooled = write(spool)
    path = spool.folder / WAITING / spooled.name
    path.unlink()
    make(path)
    with pytest.raises(OSError, match=r"not a file|symbolic links"):
        read(spool, spooled)
    spool.quarantine(spooled)
    assert (spool.folder / QUARANTINE / spooled.name).lstat()


@pytest.mark.parametrize(
    "reason",
    [
        b"",
        b"[]",
        b"[" * 100_000,
        b"\xff",
        b"{}",
        json.dumps({"event": "", "problem": "", "reply": "", "failed_at": 10**400}).encode(),
        b'{"event": "", "problem": "", "reply": "", "failed_at": NaN}',
        b'{"event": "", "problem": "", "reply": "", "failed_at": -1e999}',
        b'{"event": "", "problem": "", "reply": "", "failed_at": 1e300}',
        b'{"event": "", "problem": "", "reply": "", "failed_at": []}',
    ],
    ids=range(10),
)
def test_message_without_a_readable_reason_is_failed(spool: Spool, reason: bytes) -> None:
    """A message stays failed, even without a known reason or time."""
    spooled = fail(spool, write(spool)).spooled
    (spool.folder / FAILED / f"{spooled.name}.json").write_bytes(reason)
    (failure,) = reopened(spool.folder).failed
    assert (failure.spooled, failure.event, failure.reply) == (spooled, "failed", "")
    assert failure.failed_at == spooled.queued_at


mutations = st.lists(
    st.tuples(
        st.sampled_from(["flip", "cut", "insert"]),
        st.integers(0, len(WHOLE) - 1),
        st.binary(min_size=1, max_size=20),
    ),
    min_size=1,
    max_size=3,
)


def mutated(data: bytes, changes: list[tuple[str, int, bytes]]) -> bytes:
    """Return a file as damaged by a bad disk or editor."""
    for kind, place, extra in changes:
        match kind:
            case "flip":
                data = data[:place] + extra[:1] + data[place + 1 :]
            case "cut":
                data = data[:place]
            case _:
                data = data[:place] + extra + data[place:]
    return data


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.one_of(st.binary(), mutations.map(lambda changes: mutated(WHOLE, changes))))
def test_damaged_file_is_never_another_message(spool: Spool, data: bytes) -> None:
    """A file is the message that was written, or it is quarantined unchanged."""
    path = spool.folder / WAITING / NAME
    path.write_bytes(data)
    contents = spool.open()
    if contents.waiting:
        (spooled,) = contents.waiting
        assert spooled == Spooled(7, 1795509015, "0123456789ab", entry_of(content_of(7)))
        try:
            assert read(spool, spooled) == content_of(7)
        except DamagedError:
            assert data != WHOLE
            spool.quarantine(spooled)
    left = [path, *(spool.folder / QUARANTINE).iterdir()]
    kept = [file for file in left if file.exists()]
    assert [file.read_bytes() for file in kept] == [data]
    for file in kept:
        file.unlink()
