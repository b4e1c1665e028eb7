"""The process to kill: Home Assistant with the integration and one account, sending.

Run as `python -m tests.crash.sender_process`, it imports everything once. For each place and order,
a line of JSON on standard input, it forks a new process that starts Home Assistant there, with the
outbox of the previous one, and sends messages until it is killed. Both report events on standard
output, one line per event, without buffering.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import count
import json
import logging
import os
from pathlib import Path
from pkgutil import walk_packages
from random import Random
import select
import signal
import sys
import time
from typing import Any, Final

from homeassistant.core import HomeAssistant, SupportsResponse
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers.storage import STORAGE_DIR
from homeassistant.util.ssl import get_default_context

from custom_components import outlook_smtp
from custom_components.outlook_smtp.auth.clouds import CLOUDS, WORLDWIDE
from custom_components.outlook_smtp.const import DOMAIN
from custom_components.outlook_smtp.outbox.queue import Queue
from tests import home

from .messages import message_of
from .switching import switch_until_sent
from .telling import halt, instrument, tell, tell_found

_LOGGER = logging.getLogger("sender process")  # The module itself has another name here.

REFUSALS: Final = ("all_recipients_refused", "message_refused")  # Errors with that meaning.
# What Home Assistant imports while it starts, apart from the integration and its dependencies.
IMPORTED: Final = (
    "aiohttp_fast_zlib",
    "homeassistant.auth.mfa_modules.totp",
    "homeassistant.components.button.trigger",
    "homeassistant.components.event.trigger",
    "homeassistant.components.homeassistant.trigger",
    "homeassistant.components.http.websocket_api",
    "homeassistant.components.persistent_notification.trigger",
    "homeassistant.components.switch.condition",
    "homeassistant.components.switch.trigger",
)
LONGEST_PAUSE: Final = 0.03  # Seconds between two steps.


@dataclass(frozen=True, kw_only=True)
class Order:
    """The task of a sender process: its first number, its seed, and whether to finish.

    The messages of a step are sent at once, steps one after another. A process that should finish
    sends a few more messages, retries failed ones, and exits when the outbox is empty. `clock` is
    the error of the initial time of day in seconds, and `set_after` the number of steps after which
    it is corrected. With `meddle`, it cancels and retries messages at random, and at the beginning
    of the phase `halt`, the whole process stops. With `fill`, it only queues messages up to that
    number; with `switch`, it sends none of its own, but switches routes until none is waiting.
    """

    number: int
    step: int
    seed: int
    finish: bool
    clock: float = 0.0
    set_after: int | None = None
    meddle: bool = False
    halt: str = ""
    fill: int = 0
    switch: bool = False


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where sender processes live: Home Assistant's folder, its log, and the servers around it.

    `ca_file` is the CA that they trust, and `cloud` has the addresses that replace those of
    Microsoft's cloud.
    """

    folder: str
    log: str
    ca_file: str
    cloud: dict[str, str]

    def move_in(self) -> None:
        """Let this process log here, and use the servers."""
        os.dup2(os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT), sys.stderr.fileno())
        os.environ["REQUESTS_CA_BUNDLE"] = self.ca_file
        get_default_context().load_verify_locations(self.ca_file)  # It exists already.
        CLOUDS[WORLDWIDE] = replace(CLOUDS[WORLDWIDE], **self.cloud)  # type: ignore[arg-type] # All texts.


def outbox_of(folder: Path) -> Path:
    """Return the folder of the account's outbox."""
    return folder / STORAGE_DIR / f"{DOMAIN}.{home.ENTRY_ID}.outbox"


class WrongClock:
    """A time of day that is wrong by some seconds until it is set; other clocks are correct."""

    def __init__(self, wrong_by: float) -> None:
        """Replace the clock in this process."""
        self._right = time.time
        self._wrong_by = wrong_by
        time.time = self.now

    def now(self) -> float:
        """Return the time of day that this machine assumes."""
        return self._right() + self._wrong_by

    def set_right(self, step: int) -> None:
        """Jump to the right time before a step."""
        if self._wrong_by:
            tell("clock", step)
        self._wrong_by = 0.0


