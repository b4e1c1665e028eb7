"""The benchmark measures what it says: its lines, its targets, and that messages arrive."""

import asyncio
import time
from typing import Any

import pytest

from scripts._bench import relay, run
from scripts._bench.orders import Scenario
from scripts._bench.plan import Plan
from scripts._bench.processes import BenchError
from scripts._bench.targets import Target

DELAY = 0.1


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say what is heard, up to its end."""
    while piece := await reader.read(2**16):
        writer.write(piece)
    writer.write_eof()
    writer.close()


async def test_a_line_delays_everything_by_what_it_says_and_keeps_the_order(
    socket_enabled: None,
) -> None:
    """Nothing comes back sooner than after the delay, and all of it in order, its end too."""
    server = await asyncio.start_server(_echo, "127.0.0.1")
    line = await relay.lay(relay.port_of(server), DELAY)
    reader, writer = await asyncio.open_connection("127.0.0.1", relay.port_of(line))
    said = [f"{number}\n".encode() for number in range(200)]
    async with server, line:
        began = time.monotonic()
        for piece in said:
            writer.write(piece)
            await asyncio.sleep(0)
        writer.write_eof()
        first = await reader.read(1)
        took = time.monotonic() - began
        rest = await reader.read()
        writer.close()
        await writer.wait_closed()

    assert took >= DELAY
    assert first + rest == b"".join(said)


@pytest.mark.parametrize(
    ("measured", "at_least", "reached"),
    [
        (7.9, False, True),
        (8.0, False, True),
        (8.1, False, False),
        (7.9, True, False),
        (8.0, True, True),
        (8.1, True, True),
    ],
)
def test_a_target_is_a_limit_from_above_or_from_below(
    measured: float, at_least: bool, reached: bool
) -> None:
    """What is measured may be the limit, and may pass it in one direction only."""
    target = Target("It", measured, 8, "s", at_least=at_least)

    assert target.reached is reached
    assert target.wanted == f"at {'least' if at_least else 'most'} 8 s"


async def test_a_message_that_the_server_did_not_get_ends_the_run(
    monkeypatch: pytest.MonkeyPatch, socket_enabled: None
) -> None:
    """Who says that a message is sent is not believed: the server is asked."""

    async def claim(*_: Any, **__: Any) -> dict[str, float]:
        """Send nothing, and say that it went well."""
        return {"elapsed": 0.001}

    monkeypatch.setattr(run, "ask", claim)
    plan = Plan(delays=(0,), scenarios=(Scenario.COLD,), quick=True, once=False, full=False)

    with pytest.raises(BenchError, match="got 0 messages instead of 1: cold, builtin, 0 ms"):
        await run.carry_out(plan)
