"""What can be attached (files, media, snapshots and speech), and what is rejected."""

import asyncio
from collections.abc import Callable
from email.message import EmailMessage
import gzip
import os
from pathlib import Path
import threading
from typing import Any, Final, override

from homeassistant.components import tts
from homeassistant.components.image import ImageEntity
from homeassistant.components.image.const import DATA_COMPONENT as IMAGES
from homeassistant.components.media_source import PlayMedia
from homeassistant.components.media_source.local_source import LocalSource
from homeassistant.components.tts.const import DATA_COMPONENT as ENGINES
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.outlook_smtp.const import DOMAIN

from ..cameras import PICTURE, FakeCamera, add_camera
from ..fake_microsoft import FakeServer

SPEECH = b"\xff\xfb speech"


class Plan(ImageEntity):
    """An image entity."""

    _attr_name = "Floor plan"
    _attr_content_type = "image/png"

    @override
    async def async_image(self) -> bytes | None:
        """Return the picture."""
        return PICTURE


class FakeTTS(tts.TextToSpeechEntity):
    """A text-to-speech engine that knows one phrase."""

    _attr_name = "Voice"
    _attr_default_language = "en"
    _attr_supported_languages = ["en"]

    @override
    async def async_get_tts_audio(
        self, message: str, language: str, options: dict[str, Any]
    ) -> tts.TtsAudioType:
        """Return the speech."""
        return {"Door open": ("mp3", SPEECH), "Hush": ("mp3", b"")}.get(message, (None, None))


@pytest.fixture
def files(hass: HomeAssistant, tmp_path: Path) -> Path:
    """Return the configuration folder: `allowed` may be read, and `media` contains media."""
    hass.config.config_dir = str(tmp_path)
    for name in ("allowed", "media", "secret"):
        (tmp_path / name).mkdir()
    hass.config.allowlist_external_dirs = {str(tmp_path / "allowed")}
    hass.config.media_dirs = {"local": str(tmp_path / "media")}
    return tmp_path


@pytest.fixture
async def doorbell(hass: HomeAssistant, account: MockConfigEntry, files: Path) -> FakeCamera:
    """Return the camera, and set up an image entity, a speech engine and local media."""
    for domain in ("media_source", "image", "tts"):
        assert await async_setup_component(hass, domain, {})
    camera = await add_camera(hass, "Doorbell")
    await hass.data[IMAGES].async_add_entities([Plan(hass)])
    await hass.data[ENGINES].async_add_entities([FakeTTS()])
    return camera


async def send(hass: HomeAssistant, *items: Any, **data: Any) -> None:
    """Send an email with attachments to oneself."""
    data = {"entity_id": "notify.me_outlook_com", "attachments": list(items)} | data
    await hass.services.async_call(DOMAIN, "send_message", data, blocking=True)


def attached(fake_server: FakeServer) -> list[EmailMessage]:
    """Return the attachments of the one sent email."""
    [received] = fake_server.received
    return list(received.message.iter_attachments())


def look(part: EmailMessage) -> tuple[str | None, str, Any]:
    """Return the file name, the type and the content of an attachment."""
    return part.get_filename(), part.get_content_type(), part.get_content()


# The name and content of a file, the name that is given for it, and the type that results.
FILES: Final[tuple[tuple[str, bytes, str | None, str], ...]] = (
    ("log.pdf", b"%PDF", None, "application/pdf"),
    ("log.pdf", b"%PDF", "Bericht für heute.pdf", "application/pdf"),
    ("log.pdf", b"%PDF", "Report", "application/pdf"),
    ("snapshot", PICTURE, None, "image/jpeg"),
    ("nothing", b"", None, "application/octet-stream"),
    ("log.txt.gz", gzip.compress(b"log"), None, "application/octet-stream"),
    ("clip.mp4", b"\x00 film", None, "video/mp4"),
)


@pytest.mark.usefixtures("account", "no_pace")
async def test_file_type_comes_from_its_name_or_content(
    hass: HomeAssistant, fake_server: FakeServer, files: Path, subtests: pytest.Subtests
) -> None:
    """An email may consist of nothing but a file."""
    for name, content, filename, mime_type in FILES:
        with subtests.test(filename or name):
            path = files / "allowed" / name
            path.write_bytes(content)
            fake_server.received.clear()
            await send(hass, {"path": str(path)} | ({"filename": filename} if filename else {}))
            [part] = attached(fake_server)
            assert look(part) == (filename or name, mime_type, content)


@pytest.mark.usefixtures("account")
async def test_invitation_accepts_a_method(
    hass: HomeAssistant, fake_server: FakeServer, files: Path
) -> None:
    """An explicit type overrides that of the file name, which does not include a method."""
    path = files / "allowed" / "invitation.txt"
    path.write_text("BEGIN:VCALENDAR")
    await send(hass, {"path": str(path), "mime_type": "text/calendar; method=REQUEST"})
    [part] = attached(fake_server)
    assert part["Content-Type"] == 'text/calendar; charset="utf-8"; method="REQUEST"'


