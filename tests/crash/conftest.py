"""Shared fixtures: randomness, a flaky fake server, an account on it, and the report."""

from collections.abc import Callable, Iterator
import os
from pathlib import Path
from random import Random
from secrets import randbelow
import sys
import time
from typing import Final

from homeassistant.const import CONF_EMAIL, CONF_HOST, CONF_PASSWORD, CONF_PORT
import pytest

from custom_components.outlook_smtp.const import CONF_ACCOUNT_KIND, CONF_SECURITY, DOMAIN
from custom_components.outlook_smtp.smtp.account import AccountKind, Security
from tests.conftest import ADDRESS, PASSWORD
from tests.home import write_entry

from .audit import Audit
from .flaky_server import FlakyServer

SEED: Final = int(os.environ.get("CRASH_SEED") or randbelow(1_000_000))


@pytest.fixture
def chances() -> Random:
    """Return the source of all randomness."""
    return Random(SEED)  # noqa: S311


@pytest.fixture
def server(socket_enabled: None, chances: Random) -> Iterator[FlakyServer]:
    """Run a fake server with one mailbox."""
    with FlakyServer(Random(chances.random())) as server:  # noqa: S311
        server.add_mailbox(ADDRESS, PASSWORD)
        yield server


@pytest.fixture
def folder(tmp_path: Path, server: FlakyServer) -> Path:
    """Return a Home Assistant folder with the account set up."""
    folder = tmp_path / "config"
    data = {
        CONF_ACCOUNT_KIND: AccountKind.PERSONAL.value,
        CONF_EMAIL: ADDRESS,
        CONF_PASSWORD: PASSWORD,
        CONF_HOST: "127.0.0.1",
        CONF_PORT: server.port,
        CONF_SECURITY: Security.STARTTLS.value,
    }
    write_entry(folder, DOMAIN, ADDRESS, data=data)
    return folder


@pytest.fixture
def report(
    capsys: pytest.CaptureFixture[str], record_property: Callable[[str, object], None]
) -> Callable[[Audit], str]:
    """Return a function that prints an audit, even on success, and returns the text."""
    began = time.monotonic()

    def show(count: Audit) -> str:
        """Print an audit with its duration and its random seed."""
        summary = f"{count}; {time.monotonic() - began:.0f} s, CRASH_SEED={SEED}"
        record_property("crash", summary)
        with capsys.disabled():
            sys.stdout.write(f"\n{summary}\n")
        return summary

    return show
