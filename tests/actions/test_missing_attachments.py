"""An alarm without its picture beats no alarm: a missing attachment does not stop the email."""

import asyncio
from itertools import product
import os
from pathlib import Path
from typing import Any, Final
from unittest.mock import AsyncMock

from aiohttp import InvalidURL
from homeassistant.components.media_source import PlayMedia
from homeassistant.components.media_source.local_source import LocalSource
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.outlook_smtp.actions import attachments as room
from custom_components.outlook_smtp.const import DOMAIN

from ..cameras import PICTURE, FakeCamera
from ..conftest import until
from ..fake_microsoft import FakeServer
from ..helpers import ask, settle, shut_down, state_of
from ..promises import MEDIA_TIMEOUT
from .test_attachments import attached, doorbell, files

__all__ = ["doorbell", "files"]

DELIVERY = "event.me_outlook_com_delivery"
CAMERA = "media-source://camera/camera.doorbell"
UNRESOLVED = "Failed to resolve media with content ID"
LOCAL = "media-source://media_source/local"


async def send(hass: HomeAssistant, *items: dict[str, Any], **data: Any) -> Any:
    """Send an email with attachments to oneself, and return the response."""
    fields = {"entity_id": "notify.me_outlook_com", "message": "Somebody rang"} | data
    return await ask(hass, "send_message", attachments=list(items), **fields)


def text_of(fake_server: FakeServer, kind: str = "plain") -> str:
    """Return the text or the HTML of the one email that was sent."""
    [received] = fake_server.received
    body = received.message.get_body((kind,))
    assert body is not None
    text: str = body.get_content()
    return text.replace("\r\n", "\n")


async def check_missing(
    hass: HomeAssistant, fake_server: FakeServer, item: dict[str, str], label: str, reason: str
) -> None:
    """Check that the email is sent and that it, the response and the event name what is missing.

    If the attachment is required, the same call is an error.
    """
    fake_server.received.clear()
    response = await send(hass, item)
    assert response["status"] == "sent"
    name = item.get("path") or item["media_source"]
    assert response["missing_attachments"] == [{"attachment": name, "reason": reason}]
    turn = state_of(hass, DELIVERY)
    assert turn.attributes["missing_attachments"] == response["missing_attachments"]
    assert text_of(fake_server) == f"Somebody rang\n\nMissing attachments: {label} ({reason})\n"
    assert attached(fake_server) == []
    fake_server.received.clear()
    with pytest.raises(ServiceValidationError) as caught:
        await send(hass, item, attachments_required=True)
    key = "file_not_readable" if "path" in item else "media_unavailable"
    assert (caught.value.translation_domain, caught.value.translation_key) == (DOMAIN, key)
    assert (caught.value.translation_placeholders or {})["reason"] == reason
    assert fake_server.received == []


MISSING: Final = (
    ("camera/camera.none", "Camera not found"),
    ("image/image.none", "Image entity image.none not found"),
    ("tts/tts.none?message=x", "Provider tts.none not found"),
    ("none/x", f"{UNRESOLVED} media-source://none/x: Unknown media source: none"),
    ("media_source/other/film.mp4", "Unknown source directory."),
    ("media_source/local/gone.mp4", "the file does not exist"),
)


@pytest.mark.usefixtures("doorbell", "no_pace")
async def test_email_is_sent_without_missing_media(
    hass: HomeAssistant, fake_server: FakeServer, subtests: pytest.Subtests
) -> None:
    """An integration may not be loaded yet, and a recording may not exist yet."""
    for media, reason in MISSING:
        with subtests.test(media):
            item = {"media_source": f"media-source://{media}"}
            await check_missing(hass, fake_server, item, media.rpartition("/")[2], reason)


FAILURES: Final = (
    (None, "Camera is off"),
    (TimeoutError(), "Unable to get image"),
    (asyncio.CancelledError(), "Unable to get image"),
    (HomeAssistantError("Cannot reach\n http://me:secret@cam/x"), "Cannot reach http://cam/x"),
    (RuntimeError("boom"), "unexpected error: RuntimeError"),
    (InvalidURL("http://me:secret@"), "unexpected error: InvalidURL"),
    (KeyError("x"), "unexpected error: KeyError"),
    (OSError("cut"), "unexpected error: OSError"),
)