MEDIA: Final[tuple[tuple[str, tuple[str, str, bytes]], ...]] = (
    ("camera/camera.doorbell", ("doorbell.jpg", "image/jpeg", PICTURE)),
    ("camera/camera%2Edoorbell", ("doorbell.jpg", "image/jpeg", PICTURE)),
    ("image/image.floor_plan", ("floor_plan.png", "image/png", PICTURE)),
    ("tts/tts.voice?message=Door+open", ("speech.mp3", "audio/mpeg", SPEECH)),
    ("media_source/local/film.mp4", ("film.mp4", "video/mp4", b"film")),
)


@pytest.mark.usefixtures("doorbell", "no_pace")
async def test_media_are_attached(
    hass: HomeAssistant, fake_server: FakeServer, files: Path, subtests: pytest.Subtests
) -> None:
    """A media selector's value and a bare identifier mean the same; a name may be given."""
    (files / "media" / "film.mp4").write_bytes(b"film")
    for media, expected in MEDIA:
        with subtests.test(media):
            identifier = f"media-source://{media}"
            chosen = {"media_content_id": identifier, "media_content_type": "x"}
            fake_server.received.clear()
            await send(
                hass,
                {"media_source": chosen | {"metadata": {"title": "X"}}},
                {"media_source": identifier, "filename": "Now.bin"},
            )
            first, second = attached(fake_server)
            assert look(first) == expected
            assert second.get_filename() == "Now.bin"
            assert second.get_content() == expected[2]


async def test_html_shows_an_attachment_by_its_content_id(
    hass: HomeAssistant, doorbell: FakeCamera, fake_server: FakeServer, files: Path
) -> None:
    """Attachments with a content_id are inline, and the others stay attached."""
    (files / "allowed" / "log.txt").write_text("log")
    picture = {"media_source": "media-source://camera/camera.doorbell", "content_id": "door"}
    await send(
        hass, picture, {"path": str(files / "allowed" / "log.txt")}, html='<img src="cid:door">'
    )
    [log] = attached(fake_server)
    assert log.get_filename() == "log.txt"
    related = fake_server.received[0].message.get_body(("related",))
    assert related is not None
    page, inline = related.iter_parts()
    assert page.get_content_type() == "text/html"
    assert (inline["Content-ID"], inline.get_content_disposition()) == ("<door>", "inline")
    assert inline.get_content() == PICTURE


def nothing(path: Path) -> None:
    """Do not create a file."""


def link_outside(path: Path) -> None:
    """Create a link that leads out of the allowed folder."""
    secret = path.parents[2] / "secret" / "secrets.yaml"
    secret.write_text("password: x")
    path.symlink_to(secret)


FORBIDDEN: Final[tuple[tuple[str, Callable[[Path], None], str, str], ...]] = (
    ("/etc/passwd", nothing, "path_not_allowed", "allowlist_external_dirs"),
    ("{allowed}/../../secret/secrets.yaml", nothing, "path_not_allowed", "may not read"),
    ("{allowed}/none/../../../secret/x", nothing, "path_not_allowed", "may not read"),
    ("{allowed}/file", link_outside, "path_not_allowed", "may not read"),
    ("{allowed}/" + "x" * 300, nothing, "file_not_readable", "File name too long"),
    ("{allowed}/file", Path.mkdir, "file_not_readable", "it is a folder, not a file"),
    ("{allowed}/file", os.mkfifo, "file_not_readable", "it is a pipe, .* not a file"),
    ("{allowed}/file\0.txt", nothing, "file_not_readable", "null"),
)


@pytest.mark.usefixtures("account")
async def test_only_files_of_allowed_folders_are_read(
    hass: HomeAssistant, fake_server: FakeServer, files: Path, subtests: pytest.Subtests
) -> None:
    """Neither dots nor links lead out, and special files are not waited for."""
    for number, (pattern, make, key, words) in enumerate(FORBIDDEN):
        with subtests.test(pattern, make=make.__name__):
            allowed = files / "allowed" / str(number)
            allowed.mkdir()
            make(allowed / "file")
            path = pattern.format(allowed=allowed)
            with pytest.raises(ServiceValidationError, match=words) as caught:
                await send(hass, {"path": path})
            assert (caught.value.translation_domain, caught.value.translation_key) == (DOMAIN, key)
            shown = path.replace("\0", "\\x00")
            assert (caught.value.translation_placeholders or {})["value"] == shown
            assert fake_server.received == []


async def test_links_and_dots_inside_the_allowed_folder_are_followed(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, files: Path
) -> None:
    """The recipient sees the name of the link itself."""
    (files / "allowed" / "snapshot_0815.jpg").write_bytes(PICTURE)
    (files / "allowed" / "latest.jpg").symlink_to("snapshot_0815.jpg")
    await send(hass, {"path": f"{files}/allowed/../allowed/latest.jpg"})
    assert [part.get_filename() for part in attached(fake_server)] == ["latest.jpg"]


