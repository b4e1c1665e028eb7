"""Reads what an action wants attached: media sources, cameras, images, speech and local files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import mimetypes
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from homeassistant.components import camera, image, tts
from homeassistant.components.media_source import Unresolvable, async_resolve_media
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError

from .const import (
    ATTR_ATTACHMENTS,
    ATTR_CONTENT_ID,
    ATTR_FILENAME,
    ATTR_MEDIA_SOURCE,
    ATTR_PATH,
)
from .exceptions import input_error
from .message.letter import Attachment

FALLBACK_TYPE: Final = "application/octet-stream"
ALLOWLIST_HELP: Final = (
    "https://www.home-assistant.io/integrations/homeassistant/#allowlist_external_dirs"
)

_CAMERA: Final = "media-source://camera/"
_IMAGE: Final = "media-source://image/"
_SPEECH: Final = "media-source://tts/"


@dataclass(frozen=True, slots=True)
class _Media:
    """Something that was read, and the name and type that it goes by if nobody gives others."""

    content: bytes
    filename: str
    mime_type: str | None


async def async_read_attachments(
    hass: HomeAssistant, items: Sequence[Mapping[str, Any]], size_limit: int
) -> tuple[Attachment, ...]:
    """Read everything that is to be attached.

    Args:
        hass: Home Assistant.
        items: What the action's `attachments` field holds.
        size_limit: The most that all of them may have together, in bytes.

    Raises:
        ServiceValidationError: If one cannot be found, may not be read or is too large.

    """
    attachments: list[Attachment] = []
    for item in items:
        room = size_limit - sum(len(attachment.content) for attachment in attachments)
        media = await _async_read(hass, item, room)
        if len(media.content) > room:
            raise _too_large(media.filename, size_limit)
        filename = item.get(ATTR_FILENAME) or media.filename
        attachments.append(
            Attachment(
                content=media.content,
                filename=filename,
                mime_type=media.mime_type or mimetypes.guess_type(filename)[0] or FALLBACK_TYPE,
                content_id=item.get(ATTR_CONTENT_ID),
            )
        )
    return tuple(attachments)


async def _async_read(hass: HomeAssistant, item: Mapping[str, Any], room: int) -> _Media:
    """Read one attachment, from the path or the media source that it names."""
    if path := item.get(ATTR_PATH):
        return await hass.async_add_executor_job(_read_allowed_path, hass, path, room)
    media_content_id = item[ATTR_MEDIA_SOURCE]["media_content_id"]
    try:
        return await _async_read_media(hass, media_content_id, room)
    except ServiceValidationError:
        raise
    except (HomeAssistantError, Unresolvable, ValueError) as error:
        raise input_error(
            "media_unavailable", ATTR_ATTACHMENTS, media_content_id, reason=str(error)
        ) from error


async def _async_read_media(hass: HomeAssistant, media_content_id: str, room: int) -> _Media:
    """Take a picture, render speech, or read the file behind a media source."""
    if media_content_id.startswith(_CAMERA):
        entity_id = unquote(media_content_id.removeprefix(_CAMERA))
        return _snapshot(entity_id, await camera.async_get_image(hass, entity_id))
    if media_content_id.startswith(_IMAGE):
        entity_id = unquote(media_content_id.removeprefix(_IMAGE))
        return _snapshot(entity_id, await image.async_get_image(hass, entity_id))
    if media_content_id.startswith(_SPEECH):
        extension, content = await tts.async_get_media_source_audio(hass, media_content_id)
        return _Media(content, f"speech.{extension}", None)
    media = await async_resolve_media(hass, media_content_id, None)
    if media.path is None:
        raise input_error("media_not_a_file", ATTR_ATTACHMENTS, media_content_id)
    content = await hass.async_add_executor_job(_read_file, media.path, str(media.path), room)
    return _Media(content, media.path.name, media.mime_type)


def _snapshot(entity_id: str, picture: camera.Image | image.Image) -> _Media:
    """Name a camera's or an image entity's picture after its entity."""
    extension = mimetypes.guess_extension(picture.content_type) or ".jpg"
    name = entity_id.partition(".")[2]
    return _Media(picture.content, f"{name}{extension}", picture.content_type)


def _read_allowed_path(hass: HomeAssistant, text: str, room: int) -> _Media:
    """Read a local file from a folder that Home Assistant may read from; runs in the executor."""
    if "\0" in text or not hass.config.is_allowed_path(text):
        raise input_error("path_not_allowed", ATTR_ATTACHMENTS, text, url=ALLOWLIST_HELP)
    path = Path(text)
    return _Media(_read_file(path, text, room), path.name, None)


def _read_file(path: Path, text: str, room: int) -> bytes:
    """Read a file that is there and not too large; runs in the executor."""
    try:
        if path.stat().st_size > room:
            raise _too_large(path.name, room)
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise input_error("file_not_readable", ATTR_ATTACHMENTS, text, reason=reason) from error


def _too_large(filename: str, limit: int) -> ServiceValidationError:
    """Return the error for an attachment that the server would not take."""
    return input_error(
        "attachment_too_large", ATTR_ATTACHMENTS, filename, limit=f"{limit / 1e6:.1f}"
    )
