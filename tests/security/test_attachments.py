"""What hostile paths, files and media sources can get attached: nothing that they should not."""

from collections.abc import Callable
import os
from pathlib import Path
import socket
import tracemalloc
from typing import Any

from homeassistant.components.media_source import PlayMedia
from homeassistant.components.media_source.local_source import LocalSource
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.outlook_smtp.actions import attachment_files, attachments
from custom_components.outlook_smtp.const import DOMAIN

from ..actions.test_attachments import attached, files
from ..fake_microsoft import FakeServer
from ..helpers import ask
from ..promises import MAX_ATTACHMENTS

__all__ = ["files"]

LOCAL = "media-source://media_source/local"


@pytest.fixture
async def media(hass: HomeAssistant, account: MockConfigEntry, files: Path) -> Path:
    """Return the folder of local media, with a running account."""
    assert await async_setup_component(hass, "media_source", {})
    return files / "media"


async def send(hass: HomeAssistant, *items: dict[str, Any]) -> dict[str, Any]:
    """Send an email with attachments to oneself, and return the response."""
    target = {"entity_id": "notify.me_outlook_com", "message": "Report"}
    response: dict[str, Any] = await ask(hass, "send_message", attachments=list(items), **target)
    return response


async def refused(hass: HomeAssistant, *items: dict[str, Any]) -> tuple[str | None, dict[str, str]]:
    """Return the key and the placeholders of the error for rejected attachments."""
    with pytest.raises(ServiceValidationError) as caught:
        await send(hass, *items)
    assert caught.value.translation_domain == DOMAIN
    return caught.value.translation_key, dict(caught.value.translation_placeholders or {})


def sparse(path: Path, size: int) -> dict[str, Any]:
    """Create a sparse file, and return it as an attachment."""
    with path.open("wb") as file:
        file.truncate(size)
    return {"path": str(path)}


