"""Whatever interrupts the settling of a message: no recipient is lost or failed twice."""

from collections.abc import Sequence
import errno
from itertools import count
from pathlib import Path

import pytest

from custom_components.outlook_smtp.delivery.outcome import Outcome
from custom_components.outlook_smtp.outbox.queue import Queue
from custom_components.outlook_smtp.outbox.queued import Limits, QueuedMessage
from custom_components.outlook_smtp.outbox.spool import Spool
from custom_components.outlook_smtp.outbox.spooled import Spooled

from .helpers import (
    ANNA,
    BERT,
    BUSY,
    CARL,
    REFUSED,
    add,
    content_of,
    fail,
    failed_content,
    read,
    reopened,
    write,
)
from .test_spool_crashes import Disk, PowerCutError

EVERYONE = (ANNA, BERT, CARL)
# The recipients that the server accepts, and those it permanently refuses, in the order of the
# replies. All others are deferred.
SPLITS = {
    "each another way": ((ANNA,), (BERT,)),
    "nobody deferred": ((ANNA,), (BERT, CARL)),
    "nobody accepted": ((), (ANNA, CARL)),
    "nobody refused": ((ANNA, BERT), ()),
    "everybody refused": ((), EVERYONE),
    "refused in another order": ((), (CARL, BERT, ANNA)),
}


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """Return a disk that can be made to fail."""
    return Disk(monkeypatch)


async def start(folder: Path) -> Queue:
    """Return the queue of a folder after a start."""
    queue = Queue(Spool(folder), Limits(1000, 500_000_000))
    await queue.open()
    return queue


async def settle(
    queue: Queue, queued: QueuedMessage, accepted: tuple[str, ...], gone: tuple[str, ...]
) -> None:
    """Settle a message like the server, for its remaining recipients."""
    here = queued.recipients
    refused = {name: REFUSED if name in gone else BUSY for name in here if name not in accepted}
    taken = tuple(name for name in accepted if name in here)
    await queue.settle(queued, Outcome(accepted=taken, refused=refused))


async def fates(folder: Path) -> tuple[list[str], list[str]]:
    """Return who waits and who failed after a start, complete to the last byte."""
    queue = await start(folder)
    assert not queue.quarantined
    waiting: list[str] = []
    failed: list[str] = []
    for queued in queue.waiting:
        assert read(queue.spool, queued.spooled) == content_of(1)
        waiting += queued.recipients
    for entry in queue.failed:
        assert failed_content(queue.spool, entry.failure) == content_of(1)
        failed += entry.failure.spooled.entry.envelope.recipients
    return waiting, sorted(failed)


@pytest.mark.parametrize(("accepted", "gone"), SPLITS.values(), ids=SPLITS)
async def test_interrupted_settling_fails_a_recipient_once(
    disk: Disk, tmp_path: Path, accepted: tuple[str, ...], gone: tuple[str, ...]
) -> None:
    """A refused recipient fails once, and the next attempt changes nothing."""
    rest = [name for name in EVERYONE if name not in accepted + gone]
    for step in count(1):
        folder = tmp_path / str(step)
        queue = await start(folder)
        queued = await add(queue, 1, *EVERYONE)
        disk.spoil(step, PowerCutError())
        try:
            await settle(queue, queued, accepted, gone)
        except PowerCutError:
            cut_off = True
        else:
            cut_off = False
        disk.spoil(0, PowerCutError())
        waiting, failed = await fates(folder)
        assert not set(waiting).intersection(failed)
        assert {*waiting, *failed} >= {*gone, *rest}
        assert failed in ([[], sorted(gone)] if cut_off else [sorted(gone)])
        again = await start(folder)
        for queued in tuple(again.waiting):
            await settle(again, queued, accepted, gone)
        assert await fates(folder) == (rest, sorted(gone))
        if not cut_off:
            break
    assert step > 2


@pytest.mark.parametrize("refused", [(ANNA,), EVERYONE[::-1]], ids=["some", "everybody"])
async def test_interrupted_start_is_completed_by_the_next(
    disk: Disk, tmp_path: Path, refused: tuple[str, ...]
) -> None:
    """However often a start is interrupted while it repairs things, another one completes it."""
    for step in count(1):
        folder = tmp_path / str(step)
        queue = await start(folder)
        fail(queue.spool, (await add(queue, 1, *EVERYONE)).spooled, *refused)
        disk.spoil(step, PowerCutError())
        try:
            Spool(folder).open()
        except PowerCutError:
            cut_off = True
        else:
            cut_off = False
        disk.spoil(0, PowerCutError())
        rest = [name for name in EVERYONE if name not in refused]
        assert await fates(folder) == (rest, sorted(refused))
        if not cut_off:
            break
    assert step > 2


@pytest.mark.parametrize(("refused", "rest"), [((ANNA,), (BERT,)), ((BERT, ANNA), ())])
def test_start_on_a_broken_disk_fails_no_recipient_twice(
    spool: Spool,
    refused: tuple[str, ...],
    rest: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No recipient fails twice, even if the file still lists them as waiting."""
    kept = fail(spool, write(spool, 1, ANNA, BERT), *refused)

    def broken(*_: object) -> None:
        """Fail like a broken disk."""
        raise OSError(errno.EIO, "I/O error")

    for work in ("restrict", "delete"):
        monkeypatch.setattr(Spool, work, broken)
    contents = reopened(spool.folder)
    waiting = [one.entry.envelope.recipients for one in contents.waiting]
    assert waiting == ([rest] if rest else [])
    assert contents.failed == [kept]
    assert "still lists recipients that failed: I/O error" in caplog.text


def test_retry_before_the_disk_has_caught_up_sends_once(spool: Spool) -> None:
    """A refused recipient that is retried gets the message once, though two files list it."""
    spooled = write(spool, 1, ANNA, BERT)
    retried = spool.requeue(fail(spool, spooled, ANNA), 0.0)
    waiting = [(one.id, one.entry.envelope.recipients) for one in reopened(spool.folder).waiting]
    assert waiting == [(spooled.id, (BERT,)), (retried.id, (ANNA,))]


async def test_failed_message_is_offered_after_the_restriction(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed message is only offered once no crash can bring it back to the waiting ones."""
    queued = await add(queue, 1, ANNA, BERT)
    offered: list[int] = []
    restrict = queue.spool.restrict

    def restricted(spooled: Spooled, recipients: Sequence[str]) -> Spooled:
        """Record how many failed messages could be canceled."""
        offered.append(len(queue.failed))
        return restrict(spooled, recipients)

    monkeypatch.setattr(queue.spool, "restrict", restricted)
    await settle(queue, queued, (), (ANNA,))
    assert offered == [0]
    assert len(queue.failed) == 1
