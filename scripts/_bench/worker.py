"""One measurement in a process of its own: `python -m scripts._bench.worker ORDER`."""

import asyncio
from dataclasses import asdict
import json
import logging
import os
import sys
from typing import Final
import warnings

from homeassistant.runner import create_event_loop

from .integrations import Builtin, Ours
from .meter import Figures, measured
from .orders import Order, Scenario, Way
from .sender import Plain, Sender

WATCHED_FOR: Final = 10.0  # Seconds; what stalls the loop does so from the beginning.
SENDERS: Final[dict[Way, type[Sender]]] = {
    Way.BUILTIN: Builtin,
    Way.AIOSMTPLIB: Plain,
    Way.OURS: Ours,
    Way.PIPELINING: Ours,
}


async def measure(order: Order) -> Figures:
    """Carry out an order."""
    figures = Figures()
    sender = SENDERS[order.way](order)
    await sender.open()
    if order.scenario in (Scenario.WARM, Scenario.BIG):
        await sender.send(-1)
    if order.scenario is Scenario.QUEUE:
        await sender.fill(order.count)
    try:
        async with (
            measured(figures, watched=order.watched),
            asyncio.timeout(WATCHED_FOR if order.watched else None) as limit,
        ):
            await _send(sender, order)
    except TimeoutError:
        if not limit.expired():
            raise
        figures.broken_off = True
    return figures


async def _send(sender: Sender, order: Order) -> None:
    """Do what is measured."""
    match order.scenario:
        case Scenario.COLD:
            await sender.send(0)
        case Scenario.WARM:
            for number in range(order.count):
                await sender.send(number)
        case Scenario.BURST:
            await sender.send_all(order.count)
        case Scenario.BIG:
            await sender.send(0, big=True)
        case Scenario.QUEUE:
            await sender.drain(order.count)


def main() -> None:
    """Print the figures as a line of JSON."""
    logging.basicConfig(level=logging.ERROR)
    # What is broken off leaves coroutines behind that nobody awaits.
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
    order = Order.read(sys.argv[1])
    with asyncio.Runner(loop_factory=create_event_loop) as runner:
        figures = runner.run(measure(order))
        print(json.dumps(asdict(figures)), flush=True)
        # Home Assistant has threads that would have to be stopped first.
        os._exit(0)


if __name__ == "__main__":
    main()
