"""Run the soak test: `python -m tests.soak [--minutes N] [--seed N]`."""

from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
import json
import os
from pathlib import Path
from random import Random
from secrets import randbelow
import subprocess
import sys
from tempfile import TemporaryDirectory
import threading
import time
from typing import Final

from homeassistant.const import CONF_EMAIL, CONF_HOST, CONF_PASSWORD, CONF_PORT

from custom_components.outlook_smtp.const import (
    CONF_ACCOUNT_KIND,
    CONF_FLOOD_LIMIT,
    CONF_SECURITY,
    DOMAIN,
)
from custom_components.outlook_smtp.smtp.settings import AccountKind, Security
from tests.crash.audit import complaints
from tests.crash.ledger import Ledger, shown
from tests.crash.sender_process import Order
from tests.crash.supervisor import PROJECT, Life
from tests.home import write_entry

from .verdict import Verdict
from .weather import Server

ADDRESS: Final = "me@outlook.com"
PASSWORD: Final = "right-password"
LONGEST_CALM: Final = 3.0  # Seconds between two changes of the server's faults.
LAST_WAIT: Final = 150.0  # Seconds until Home Assistant has ended.


@dataclass
class Observer:
    """Collects what Home Assistant reports."""

    life: Life = field(default_factory=lambda: Life(Order(number=1, step=1, seed=0, finish=True)))
    samples: list[dict[str, float]] = field(default_factory=list)
    turned_away: Counter[str] = field(default_factory=Counter)
    reloads: int = 0
    left: int | None = None  # Not yet reported.

    def listen(self, lines: Iterable[str]) -> None:
        """Read everything until the end."""
        for line in lines:
            self.hear(line.rstrip("\n"))

    def hear(self, line: str) -> None:
        """Process one event."""
        match line.split(" ", 1):
            case ["sample", sample]:
                self.samples.append(json.loads(sample))
            case ["turned_away", reason]:
                self.turned_away[reason] += 1
            case ["reloaded"]:
                self.reloads += 1
            case ["left", count]:
                self.left = int(count)
            case _:
                self.life.hear(line)


def prepare(folder: Path, server: Server) -> None:
    """Set up the account in Home Assistant's folder."""
    data = {
        CONF_ACCOUNT_KIND: AccountKind.PERSONAL.value,
        CONF_EMAIL: ADDRESS,
        CONF_PASSWORD: PASSWORD,
        CONF_HOST: "127.0.0.1",
        CONF_PORT: server.port,
        CONF_SECURITY: Security.STARTTLS.value,
    }
    write_entry(folder, DOMAIN, ADDRESS, data=data, options={CONF_FLOOD_LIMIT: 10_000})


def soak(folder: Path, server: Server, seconds: float, chances: Random) -> tuple[Observer, int]:
    """Let Home Assistant send with changing faults; return its events and its exit status."""
    observer = Observer()
    with (folder / "soak.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "tests.soak.subject", str(folder), str(chances.getrandbits(32))],
            cwd=PROJECT,
            env=os.environ | {"REQUESTS_CA_BUNDLE": str(server.ca_file)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert process.stdin
    assert process.stdout
    try:
        listener = threading.Thread(target=observer.listen, args=(process.stdout,))
        listener.start()
        end = time.monotonic() + seconds
        while time.monotonic() < end and process.poll() is None:
            time.sleep(chances.uniform(0, LONGEST_CALM))
            server.change()
        server.clear_up()
        process.stdin.write("end\n")
        process.stdin.flush()
        process.wait(LAST_WAIT)
    finally:
        process.kill()
        process.wait()
    listener.join()
    return observer, process.returncode


def main() -> int:
    """Run the soak test, print the figures, and return 1 if anything is wrong."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long to send (10)")
    parser.add_argument("--seed", type=int, help="the seed of all that is random")
    options = parser.parse_args()
    seed = randbelow(1_000_000) if options.seed is None else options.seed
    chances = Random(seed)  # noqa: S311
    with TemporaryDirectory(prefix="soak-") as name, Server(chances) as server:
        folder = Path(name)
        server.add_mailbox(ADDRESS, PASSWORD)
        prepare(folder, server)
        observer, status = soak(folder, server, options.minutes * 60, chances)
        life = observer.life
        ledger = Ledger.of([(life, server.shares)])
        verdict = Verdict(
            samples=observer.samples,
            lost=shown(ledger.lost),
            left=observer.left,
            errors=life.errors,
            complaints=complaints(folder / "soak.log"),
            status=status,
        )
    statuses = Counter(life.statuses)
    print(  # noqa: T201
        f"{len(life.calls)} messages: {dict(statuses)}, {len(life.refused)} refused, "
        f"{len(life.canceled)} recipients canceled, {life.retried} retried, "
        f"rejected: {dict(observer.turned_away)}\n"
        f"{len(server.shares)} recipients reached, {len(server.shares) - len(set(server.shares))} "
        f"of them again; {server.faults} faults, {observer.reloads} reloads; "
        f"lost: {len(ledger.lost)}\n{verdict}\nseed {seed}"
    )
    return bool(verdict.wrongs)


if __name__ == "__main__":
    sys.exit(main())