@pytest.mark.usefixtures("account")
async def test_files_too_large_together_are_rejected_unread(
    hass: HomeAssistant, fake_server: FakeServer, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thirty files of 150 MB take no memory: there is no room for the second one."""
    items = [sparse(files / "allowed" / f"{number}.bin", 150_000_000) for number in range(30)]
    read: list[Any] = []
    monkeypatch.setattr(attachments, "read_file", read.append)
    tracemalloc.start()
    key, placeholders = await refused(hass, *items)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (key, placeholders["value"]) == ("attachment_too_large", "1.bin")
    assert (read, fake_server.received) == ([], [])
    assert peak < 5_000_000


@pytest.mark.usefixtures("account")
async def test_more_than_100_attachments_are_rejected(
    hass: HomeAssistant, fake_server: FakeServer, files: Path
) -> None:
    """None of them is opened; 100 are sent."""
    assert attachments.MAX_ATTACHMENTS == MAX_ATTACHMENTS
    item = sparse(files / "allowed" / "x.bin", 10)
    key, placeholders = await refused(hass, *[item] * 101)
    assert (key, placeholders["field"]) == ("too_many_attachments", "attachments")
    await send(hass, *[item] * 100)
    assert len(attached(fake_server)) == 100


def bind(path: Path) -> None:
    """Create a socket."""
    os.chdir(path.parent)  # Its address has no room for the whole path.
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(path.name)


def link_to_device(path: Path) -> None:
    """Create a link to a device."""
    os.mknod(path, 0o20644, os.makedev(1, 5))  # /dev/zero never ends.


@pytest.mark.parametrize("place", ["allowed", "media"])
@pytest.mark.parametrize(
    ("make", "words"),
    [(Path.mkdir, "folder"), (os.mkfifo, "pipe"), (bind, "socket"), (link_to_device, "device")],
)
async def test_only_regular_files_are_opened(
    hass: HomeAssistant,
    media: Path,
    fake_server: FakeServer,
    make: Callable[[Path], None],
    words: str,
    *,
    place: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A folder, a pipe, a socket and a device each have their own error, and none hangs."""
    monkeypatch.chdir(media)
    path = media.parent / place / "it.jpg"
    try:
        make(path)
    except PermissionError:
        pytest.skip("Only root makes devices")
    item = {"path": str(path)} if place == "allowed" else {"media_source": f"{LOCAL}/it.jpg"}
    key, placeholders = await refused(hass, item)
    assert key == "file_not_readable"
    assert words in placeholders["reason"]
    assert placeholders["value"] in item.values()
    assert fake_server.received == []


@pytest.mark.usefixtures("socket_enabled")
def test_pipe_in_place_of_a_file_does_not_block(tmp_path: Path) -> None:
    """It is opened without waiting for a writer, and recognized."""
    found = attachment_files.File(tmp_path / "it", 10, "it")
    os.mkfifo(found.path)
    with pytest.raises(attachment_files.UnusableError, match="missing_special"):
        attachment_files.read_file(found)
    found.path.unlink()
    found.path.symlink_to("/etc/passwd")
    with pytest.raises(attachment_files.UnavailableError, match="missing_not_readable"):
        attachment_files.read_file(found)


@pytest.mark.parametrize("size", [0, 8, 10, 10_000_000_000])
@pytest.mark.usefixtures("account")
async def test_file_that_changes_meanwhile_is_rejected(
    hass: HomeAssistant,
    fake_server: FakeServer,
    files: Path,
    size: int,
    *,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It takes no more memory than its original size."""
    path = files / "allowed" / "log.txt"
    path.write_bytes(b"as it was")
    opened = os.open

    def open_and_change(name: Any, *args: Any) -> int:
        """Change the file between finding and reading it."""
        if Path(name) == path:
            os.truncate(path, size)
        return opened(name, *args)

    monkeypatch.setattr(os, "open", open_and_change)
    key, placeholders = await refused(hass, {"path": str(path)})
    assert (key, placeholders["value"]) == ("file_not_readable", str(path))
    assert "changed while" in placeholders["reason"]
    assert fake_server.received == []


@pytest.mark.parametrize("link", ["file", "folder"])
async def test_links_cannot_lead_out_of_a_media_folder(
    hass: HomeAssistant, media: Path, fake_server: FakeServer, link: str
) -> None:
    """Whether the link is the file or a folder in its path."""
    (media / "link.jpg").symlink_to("/etc/passwd" if link == "file" else "/etc")
    name = f"{LOCAL}/link.jpg" if link == "file" else f"{LOCAL}/link.jpg/passwd"
    key, placeholders = await refused(hass, {"media_source": name})
    assert (key, placeholders["value"]) == ("path_not_allowed", name)
    assert fake_server.received == []


async def test_sources_cannot_return_other_files(
    hass: HomeAssistant, media: Path, fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rules for paths apply; Home Assistant's stored images are its own."""
    secret = media.parent / "secret" / "x.jpg"

    async def resolve(*_: object) -> PlayMedia:
        """Return a path that it must not return."""
        return PlayMedia("/x", "image/jpeg", path=secret)

    monkeypatch.setattr(LocalSource, "async_resolve_media", resolve)
    secret.write_bytes(b"x")
    key, _ = await refused(hass, {"media_source": f"{LOCAL}/x.jpg"})
    assert key == "path_not_allowed"
    secret = media.parent / "image" / "1" / "original"
    secret.parent.mkdir(parents=True)
    secret.write_bytes(b"picture")
    await send(hass, {"media_source": f"{LOCAL}/x.jpg"})
    assert [part.get_content() for part in attached(fake_server)] == [b"picture"]


@pytest.mark.parametrize("name", ["report.log", "README", "archive.tar.zst", "100%.x"])
async def test_media_of_unknown_types_are_attached(
    hass: HomeAssistant, media: Path, fake_server: FakeServer, name: str
) -> None:
    """A media folder only plays known types; an email accepts any file."""
    (media / name).write_bytes(b"\x00content")
    response = await send(hass, {"media_source": f"{LOCAL}/{name}"})
    assert response["missing_attachments"] == []
    [part] = attached(fake_server)
    assert part.get_filename() == name
    assert part.get_payload(decode=True) == b"\x00content"


@pytest.mark.usefixtures("media")
@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("%00", "media_invalid"),
        ("film%00.mp4", "media_invalid"),
        ("film%0a.mp4", "media_invalid"),
        ("x" * 300, "file_not_readable"),
        ("x" * 5000, "value_too_long"),
    ],
)
async def test_impossible_file_names_are_rejected(
    hass: HomeAssistant, fake_server: FakeServer, name: str, key: str
) -> None:
    """The error quotes a readable part of the name."""
    found, placeholders = await refused(hass, {"media_source": f"{LOCAL}/{name}"})
    assert found == key
    assert placeholders["value"].startswith(LOCAL)
    assert len(placeholders["value"]) <= 500
    assert fake_server.received == []


async def test_missing_media_do_not_stop_the_email(
    hass: HomeAssistant, media: Path, fake_server: FakeServer
) -> None:
    """With or without a type that the folder knows."""
    response = await send(hass, {"media_source": f"{LOCAL}/gone.log"})
    assert response["status"] == "sent"
    [missing] = response["missing_attachments"]
    assert missing["reason"] == "the file does not exist"
