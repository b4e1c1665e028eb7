"""Keep the demo running: print what arrives, and let a person break the server."""

from contextlib import suppress
from queue import Empty, SimpleQueue
import threading
from typing import Final

from tests.fake_microsoft import IMAP_GREETING, Script

from .api import Api
from .console import DemoError, detail, show_email, show_state
from .fakes import ROWS, Fakes
from .story import SENSOR

HELP: Final = """
    Type here what the mail server should do; Home Assistant then checks the account:

    stop         be gone                              start    be back
    row NAME     refuse, in Microsoft's words         rows     list the names
    imap         greet as an IMAP server does         normal   behave again
    check        only check the account               help     show this again

    A refusal of the account turns the sensor off at once (try: row basic_auth_disabled). A
    temporary problem, like a server that is gone, does so if it is still there a minute later."""

CHECK: Final = "button.demo_outlook_com_check_now"
REFUSAL_DELAY: Final = 5.0  # Seconds; Microsoft's.
PAUSE: Final = 0.2  # Seconds between two polls.


def read_keyboard() -> SimpleQueue[str]:
    """Return a queue of typed lines, read in a thread because not every input can be polled."""
    lines: SimpleQueue[str] = SimpleQueue()

    def read() -> None:
        """Read until the input ends; unbuffered, because a buffer's lock would delay the exit."""
        with suppress(OSError), open(0, "rb", buffering=0, closefd=False) as keyboard:
            for line in keyboard:
                lines.put(line.decode(errors="replace"))

    threading.Thread(target=read, name="keyboard", daemon=True).start()
    return lines


def stand_by(api: Api, fakes: Fakes, typed: SimpleQueue[str]) -> None:
    """Print incoming email and changes, and run commands, until Home Assistant ends."""
    shown = None
    while True:
        while fakes.receiver.received:
            show_email(fakes.receiver.received.pop(0))
        state = api.state(SENSOR)
        now = (state["state"], state["attributes"])
        if shown not in (None, now):
            show_state(state)
        shown = now
        with suppress(Empty):
            command, _, name = typed.get(timeout=PAUSE).strip().partition(" ")
            if command and _run_command(fakes, command, name.strip()):
                detail(f"Done: {command} {name}. Checking the account…")
                # A failed check is an error of the button; the sensor shows the same.
                with suppress(DemoError):
                    api.call("button.press", {"entity_id": CHECK})


def _run_command(fakes: Fakes, command: str, name: str) -> bool:
    """Run a command, and return whether to check the account."""
    match command:
        case "stop":
            fakes.receiver.stop()
        case "start":
            with suppress(RuntimeError):  # Already running.
                fakes.receiver.start()
        case "normal":
            fakes.server.script = Script()
        case "imap":
            fakes.server.script = Script(greeting=IMAP_GREETING)
        case "row" if name in ROWS:
            row = ROWS[name]
            replies = {row.step: row.reply}
            fakes.server.script = Script(replies=replies, refusal_delay=REFUSAL_DELAY)
        case "row" | "rows":
            print("\n    ".join(["", *ROWS]), flush=True)
            return False
        case "check":
            pass
        case _:
            print(HELP, flush=True)
            return False
    return True
