"""The same with a complete Home Assistant and its REST API, a few times only because it is slow."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count as count_up
from pathlib import Path
from random import Random
from threading import Timer

import pytest

from tests.fake_microsoft import Script, Step

from .audit import Audit, Round, complaints, count, left_behind
from .flaky_server import FlakyServer
from .ledger import shares_in
from .sender_process import Order, outbox_of
from .supervisor import Life, wait_until
from .whole import KilledError, Whole


@pytest.mark.timeout(240)
def test_whole_home_assistant_loses_nothing(
    server: FlakyServer,
    folder: Path,
    chances: Random,
    report: Callable[[Audit], str],
) -> None:
    """Killed after a lost reply while the server is down, and during a call."""
    outbox = outbox_of(folder)
    rounds: list[Round] = []
    numbers = count_up(1)

    def send(life: Life) -> None:
        """Send the next message."""
        number = next(numbers)
        life.calls[number] = number
        receipt = whole.send(number)
        life.statuses.append(receipt["status"])
        life.acknowledged[number] = receipt["message_id"]

    with Whole(folder, server.ca_file) as whole:

        @contextmanager
        def life(*, finish: bool = False) -> Iterator[Life]:
            """Run Home Assistant, and collect what the server receives meanwhile."""
            before = len(server.received)
            order = Order(number=0, step=0, seed=0, finish=finish)
            one = Life(order, found=len(left_behind(outbox)), found_shares=shares_in(outbox))
            whole.start()
            yield one
            whole.kill()
            server.wait_for_silence()
            rounds.append(Round(one, tuple(server.received[before:])))

        with life() as first:
            # The first check must be over before anything is scripted for the next connection.
            wait_until(lambda: server.connections > 0)
            server.wait_for_silence()
            server.script_next(Script(drop=Step.FINAL, keep=True))
            send(first)
            server.stop()
            send(first)
            send(first)
        server.start()
        with life() as second:
            server.trouble = 0.5
            killer = Timer(chances.uniform(0, 0.5), whole.kill)
            killer.start()
            with suppress(KilledError):
                for _ in range(4):
                    send(second)
            killer.join()
            server.trouble = 0.0
        with life(finish=True) as last:
            send(last)
            # A sent message is deleted a moment after the server's reply.
            wait_until(lambda: left_behind(outbox) == [])
    result = count(rounds)
    summary = report(result)
    assert result.wrongs == {}, summary
    assert first.statuses == ["queued"] * 3
    assert result.by_drop >= 1
    assert complaints(whole.log) == [], summary
