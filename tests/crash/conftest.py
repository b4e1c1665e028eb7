"""Shared fixtures: randomness, flaky fakes, an account on them, and the report."""

from collections.abc import Callable, Iterator
import os
from pathlib import Path
from random import Random
from secrets import randbelow
import sys
import time
from typing import Final

import pytest

from custom_components.outlook_smtp.auth.clouds import Resource
from custom_components.outlook_smtp.const import DOMAIN
from tests.conftest import ADDRESS
from tests.home import write_entry

from .audit import Audit
from .flaky_microsoft import FlakyMicrosoft
from .flaky_server import FlakyServer
from .messages import OPTIONS
from .sender_process import Place
from .story import Story
from .supervisor import Supervisor

SEED: Final = int(os.environ.get("CRASH_SEED") or randbelow(1_000_000))


@pytest.fixture
def chances() -> Random:
    """Return the source of all randomness."""
    return Random(SEED)  # noqa: S311


@pytest.fixture
def microsoft(socket_enabled: None, chances: Random) -> Iterator[FlakyMicrosoft]:
    """Run flaky fakes of Microsoft's servers with one mailbox."""
    with FlakyMicrosoft(chances) as microsoft:
        yield microsoft


@pytest.fixture
def server(microsoft: FlakyMicrosoft) -> FlakyServer:
    """Return the fake submission server."""
    return microsoft.smtp


@pytest.fixture
def route() -> Resource:
    """Return the route of the account."""
    return Resource.SMTP


@pytest.fixture
def folder(tmp_path: Path, microsoft: FlakyMicrosoft, route: Resource) -> Path:
    """Return a Home Assistant folder with the account set up."""
    folder = tmp_path / "config"
    data = microsoft.account(route, signed_in=route is Resource.GRAPH)
    write_entry(folder, DOMAIN, ADDRESS, data=data, options=OPTIONS)
    return folder


@pytest.fixture(scope="session")
def supervisor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervisor]:
    """Run the program that forks sender processes, for all tests: it takes seconds to import."""
    with Supervisor(tmp_path_factory.mktemp("supervisor") / "log") as supervisor:
        yield supervisor


@pytest.fixture
def story(
    supervisor: Supervisor, folder: Path, microsoft: FlakyMicrosoft, chances: Random
) -> Story:
    """Return a story about the account."""
    place = Place(
        folder=str(folder),
        log=str(folder / "sender.log"),
        ca_file=str(microsoft.ca_file),
        cloud=dict(microsoft.cloud),
    )
    return Story(supervisor, place, microsoft, chances)


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