MALFORMED: Final = (
    *("film.mp4", "https://example.com/film.mp4", "media-source:/camera/camera.doorbell"),
    *("media-source://", "media-source://media_source", "media-source://media_source/"),
    *("media-source://camera", "media-source://camera/", "media-source://Camera/camera.x"),
    *("media-source://media_source/local", "media-source://media_source/local/"),
    "media-source://media_source/local/../secret/x",
    "media-source://media_source/local//etc/passwd",
    "media-source://media_source/local/film\0.mp4",
    "media-source://camera/camera.doorbell\n",
)


@pytest.mark.usefixtures("doorbell")
async def test_malformed_media_source_is_an_error(
    hass: HomeAssistant, fake_server: FakeServer, subtests: pytest.Subtests
) -> None:
    """An attachment that can never work is an error of the call, required or not."""
    for media in MALFORMED:
        with subtests.test(media):
            source = {"media_content_id": media, "media_content_type": "x"}
            with pytest.raises(ServiceValidationError, match="is not a media content ID") as caught:
                await send(hass, {"media_source": source}, message="Hello")
            assert caught.value.translation_domain == DOMAIN
            assert caught.value.translation_key == "media_invalid"
            assert fake_server.received == []


async def test_stream_is_not_attached(
    hass: HomeAssistant,
    doorbell: FakeCamera,
    fake_server: FakeServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An endless stream is not a file."""

    async def resolve(*_: object) -> PlayMedia:
        """Return a stream."""
        return PlayMedia("/api/hls/1", "video/mp4")

    monkeypatch.setattr(LocalSource, "async_resolve_media", resolve)
    with pytest.raises(ServiceValidationError, match="is a stream, not a file"):
        await send(hass, {"media_source": "media-source://media_source/local/live"})
    assert fake_server.received == []


@pytest.mark.parametrize(
    ("content_ids", "key"),
    [(["two words"], "invalid_content_id"), (["one", "one"], "duplicate_content_id")],
)
async def test_invalid_content_ids_are_rejected(
    hass: HomeAssistant,
    doorbell: FakeCamera,
    fake_server: FakeServer,
    content_ids: list[str],
    key: str,
) -> None:
    """The error names the identifier."""
    source = {"media_source": "media-source://camera/camera.doorbell"}
    with pytest.raises(ServiceValidationError, match=content_ids[0]) as caught:
        await send(hass, *(source | {"content_id": content_id} for content_id in content_ids))
    assert caught.value.translation_key == key
    assert fake_server.received == []


@pytest.mark.parametrize(
    "case",
    [
        ([1_200_001], "attachment_too_large", '"0.bin" does not fit. The server accepts up to 1.2'),
        ([700_000, 700_000], "attachment_too_large", '"1.bin" does not fit'),
        ([1_000_000], "message_over_limit", "would be 1.4 MB; the server accepts up to 1.2 MB"),
    ],
)
async def test_oversized_attachments_are_rejected_before_anything_is_sent(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    fake_server: FakeServer,
    files: Path,
    case: tuple[list[int], str, str],
) -> None:
    """The limit is the server's own, and attachments grow by a third in transit."""
    sizes, key, words = case
    fake_server.size = 1_200_000
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    paths = [files / "allowed" / f"{number}.bin" for number in range(len(sizes))]
    for path, size in zip(paths, sizes, strict=True):
        path.write_bytes(bytes(size))
    with pytest.raises(ServiceValidationError, match=words) as caught:
        await send(hass, *({"path": str(path)} for path in paths))
    assert caught.value.translation_key == key
    assert not fake_server.received


async def test_reading_does_not_block_the_event_loop(
    hass: HomeAssistant,
    doorbell: FakeCamera,
    fake_server: FakeServer,
    files: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Files and media are opened outside of the event loop's thread."""
    threads: set[int] = set()
    opened = os.open

    def watched(path: str, *args: Any) -> int:
        """Record the thread, then open."""
        if Path(path).name == "film.mp4":
            threads.add(threading.get_ident())
        return opened(path, *args)

    for folder in ("allowed", "media"):
        (files / folder / "film.mp4").write_bytes(b"film")
    monkeypatch.setattr(os, "open", watched)
    await send(
        hass,
        {"path": str(files / "allowed" / "film.mp4")},
        {"media_source": "media-source://media_source/local/film.mp4"},
    )
    assert len(attached(fake_server)) == 2
    assert threads
    assert threading.get_ident() not in threads


async def test_snapshots_are_taken_at_the_same_time(
    hass: HomeAssistant,
    doorbell: FakeCamera,
    fake_server: FakeServer,
) -> None:
    """A slow camera does not delay the snapshot of another one."""
    both = asyncio.Barrier(2)

    async def wait_for_the_other() -> bytes:
        """Return no picture before the other camera has been asked."""
        await both.wait()
        return PICTURE

    doorbell.take = wait_for_the_other
    source = {"media_source": "media-source://camera/camera.doorbell"}
    async with asyncio.timeout(5):
        await send(hass, source, source)
    assert len(attached(fake_server)) == 2