class Sender:
    """Sends numbered messages, and reports the results."""

    def __init__(self, hass: HomeAssistant, order: Order) -> None:
        """Start as ordered."""
        self._hass = hass
        self._number = order.number
        self._step = order.step
        self._meddle = order.meddle
        self._random = Random(order.seed)  # noqa: S311

    async def send_step(self) -> None:
        """Send the messages of a step at once, then pause occasionally."""
        count = self._random.choice((1, 1, 1, 2, 4))
        works = [self._send(self._number + index, self._step) for index in range(count)]
        self._number += count
        self._step += 1
        if self._meddle:
            works += [self._cancel(), self._retry()]
        await asyncio.gather(*works)
        if self._random.random() < 0.4:
            tell("+idle")
            await asyncio.sleep(self._random.uniform(0, LONGEST_PAUSE))
            tell("-idle")

    async def fill(self, number: int) -> None:
        """Send messages up to a number."""
        while self._number <= number:
            await self.send_step()

    async def _send(self, number: int, step: int) -> None:
        """Send a message with the action, as an automation does."""
        tell("call", number, step)
        try:
            receipt = await self.act("send_message", **self.outgoing(number))
        except Exception as error:  # noqa: BLE001 - The test reports any error.
            self.tell_error(number, error)
        else:
            tell("ack", number, receipt["status"], receipt["message_id"])

    def outgoing(self, number: int) -> dict[str, Any]:
        """Return a message."""
        return message_of(number)

    def tell_error(self, number: int, error: Exception) -> None:
        """Report what happened to a message that was not sent."""
        match error:
            case HomeAssistantError(translation_key=key) if key in REFUSALS:
                tell("refused", number)
            case HomeAssistantError(translation_key="message_cancelled"):
                pass  # The caller that canceled it reports that.
            case _:
                tell("error", number, repr(error))

    async def _cancel(self) -> None:
        """Cancel, every third time, a waiting or failed message."""
        listed = await self.act("list_outbox")
        messages = listed["waiting"] + listed["failed"]
        if messages and self._random.random() < 0.3:
            with suppress(ServiceValidationError):  # It is in progress, or already gone.
                await self.act("cancel_message", id=self._random.choice(messages)["id"])

    async def _retry(self) -> None:
        """Retry, every third time, one or all failed messages."""
        failed = (await self.act("list_outbox"))["failed"]
        if failed and self._random.random() < 0.3:
            chosen = self._random.choice((*failed, None))
            with suppress(ServiceValidationError):  # Already gone.
                await self.act("retry_failed", **({"id": chosen["id"]} if chosen else {}))

    async def act(self, action: str, **data: Any) -> dict[str, Any]:
        """Call an action, as an automation does."""
        services = self._hass.services
        answers = services.supports_response(DOMAIN, action) is not SupportsResponse.NONE
        response: Any = await services.async_call(
            DOMAIN, action, data, blocking=True, return_response=answers
        )
        return response or {}

    async def finish(self, queue: Queue) -> None:
        """Send a few more messages, retry the failed ones, and wait until all are sent."""
        for _ in range(3):
            await self.send_step()
        await self.act("retry_failed")
        while queue.waiting or queue.under_way:  # noqa: ASYNC110 - It has no event for that.
            await asyncio.sleep(0.01)


async def live(folder: Path, order: Order) -> None:
    """Send messages until killed, or until all are sent."""
    halt.phase = order.halt
    clock = WrongClock(order.clock)
    hass = await home.start(folder, DOMAIN)
    queue: Queue = home.entry_of(hass, DOMAIN).runtime_data.queue
    tell_found(queue)
    tell("ready", len(queue.waiting))
    sender = Sender(hass, order)
    if order.fill:
        await sender.fill(order.fill)
    elif order.switch:
        await sender.act("retry_failed")
        await switch_until_sent(hass, queue, Random(order.seed))  # noqa: S311
        if not order.finish:
            await asyncio.Event().wait()
    else:
        await _send_steps(sender, order, clock)
        await sender.finish(queue)
    await hass.async_stop(force=True)


async def _send_steps(sender: Sender, order: Order, clock: WrongClock) -> None:
    """Send messages until killed, unless the process should finish."""
    steps = count()
    while not order.finish:
        if (step := next(steps)) == order.set_after:
            clock.set_right(step)
        await sender.send_step()


def run_sender_process(task: dict[str, Any]) -> None:
    """Run the process that will be killed."""
    try:
        place = Place(**task["place"])
        place.move_in()
        asyncio.run(live(Path(place.folder), Order(**task["order"])))
    except BaseException:
        _LOGGER.exception("The sender process died of itself")
        os._exit(1)
    os._exit(0)


def watch(sender: int) -> int:
    """Wait for a sender process, kill it if the test is gone, and return its exit status."""
    descriptor = os.pidfd_open(sender)
    try:
        ended, _, _ = select.select([descriptor, sys.stdin.fileno()], [], [])
        if descriptor not in ended:
            os.kill(sender, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(sender, 0)[1])
    finally:
        os.close(descriptor)


def import_all() -> None:
    """Import what Home Assistant otherwise imports while it starts."""
    ours = walk_packages(outlook_smtp.__path__, f"{outlook_smtp.__name__}.")
    for name in (*(module.name for module in ours), *IMPORTED):
        import_module(name)


def main() -> None:
    """Start one sender process after another."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    import_all()
    instrument()
    tell("prepared")
    # Unbuffered, because select() on the descriptor tells whether there is another order.
    orders = os.fdopen(sys.stdin.fileno(), "rb", buffering=0, closefd=False)
    while line := orders.readline():
        began = time.monotonic()
        if not (sender := os.fork()):
            run_sender_process(json.loads(line))
        tell("forked", sender)
        status = watch(sender)
        tell("dead", status, f"{time.monotonic() - began:.3f}")


if __name__ == "__main__":
    main()