@pytest.mark.usefixtures("no_pace")
async def test_email_is_sent_without_the_snapshot_of_a_failing_camera(
    hass: HomeAssistant,
    doorbell: FakeCamera,
    fake_server: FakeServer,
    subtests: pytest.Subtests,
) -> None:
    """Whatever it raises, neither its raw message nor its password reaches anyone."""
    for error, reason in FAILURES:
        with subtests.test(repr(error)):
            doorbell.take = AsyncMock(side_effect=error)
            doorbell._attr_is_on = error is not None
            item = {"media_source": CAMERA}
            await check_missing(hass, fake_server, item, "camera.doorbell", reason)


@pytest.mark.usefixtures("doorbell")
async def test_email_goes_without_speech_of_no_bytes(
    hass: HomeAssistant, fake_server: FakeServer
) -> None:
    """As an engine may return it that has nothing to say."""
    item = {"media_source": "media-source://tts/tts.voice?message=Hush"}
    await check_missing(hass, fake_server, item, "tts.voice?message=Hush", "nothing was returned")


UNEXPECTED: Final = (RuntimeError("boom"), asyncio.CancelledError(), None, "text", 7)


@pytest.mark.usefixtures("no_pace")
async def test_email_is_sent_without_the_result_of_a_failing_integration(
    hass: HomeAssistant,
    doorbell: FakeCamera,
    fake_server: FakeServer,
    monkeypatch: pytest.MonkeyPatch,
    subtests: pytest.Subtests,
) -> None:
    """It may raise anything, return anything, or cancel itself."""
    for item, found in product((CAMERA, f"{LOCAL}/x.mp4"), UNEXPECTED):
        with subtests.test(item, found=repr(found)):

            async def fail(*_: object, found: Any = found, **__: object) -> Any:
                """Raise or return something unexpected."""
                if isinstance(found, BaseException):
                    raise found
                return found

            doorbell.take = fail
            monkeypatch.setattr(LocalSource, "async_resolve_media", fail)
            fake_server.received.clear()
            response = await send(hass, {"media_source": item})
            [missing] = response["missing_attachments"]
            assert "boom" not in missing["reason"]
            assert text_of(fake_server).endswith(f" ({missing['reason']})\n")


