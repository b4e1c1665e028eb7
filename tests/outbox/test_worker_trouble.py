"""Unusual problems: damaged files, unexpected errors, and an endless "try again"."""

from collections.abc import Callable
import time

from freezegun.api import FrozenDateTimeFactory
import pytest

from custom_components.outlook_smtp.delivery.faults import Kind, Problem, SubmissionError
from custom_components.outlook_smtp.delivery.outcome import Outcome
from custom_components.outlook_smtp.outbox.events import Attempt, Delivery, Event
from custom_components.outlook_smtp.outbox.queue import Queue
from custom_components.outlook_smtp.outbox.queued import QueuedMessage
from custom_components.outlook_smtp.smtp.transaction import Transaction
from tests.conftest import until
from tests.fake_microsoft import CATALOGUE, FakeServer, Script
from tests.promises import FIRST_DELAY, MAX_AUTH_FAILURES, MAX_DEFERRALS

from .helpers import ANNA, add, receipt_of
from .worker_helpers import DAY, HOUR, all_done, let_pass, numbers, running, unpaced, worker_on

ROWS = {row.name: row for row in CATALOGUE}


def damage(queued: QueuedMessage, queue: Queue) -> None:
    """Change the last byte of a message."""
    path = queue.spool.folder / "waiting" / queued.spooled.name
    path.write_bytes(path.read_bytes()[:-1] + b"!")


def replace(queued: QueuedMessage, queue: Queue) -> None:
    """Replace a message with a folder."""
    path = queue.spool.folder / "waiting" / queued.spooled.name
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("spoil", [damage, replace])
async def test_message_with_a_damaged_file_fails_and_others_are_sent(
    fake_server: FakeServer,
    queue: Queue,
    told: list[Delivery],
    caplog: pytest.LogCaptureFixture,
    spoil: Callable[[QueuedMessage, Queue], None],
) -> None:
    """It is reported as failed, and named in the log."""
    lost = await add(queue, 1)
    await add(queue, 2)
    spoil(lost, queue)
    async with running(worker_on(fake_server, queue)):
        await until(lambda: not queue.waiting)
    assert numbers(fake_server) == [2]
    turns = [turn.event for turn in told if turn.id == lost.spooled.id]
    assert turns == [Event.QUEUED, Event.FAILED]
    assert lost.spooled.id in caplog.text


@pytest.mark.parametrize("error", [RuntimeError, TimeoutError, FileNotFoundError])
async def test_unexpected_error_defers_a_message(
    fake_server: FakeServer,
    queue: Queue,
    freezer: FrozenDateTimeFactory,
    monkeypatch: pytest.MonkeyPatch,
    error: type[Exception],
) -> None:
    """It counts as if the server had deferred the message: in the end, the others go first."""
    run = Transaction.run

    async def fail(transaction: Transaction) -> Outcome:
        if b"Subject: 1\r" in transaction._content.file.read():
            raise error
        return await run(transaction)

    async with running(worker_on(fake_server, queue)) as worker:
        with monkeypatch.context() as patch:
            patch.setattr(Transaction, "run", fail)
            queued = await add(queue, 1)
            await add(queue, 2)
            for _ in range(MAX_DEFERRALS):
                await all_done(queue)
                wait = worker.next_try(queue.waiting[-1]) - time.monotonic()
                await let_pass(freezer, queue, wait + 0.001)
            assert numbers(fake_server) == [2]
            assert queued.fault
            assert queued.fault.problem is Problem.UNFORESEEN
        await worker.flush()
        await all_done(queue)
    assert numbers(fake_server) == [2, 1]


async def test_error_between_two_messages_stops_nothing(
    fake_server: FakeServer,
    queue: Queue,
    freezer: FrozenDateTimeFactory,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The delivery worker pauses for a moment, and continues."""

    async def fail(*_: object) -> None:
        raise RuntimeError("nobody foresaw this")

    with monkeypatch.context() as patch:
        patch.setattr(queue, "expire", fail)
        worker = worker_on(fake_server, queue)
        await worker.start()
        await add(queue)
        await all_done(queue)
        assert not fake_server.received
        assert caplog.text.count("Unexpected error in the outbox") <= 2
    await let_pass(freezer, queue, 15.1)
    assert numbers(fake_server) == [1]
    await worker.stop()


async def test_failing_listener_affects_no_delivery(
    fake_server: FakeServer, queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    """A message that the server accepted is not sent again because of a broken listener."""

    class Broken(list[Attempt]):
        """Takes no attempt."""

        def append(self, _: Attempt) -> None:
            """Fail."""
            raise RuntimeError("nobody foresaw this")

    async with running(worker_on(fake_server, queue, attempts=Broken(), schedule=unpaced())):
        queued = await add(queue, 1)
        await add(queue, 2)
        await until(lambda: not queue.waiting)
    assert numbers(fake_server) == [1, 2]
    assert receipt_of(queued).accepted == (ANNA,)
    assert "nobody foresaw this" in caplog.text


async def test_repeated_try_again_holds_as_refused_credentials(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """After ten, it holds all messages as such, and no message is affected."""
    fake_server.script = Script.for_row(ROWS["temporary_server_error"])
    attempts: list[Attempt] = []
    async with running(worker_on(fake_server, queue, attempts=attempts)) as worker:
        queued = await add(queue)
        await all_done(queue)
        for _ in range(MAX_AUTH_FAILURES - 1):
            assert worker.hold is None
            await let_pass(freezer, queue, HOUR)
        kinds = [attempt.fault.kind for attempt in attempts if attempt.fault]
        assert kinds == [Kind.TRANSIENT] * (MAX_AUTH_FAILURES - 1) + [Kind.CREDENTIALS]
        assert worker.hold
        assert worker.hold.fault.problem is Problem.TEMPORARY_AUTH_FAILURE
        assert (queued.tries, queued.deferrals) == (0, 0)
        await let_pass(freezer, queue, DAY)
        assert fake_server.connections == MAX_AUTH_FAILURES
        fake_server.script = Script()
        await worker.check()
        await all_done(queue)
    assert numbers(fake_server) == [1]


async def test_checks_count_towards_refused_credentials(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """An account that sends nothing notices it, too, and one success resets the count."""
    worker = worker_on(fake_server, queue)

    async def checked() -> Kind:
        freezer.tick(FIRST_DELAY)
        with pytest.raises(SubmissionError) as caught:
            await worker.check()
        return caught.value.fault.kind

    patient = [Kind.TRANSIENT] * (MAX_AUTH_FAILURES - 1)
    fake_server.script = Script.for_row(ROWS["temporary_server_error"])
    assert [await checked() for _ in patient] == patient
    fake_server.script = Script()
    await worker.check()
    fake_server.script = Script.for_row(ROWS["temporary_server_error"])
    assert [await checked() for _ in patient] == patient
    assert worker.hold is None
    assert await checked() is Kind.CREDENTIALS
    assert worker.hold
