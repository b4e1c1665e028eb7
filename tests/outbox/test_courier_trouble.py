"""What is nobody's ordinary fault: spoiled files, surprises, and an endless "try again"."""

from collections.abc import Callable
import time

from freezegun.api import FrozenDateTimeFactory
import pytest

from custom_components.outlook_smtp.outbox.delivery import Contact, Delivery, Event
from custom_components.outlook_smtp.outbox.item import Item
from custom_components.outlook_smtp.outbox.queue import Queue
from custom_components.outlook_smtp.smtp.content import Content
from custom_components.outlook_smtp.smtp.faults import Kind, Problem, SubmissionError
from custom_components.outlook_smtp.smtp.session import Session
from custom_components.outlook_smtp.smtp.submission import Envelope, Outcome
from tests.conftest import until
from tests.promises import FIRST_DELAY, MAX_AUTH_FAILURES, MAX_SETBACKS
from tests.standin import CATALOGUE, Script, StandIn

from .courier_helpers import DAY, HOUR, all_done, courier_on, let_pass, numbers, running, unpaced
from .helpers import ANNA, add

ROWS = {row.name: row for row in CATALOGUE}


def damage(item: Item, queue: Queue) -> None:
    """Change the last byte of a message."""
    path = queue.spool.folder / "waiting" / item.spooled.name
    path.write_bytes(path.read_bytes()[:-1] + b"!")


def replace(item: Item, queue: Queue) -> None:
    """Put a folder in the place of a message."""
    path = queue.spool.folder / "waiting" / item.spooled.name
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("spoil", [damage, replace])
async def test_a_message_whose_file_is_spoiled_is_given_up_and_the_others_go(
    standin: StandIn,
    queue: Queue,
    told: list[Delivery],
    caplog: pytest.LogCaptureFixture,
    spoil: Callable[[Item, Queue], None],
) -> None:
    """It is told as failed, and named in the log."""
    lost = await add(queue, 1)
    await add(queue, 2)
    spoil(lost, queue)
    async with running(courier_on(standin, queue)):
        await until(lambda: not queue.items)
    assert numbers(standin) == [2]
    turns = [turn.event for turn in told if turn.id == lost.spooled.id]
    assert turns == [Event.QUEUED, Event.FAILED]
    assert lost.spooled.id in caplog.text


@pytest.mark.parametrize("error", [RuntimeError, TimeoutError, FileNotFoundError])
async def test_what_nobody_foresaw_puts_a_message_off_and_stops_nothing(
    standin: StandIn,
    queue: Queue,
    freezer: FrozenDateTimeFactory,
    monkeypatch: pytest.MonkeyPatch,
    error: type[Exception],
) -> None:
    """It counts as if the server had put the message off: in the end the others pass."""
    submit = Session.submit

    async def fail(
        session: Session, envelope: Envelope, content: Content, *, careful: bool
    ) -> Outcome:
        if b"Subject: 1\r" in content.file.read():
            raise error
        return await submit(session, envelope, content, careful=careful)

    async with running(courier_on(standin, queue)) as courier:
        with monkeypatch.context() as patch:
            patch.setattr(Session, "submit", fail)
            item = await add(queue, 1)
            await add(queue, 2)
            for _ in range(MAX_SETBACKS):
                await all_done(queue)
                wait = courier.due(queue.items[-1]) - time.monotonic()
                await let_pass(freezer, queue, wait + 0.001)
            assert numbers(standin) == [2]
            assert item.fault
            assert item.fault.problem is Problem.UNFORESEEN
        await courier.flush()
        await all_done(queue)
    assert numbers(standin) == [2, 1]


async def test_trouble_between_two_messages_stops_nothing(
    standin: StandIn,
    queue: Queue,
    freezer: FrozenDateTimeFactory,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The courier rests for a moment, and goes on."""

    async def fail(*_: object) -> None:
        raise RuntimeError("nobody foresaw this")

    with monkeypatch.context() as patch:
        patch.setattr(queue, "expire", fail)
        courier = courier_on(standin, queue)
        await courier.start()
        await add(queue)
        await all_done(queue)
        assert not standin.received
        assert caplog.text.count("Unforeseen trouble in the outbox") <= 2
    await let_pass(freezer, queue, 15.1)
    assert numbers(standin) == [1]
    await courier.stop()


async def test_a_follower_who_fails_neither_stops_nor_doubles_a_message(
    standin: StandIn, queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    """A message that the server took is not sent again for the trouble of others."""

    class Broken(list[Contact]):
        """Takes no contact."""

        def append(self, _: Contact) -> None:
            """Fail."""
            raise RuntimeError("nobody foresaw this")

    async with running(courier_on(standin, queue, contacts=Broken(), schedule=unpaced())):
        item = await add(queue, 1)
        await add(queue, 2)
        await until(lambda: not queue.items)
    assert numbers(standin) == [1, 2]
    assert item.verdict
    assert item.verdict.result().accepted == (ANNA,)
    assert "nobody foresaw this" in caplog.text


async def test_an_endless_try_again_at_the_sign_in_ends_as_a_matter_of_credentials(
    standin: StandIn, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """After ten it holds all messages and is told as such, and no message is the worse for it."""
    standin.script = Script.for_row(ROWS["temporary_server_error"])
    contacts: list[Contact] = []
    async with running(courier_on(standin, queue, contacts=contacts)) as courier:
        item = await add(queue)
        await all_done(queue)
        for _ in range(MAX_AUTH_FAILURES - 1):
            assert courier.hold is None
            await let_pass(freezer, queue, HOUR)
        kinds = [contact.fault.kind for contact in contacts if contact.fault]
        assert kinds == [Kind.TRANSIENT] * (MAX_AUTH_FAILURES - 1) + [Kind.CREDENTIALS]
        assert courier.hold
        assert courier.hold.fault.problem is Problem.TEMPORARY_AUTH_FAILURE
        assert (item.tries, item.setbacks) == (0, 0)
        await let_pass(freezer, queue, DAY)
        assert standin.connections == MAX_AUTH_FAILURES
        standin.script = Script()
        await courier.check()
        await all_done(queue)
    assert numbers(standin) == [1]


async def test_checks_count_towards_the_end_of_patience_with_the_sign_in(
    standin: StandIn, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """An account that sends nothing learns of it, too, and one success starts the count anew."""
    courier = courier_on(standin, queue)

    async def checked() -> Kind:
        freezer.tick(FIRST_DELAY)
        with pytest.raises(SubmissionError) as caught:
            await courier.check()
        return caught.value.fault.kind

    patient = [Kind.TRANSIENT] * (MAX_AUTH_FAILURES - 1)
    standin.script = Script.for_row(ROWS["temporary_server_error"])
    assert [await checked() for _ in patient] == patient
    standin.script = Script()
    await courier.check()
    standin.script = Script.for_row(ROWS["temporary_server_error"])
    assert [await checked() for _ in patient] == patient
    assert courier.hold is None
    assert await checked() is Kind.CREDENTIALS
    assert courier.hold