async def test_email_does_not_wait_for_a_source_that_never_responds(
    hass: HomeAssistant,
    doorbell: FakeCamera,
    fake_server: FakeServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It may even ignore its cancellation."""
    assert room.MEDIA_TIMEOUT == MEDIA_TIMEOUT
    over = asyncio.Event()

    async def resolve(*_: object) -> PlayMedia:
        """Wait forever, ignoring cancellation."""
        while not over.is_set():
            try:
                await over.wait()
            except asyncio.CancelledError:
                continue
        raise RuntimeError("Too late")

    monkeypatch.setattr(LocalSource, "async_resolve_media", resolve)
    monkeypatch.setattr(room, "MEDIA_TIMEOUT", 0.01)
    response = await send(hass, {"media_source": f"{LOCAL}/x.mp4"})
    over.set()
    assert response["missing_attachments"][0]["reason"] == "no response within 0 seconds"
    assert "Missing attachments: x.mp4" in text_of(fake_server)


@pytest.mark.usefixtures("account")
async def test_email_is_sent_without_media_of_an_unloaded_integration(
    hass: HomeAssistant, fake_server: FakeServer
) -> None:
    """Email works in a Home Assistant without cameras, images, speech or media."""
    for domain in ("camera", "image", "tts", "media_source"):
        fake_server.received.clear()
        response = await send(hass, {"media_source": f"media-source://{domain}/x.y/z?message=x"})
        assert len(response["missing_attachments"]) == 1, domain
        assert "Missing attachments: z?message=x (" in text_of(fake_server), domain


@pytest.mark.usefixtures("account")
async def test_email_is_sent_without_a_missing_file(
    hass: HomeAssistant, fake_server: FakeServer, files: Path
) -> None:
    """A report may not be written yet."""
    (files / "allowed" / "file").touch()
    for path in (files / "allowed" / "gone.pdf", files / "allowed" / "file" / "gone.pdf"):
        item = {"path": str(path)}
        await check_missing(hass, fake_server, item, "gone.pdf", "the file does not exist")


@pytest.mark.usefixtures("account")
async def test_email_is_sent_without_an_unreadable_file(
    hass: HomeAssistant, fake_server: FakeServer, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Permissions and disks may recover, but the alarm cannot wait."""
    (files / "allowed" / "x.pdf").touch()
    opened = os.open

    def refuse(path: str, *args: Any) -> int:
        """Fail for one file, as a disk does."""
        if str(path).endswith("x.pdf"):
            raise PermissionError(13, "Permission denied")
        return opened(path, *args)

    monkeypatch.setattr(os, "open", refuse)
    item = {"path": str(files / "allowed" / "x.pdf")}
    reason = "the file cannot be read: Permission denied"
    await check_missing(hass, fake_server, item, "x.pdf", reason)


async def test_available_files_are_attached(
    hass: HomeAssistant, doorbell: FakeCamera, fake_server: FakeServer, files: Path
) -> None:
    """The note is at the end of the text and of the HTML, and lists the file names."""
    html = "<html><body><p>Somebody rang</p></body></html>"
    gone = {"path": str(files / "allowed" / "gone.pdf")}
    named = gone | {"filename": "<Report>.pdf"}
    response = await send(hass, {"media_source": CAMERA}, named, gone, html=html)
    assert [part.get_content() for part in attached(fake_server)] == [PICTURE]
    assert len(response["missing_attachments"]) == 2
    why = "(the file does not exist)"
    note = f"Missing attachments: <Report>.pdf {why}; gone.pdf {why}"
    assert text_of(fake_server) == f"Somebody rang\n\n{note}\n"
    note = note.replace("<", "&lt;").replace(">", "&gt;")
    assert text_of(fake_server, "html").strip() == html.replace("</body>", f"<p>{note}</p></body>")


@pytest.mark.parametrize(
    "data", [{"markdown": True, "message": "# Door"}, {"message": None, "html": "<p>Door"}]
)
async def test_note_is_in_generated_text_and_html(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, files: Path, data: Any
) -> None:
    """HTML from Markdown has it, and so does text generated from HTML."""
    await send(hass, {"path": str(files / "allowed" / "gone.pdf")}, **data)
    for kind in ("plain", "html"):
        text = text_of(fake_server, kind)
        assert text.count("Missing attachments: gone.pdf (the file does not exist)") == 1
        assert text.index("Door") < text.index("Missing")


async def test_email_may_consist_of_the_note_alone(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, files: Path
) -> None:
    """If only a picture was to be sent, the recipient learns that there was one."""
    await send(hass, {"path": str(files / "allowed" / "gone.pdf")}, message=None)
    assert text_of(fake_server) == "Missing attachments: gone.pdf (the file does not exist)\n"


async def test_note_is_in_the_language_of_home_assistant(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, files: Path
) -> None:
    """So is the reason."""
    await hass.config.async_update(language="de")
    await send(hass, {"path": str(files / "allowed" / "gone.pdf")})
    assert text_of(fake_server).endswith("Fehlende Anhänge: gone.pdf (die Datei existiert nicht)\n")


async def test_queued_email_keeps_the_note(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, files: Path
) -> None:
    """A queued email still says so when it is sent, even after a restart."""
    fake_server.stop()
    path = str(files / "allowed" / "gone.pdf")
    response = await send(hass, {"path": path})
    assert response["status"] == "queued"
    missing = [{"attachment": path, "reason": "the file does not exist"}]
    assert response["missing_attachments"] == missing
    await shut_down(hass, account)
    fake_server.start()
    await settle(hass, account)
    await until(lambda: state_of(hass, DELIVERY).attributes.get("event_type") == "sent")
    assert state_of(hass, DELIVERY).attributes["missing_attachments"] == missing


async def test_complete_email_has_no_note(
    hass: HomeAssistant, doorbell: FakeCamera, fake_server: FakeServer
) -> None:
    """Nothing is missing, and the text, the response and the event agree."""
    response = await send(hass, {"media_source": CAMERA}, attachments_required=True)
    assert response["missing_attachments"] == []
    assert state_of(hass, DELIVERY).attributes["missing_attachments"] == []
    assert text_of(fake_server) == "Somebody rang\n"


async def test_notify_action_is_sent_without_missing_images(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, files: Path
) -> None:
    """Reports that need their attachments can require them there, too."""
    data: dict[str, Any] = {"images": [str(files / "allowed" / "gone.png")]}
    fields = {"message": "Leak", "data": data}
    await hass.services.async_call("notify", "me_outlook_com", fields, blocking=True)
    assert (
        text_of(fake_server) == "Leak\n\nMissing attachments: gone.png (the file does not exist)\n"
    )
    data["attachments_required"] = True
    with pytest.raises(ServiceValidationError, match="the file does not exist"):
        await hass.services.async_call("notify", "me_outlook_com", fields, blocking=True)
