"""Messages on disk: readable by their owner only, in order, and within limits."""

from collections.abc import Iterator
import os
from pathlib import Path
import subprocess

import pytest

from custom_components.outlook_smtp.outbox.entry import DamagedError
from custom_components.outlook_smtp.outbox.spool import FAILED, HOLD_FILE, WAITING, Spool

from .helpers import (
    ANNA,
    BERT,
    CARL,
    CREATED,
    NOW,
    content_of,
    entry_of,
    fail,
    failed_content,
    files,
    no_file_larger_than,
    read,
    reopened,
    write,
)

LARGE = b"x" * 100_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a disk of 64 kilobytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:  # noqa: S603 - Fixed.
        pytest.skip("This system does not allow mounting a disk here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)  # noqa: S603, S607 - A fixed command.


def test_message_survives_a_restart(spool: Spool) -> None:
    """After a restart, content and recipients are the same."""
    spooled = write(spool, 1, ANNA, BERT)
    (found,) = reopened(spool.folder).waiting
    assert found == spooled
    assert found.queued_at == NOW
    assert found.entry.created == CREATED
    assert found.entry.envelope.recipients == (ANNA, BERT)
    assert read(Spool(spool.folder), found) == content_of(1)


def test_files_are_private(spool: Spool) -> None:
    """Folders and files are private to their owner, whatever the umask."""
    old = os.umask(0)
    try:
        second = Spool(spool.folder / "second")
        second.open()
        write(second)
        fail(second, write(second))
        second.save_hold({"until": 1.0})
    finally:
        os.umask(old)
    paths = [second.folder, *second.folder.rglob("*")]
    modes = {path.stat().st_mode & 0o777 for path in paths if path.is_file()}
    assert modes == {0o600}
    assert {path.stat().st_mode & 0o777 for path in paths if path.is_dir()} == {0o700}
    assert len(paths) == 8


def test_order_survives_a_restart(spool: Spool) -> None:
    """Messages are found in the order they were added, whatever the clock said."""
    times = [NOW, NOW - 86_400, 0.0, NOW * 2, NOW]
    written = [write(spool, number, queued_at=at) for number, at in enumerate(times)]
    again = Spool(spool.folder)
    assert again.open().waiting == written
    last = write(again, 9, queued_at=5.0)
    assert reopened(spool.folder).waiting == [*written, last]
    assert len({spooled.id for spooled in [*written, last]}) == 6


def test_order_has_no_end(spool: Spool) -> None:
    """With more messages than the names have digits, the order is still numeric."""
    first = write(spool)
    path = spool.folder / WAITING / first.name
    path.rename(path.with_name(first.name.replace("0000000001", "9999999999")))
    spool.open()
    write(spool, 2)
    assert [queued.sequence for queued in reopened(spool.folder).waiting] == [9999999999, 10**10]


def test_leftovers_are_swept(spool: Spool) -> None:
    """Partial files left by a crash are deleted, and only those."""
    spooled = write(spool)
    for folder, name in ((WAITING, spooled.name), (FAILED, f"{spooled.name}.json")):
        (spool.folder / folder / f".{name}.part").touch()
    (spool.folder / FAILED / f"{spooled.name}.json").touch()
    assert not reopened(spool.folder).quarantined
    assert files(spool.folder) == [f"waiting/{spooled.name}"]


def test_settled_message_is_deleted(spool: Spool) -> None:
    """A settled message leaves nothing, and may be settled twice."""
    spooled = write(spool)
    spool.delete(spooled)
    spool.delete(spooled)
    assert not files(spool.folder)


def test_message_is_restricted_to_its_remaining_recipients(spool: Spool) -> None:
    """A message no longer waits for its accepted recipients; its position is the same."""
    first, second = write(spool, 1, ANNA, BERT), write(spool, 2)
    restricted = spool.restrict(first, (BERT,))
    assert restricted.name == first.name
    assert restricted.entry.envelope.recipients == (BERT,)
    assert reopened(spool.folder).waiting == [restricted, second]
    assert read(spool, restricted) == content_of(1)


def test_message_fails_for_all_recipients(spool: Spool) -> None:
    """A failed message no longer waits, and has its reason."""
    kept = fail(spool, write(spool, 1, ANNA, BERT))
    contents = reopened(spool.folder)
    assert not contents.waiting
    assert contents.failed == [kept]
    assert (kept.event, kept.problem, kept.failed_at) == ("refused", "recipient_refused", NOW)
    assert kept.reply == "550 5.1.1 User unknown"


def test_message_fails_for_some_recipients(spool: Spool) -> None:
    """It becomes another message with its own ID; the first waits for the others."""
    spooled = write(spool, 1, ANNA, BERT, CARL)
    kept = fail(spool, spooled, ANNA, CARL)
    contents = reopened(spool.folder)
    assert contents.waiting == [spool.restrict(spooled, (BERT,))]
    assert contents.failed == [kept]
    assert kept.spooled.id != spooled.id
    assert kept.spooled.entry.envelope.recipients == (ANNA, CARL)
    assert failed_content(spool, kept) == content_of(1)


def test_failed_messages_are_in_order(spool: Spool) -> None:
    """The first to fail comes first."""
    late = fail(spool, write(spool, 1), failed_at=NOW + 5)
    early = fail(spool, write(spool, 2), failed_at=NOW)
    assert reopened(spool.folder).failed == [early, late]


def test_failed_message_can_be_retried(spool: Spool) -> None:
    """A retried message waits under its ID, behind all others, and is no longer failed."""
    failure = fail(spool, write(spool, 1))
    second = write(spool, 2)
    spooled = spool.requeue(failure, NOW + 60)
    assert spooled.id == failure.spooled.id
    contents = reopened(spool.folder)
    assert contents.waiting == [second, spooled]
    assert not contents.failed
    assert files(spool.folder / FAILED) == []
    assert read(spool, spooled) == content_of(1)


def test_failed_message_can_be_discarded(spool: Spool) -> None:
    """A discarded message leaves nothing."""
    spool.discard(fail(spool, write(spool)))
    assert not files(spool.folder)


def test_damage_is_noticed_before_sending(spool: Spool) -> None:
    """Content that changed on disk is noticed before it is sent, and the file can be kept."""
    spooled = write(spool)
    path = spool.folder / WAITING / spooled.name
    path.write_bytes(path.read_bytes().replace(b"Alarm 1.", b"Alarm 2."))
    with pytest.raises(DamagedError):
        read(spool, spooled)
    spool.quarantine(spooled)
    assert files(spool.folder) == [f"set_aside/{spooled.name}"]


def test_hold_is_stored(spool: Spool) -> None:
    """A saved hold is there after a restart, until it is replaced or cleared."""
    assert spool.load_hold() == {}
    spool.save_hold({"until": 1.0})
    spool.save_hold({"until": 2.0})
    assert Spool(spool.folder).load_hold() == {"until": 2.0}
    spool.save_hold({})
    assert spool.load_hold() == {}


@pytest.mark.parametrize("text", ["", "[1]", "{", "[" * 100_000, "\0"])
def test_unreadable_hold_is_ignored(spool: Spool, text: str) -> None:
    """It is ignored."""
    (spool.folder / HOLD_FILE).write_text(text)
    assert spool.load_hold() == {}


def test_pipe_as_a_hold_does_not_block(spool: Spool) -> None:
    """Nothing waits for a writer to the pipe."""
    os.mkfifo(spool.folder / HOLD_FILE)
    assert spool.load_hold() == {}


def test_destroyed_spool_leaves_nothing(spool: Spool) -> None:
    """A removed account leaves nothing, and later writes are rejected."""
    write(spool)
    spool.destroy()
    spool.destroy()
    assert not spool.folder.exists()
    with pytest.raises(FileNotFoundError):
        write(spool)
    assert not spool.folder.exists()


def test_message_that_does_not_fit_is_rejected(spool: Spool) -> None:
    """A message that does not fit is rejected as a whole, and there is room for smaller ones."""
    with no_file_larger_than(50_000):
        with pytest.raises(OSError, match="File too large"):
            spool.write(entry_of(LARGE), [LARGE], NOW)
        assert not files(spool.folder)
        spooled = write(spool)
    assert reopened(spool.folder).waiting == [spooled]


def test_message_is_unchanged_without_room_for_a_copy(spool: Spool) -> None:
    """Without room for another file, the existing message stays unchanged."""
    spooled = spool.write(entry_of(LARGE, ANNA, BERT), [LARGE], NOW)
    with no_file_larger_than(50_000):
        with pytest.raises(OSError, match="File too large"):
            spool.restrict(spooled, (BERT,))
        with pytest.raises(OSError, match="File too large"):
            fail(spool, spooled, ANNA)
    contents = reopened(spool.folder)
    assert contents.waiting == [spooled]
    assert not contents.failed
    assert read(spool, spooled) == LARGE
    assert files(spool.folder) == [f"waiting/{spooled.name}"]


def test_message_fails_without_room_for_its_reason(
    spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    """A message fails even if its reason cannot be stored."""
    spooled = write(spool)
    with no_file_larger_than(10):
        fail(spool, spooled)
    assert "The reason for a failure cannot be saved: File too large" in caplog.text
    (failure,) = reopened(spool.folder).failed
    assert (failure.spooled, failure.event, failure.reply) == (spooled, "failed", "")


def test_full_disk_keeps_existing_messages(small_disk: Path) -> None:
    """Existing messages are kept when the disk is full, and deleting makes room again."""
    spool = Spool(small_disk / "outbox")
    spool.open()
    content = b"x" * 20_000
    with pytest.raises(OSError, match="No space left"):
        [spool.write(entry_of(content), [content], NOW) for _ in range(10)]
    kept = reopened(spool.folder).waiting
    assert 1 <= len(kept) < 4
    assert [read(spool, spooled) for spooled in kept] == [content] * len(kept)
    spool.delete(kept[0])
    again = spool.write(entry_of(content), [content], NOW)
    assert reopened(spool.folder).waiting == [*kept[1:], again]
