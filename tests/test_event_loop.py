"""Nothing blocks the event loop: slow disk and processor work runs in threads."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
import re
import sys
from types import FrameType
from typing import Any

from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import MockConfigEntry

from .fake_microsoft import FakeServer
from .helpers import ANNA, act

INTEGRATION = str(Path("custom_components", "outlook_smtp"))
# The C functions that all others use in the end, by module and name.
BLOCKING = re.compile(
    r"posix\.(open|[fl]?stat|f(data)?sync|replace|rename|unlink|mkdir|rmdir|scandir|listdir)"
    r"|_io\.(open|open_code|(FileIO|Buffered\w+|TextIOWrapper)\.read\w*)"
    r"|\w+\._?SSLContext\.(load|set_default)_\w+"
    r"|time\.sleep|_socket\.getaddrinfo"
)


def callers(frame: FrameType | None) -> Iterator[str]:
    """Yield the files of the functions on the stack, innermost first."""
    while frame:
        yield frame.f_code.co_filename
        frame = frame.f_back


@contextmanager
def watched() -> Iterator[list[str]]:
    """Yield a list of the integration's blocking calls in this thread, which runs the loop."""
    found: list[str] = []

    def note(frame: FrameType, event: str, called: Any) -> None:
        if event != "c_call":
            return
        module = called.__module__ or type(called.__self__).__module__
        name = f"{module}.{called.__qualname__}"
        if BLOCKING.fullmatch(name) and any(INTEGRATION in file for file in callers(frame)):
            found.append(f"{name} in {frame.f_code.co_filename}:{frame.f_lineno}")

    sys.setprofile(note)
    try:
        yield found
        assert sys.getprofile() is note
    finally:
        sys.setprofile(None)


async def test_nothing_blocks_the_loop(
    hass: HomeAssistant, entry: MockConfigEntry, fake_server: FakeServer, tmp_path: Path
) -> None:
    """Set-up, an email with a file and shutdown use threads for files, TLS contexts and names."""
    asyncio.get_running_loop().set_debug(False)  # It reads source files itself.
    hass.config.allowlist_external_dirs = {str(tmp_path)}
    (tmp_path / "picture.jpg").write_bytes(b"picture" * 100_000)
    attachments = [{"path": str(tmp_path / "picture.jpg")}]
    with watched() as found:
        assert await hass.config_entries.async_setup(entry.entry_id)
        await act(hass, "send_message", to=ANNA, message="Hello", attachments=attachments)
        assert await hass.config_entries.async_unload(entry.entry_id)
    assert found == []
    assert len(fake_server.received) == 1
