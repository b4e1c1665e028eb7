"""The programs that a run starts: servers, lines, and workers that measure."""

import asyncio
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
import json
import os
from pathlib import Path
import sys
from typing import Any, Final, Self

PROJECT: Final = Path(__file__).parents[2]


# Compiled modules are kept, as Home Assistant keeps them, whatever is set here.
ENVIRONMENT: Final = os.environ | {"PYTHONDONTWRITEBYTECODE": ""}


class BenchError(Exception):
    """The benchmark cannot go on; the text is a sentence for the person who started it."""


async def start(module: str, *arguments: str, **environment: str) -> Process:
    """Start a program of the benchmark; what goes wrong in it shows on the standard error."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"scripts._bench.{module}", *arguments),
        stdin=PIPE,
        stdout=PIPE,
        cwd=PROJECT,
        env=ENVIRONMENT | environment,
    )


async def stop(process: Process) -> None:
    """End a program that was started here."""
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()


async def ask(module: str, *arguments: str, limit: float, **environment: str) -> Any:
    """Run a program to its end, and return the JSON that it prints."""
    process = await start(module, *arguments, **environment)
    try:
        async with asyncio.timeout(limit):
            output, _ = await process.communicate()
    except TimeoutError:
        raise BenchError(f"{module} {arguments} has not ended within {limit:.0f} s.") from None
    finally:
        await stop(process)
    if process.returncode:
        raise BenchError(f"{module} {arguments} failed; what it said is above.")
    return json.loads(output)


class Servers:
    """The two servers, and the lines to them."""

    def __init__(self, process: Process, whole: int, plain: int, authority: str) -> None:
        """Keep what is known of the servers; use `start` to get them."""
        self.authority = authority
        self._ports = {False: plain, True: whole}
        self._process = process
        self._lines: list[Process] = []

    @classmethod
    async def start(cls) -> Self:
        """Start the servers."""
        process = await start("server")
        known = json.loads(await _line(process))
        whole, plain = known["ports"]
        return cls(process, whole, plain, known["authority"])

    async def connect(self, delay: float, *, chunking: bool) -> int:
        """Lay a line to a server, and return the port that leads to it."""
        line = await start("relay", str(self._ports[chunking]), str(delay))
        self._lines.append(line)
        return int(await _line(line))

    async def count(self) -> int:
        """Return how many messages came since the last time."""
        assert self._process.stdin
        self._process.stdin.write(b"\n")
        return int(await _line(self._process))

    async def stop(self) -> None:
        """Stop all."""
        for process in (*self._lines, self._process):
            await stop(process)


async def _line(process: Process) -> bytes:
    """Read a line of what a program prints."""
    assert process.stdout
    if line := await process.stdout.readline():
        return line
    raise BenchError("A program of the benchmark ended at its start; what it said is above.")
