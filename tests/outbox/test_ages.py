"""Ages survive a restart without the time of day, and failed messages stay visible."""

import time

from freezegun.api import FrozenDateTimeFactory
import pytest

from custom_components.outlook_smtp.outbox.ages import AGES_FILE
from custom_components.outlook_smtp.outbox.queue import Queue
from custom_components.outlook_smtp.outbox.spool import Spool
from custom_components.outlook_smtp.outbox.terms import Terms
from tests.promises import KEEP_FAILED

from .helpers import REFUSED, add, fail, files, started_again, write

DAY = 86_400.0


async def waiting_for(queue: Queue) -> float:
    """Return the known age of the one message in a restarted queue."""
    [queued] = (await started_again(queue)).waiting
    return time.monotonic() - queued.known


async def test_ages_add_up_over_restarts(queue: Queue, freezer: FrozenDateTimeFactory) -> None:
    """The time that Home Assistant was off is unknown, and there is no file without messages."""
    await add(queue)
    for hours in (1, 2, 3):
        freezer.tick(3600)
        await queue.save_ages()
        freezer.tick(DAY)
        queue = await started_again(queue)
        assert time.monotonic() - queue.waiting[0].known == pytest.approx(hours * 3600)
    await queue.cancel(queue.waiting[0].spooled.id)
    await queue.save_ages()
    assert files(queue.spool.folder) == []
    await queue.save_ages()


async def test_retried_message_is_new(queue: Queue, freezer: FrozenDateTimeFactory) -> None:
    """A retried message has a full lifetime again, and one that fails a full week."""
    queued = await add(queue)
    freezer.tick(DAY)
    await queue.save_ages()
    await queue.refuse(queued, REFUSED)
    [failed] = (await started_again(queue)).failed
    assert failed.since == pytest.approx(time.monotonic(), abs=5)
    await queue.save_ages()
    freezer.tick(DAY)
    await queue.retry()
    assert await waiting_for(queue) == pytest.approx(0, abs=5)


@pytest.mark.parametrize("content", ["", "[]", '{"waiting/%s": %s}'])
@pytest.mark.parametrize("age", ['"old"', "null", "true", "NaN", "Infinity", "-5.0", "1e400"])
async def test_invalid_ages_are_ignored(queue: Queue, content: str, age: str) -> None:
    """A file that was edited, or is from another version, makes nothing older."""
    queued = await add(queue)
    text = content % (queued.spooled.name, age) if "%" in content else content
    (queue.spool.folder / AGES_FILE).write_text(text)
    assert await waiting_for(queue) == pytest.approx(0, abs=5)


async def test_unwritable_ages_do_no_harm(queue: Queue) -> None:
    """A message then stays a little longer."""
    await add(queue)
    (queue.spool.folder / AGES_FILE).mkdir()
    await queue.save_ages()
    assert await waiting_for(queue) == pytest.approx(0, abs=5)


@pytest.mark.parametrize("behind", [8 * DAY, 30 * DAY])
async def test_failed_message_stays_for_a_day_after_a_start(
    spool: Spool, queue: Queue, freezer: FrozenDateTimeFactory, behind: float
) -> None:
    """A clock that was behind makes it look old; it can still be seen and retried."""
    fail(spool, write(spool), failed_at=time.time() - behind)
    queue = await started_again(queue)
    freezer.tick(DAY - 1)
    await queue.expire(Terms(DAY), time.monotonic())
    assert len(queue.failed) == 1
    freezer.tick(2)
    await queue.expire(Terms(DAY), time.monotonic())
    assert not queue.failed


async def test_week_old_message_is_deleted_despite_restarts(
    queue: Queue, freezer: FrozenDateTimeFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that stands still keeps nothing forever."""
    await queue.refuse(await add(queue), REFUSED)
    frozen = time.time()
    monkeypatch.setattr(time, "time", lambda: frozen)
    for _ in range(14):
        assert len(queue.failed) == 1
        freezer.tick(KEEP_FAILED / 14)
        await queue.save_ages()
        queue = await started_again(queue)
    await queue.expire(Terms(DAY), time.monotonic())
    assert not queue.failed
