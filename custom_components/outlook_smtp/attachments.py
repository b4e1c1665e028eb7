"""Reads what an action wants attached: media sources, cameras, images, speech and local files."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.mime.image import MIMEImage
from itertools import accumulate
import mimetypes
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import aiohttp
from homeassistant.components import camera, image, tts
from homeassistant.components.media_source import URI_SCHEME, async_resolve_media
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
    mime_type: str | None = None


async def async_read_attachments(
    hass: HomeAssistant, items: Sequence[Mapping[str, Any]], size_limit: int
) -> tuple[Attachment, ...]:
    """Read everything that is to be attached, all at once: pictures are of the same moment.

    Args:
        hass: Home Assistant.
        items: What the action's `attachments` field holds.
        size_limit: The most that all of them may have together, in bytes.

    Raises:
        ServiceValidationError: If one cannot be found, may not be read or is too large.

    """
    found = await asyncio.gather(*(_async_read(hass, item, size_limit) for item in items))
    totals = accumulate(len(media.content) for media in found)
    for media, total in zip(found, totals, strict=True):
        if total > size_limit:
            raise input_error(
                "attachment_too_large",
                ATTR_ATTACHMENTS,
                media.filename,
                limit=f"{size_limit / 1e6:.1f}",
            )
    return tuple(
        Attachment(
            content=media.content,
            filename=item.get(ATTR_FILENAME) or media.filename,
            mime_type=_mime_type(media, item.get(ATTR_FILENAME) or ""),
            content_id=item.get(ATTR_CONTENT_ID),
        )
        for item, media in zip(items, found, strict=True)
    )


def _mime_type(media: _Media, filename: str) -> str:
    """Return the type of what was read: as its source says, as its name says, or as it looks."""
    if media.mime_type:
        return media.mime_type
    for name in (filename, media.filename):
        mime_type, encoding = mimetypes.guess_type(name)
        # A compressed file is not of the type that its content has.
        if mime_type and not encoding:
            return mime_type
    try:
        return MIMEImage(media.content[:64]).get_content_type()
    except TypeError:
        return FALLBACK_TYPE


async def _async_read(hass: HomeAssistant, item: Mapping[str, Any], limit: int) -> _Media:
    """Read one attachment, from the path or the media source that it names."""
    if ATTR_PATH in item:
        return await hass.async_add_executor_job(_read_path, hass, item[ATTR_PATH], limit)
    media_content_id = item[ATTR_MEDIA_SOURCE]["media_content_id"]
    try:
        return await _async_read_media(hass, media_content_id, limit)
    except ServiceValidationError:
        raise
    except (HomeAssistantError, aiohttp.ClientError, OSError, ValueError) as error:
        raise input_error(
            "media_unavailable",
            ATTR_ATTACHMENTS,
            media_content_id,
            reason=str(error) or type(error).__name__,
        ) from error


async def _async_read_media(hass: HomeAssistant, media_content_id: str, limit: int) -> _Media:
    """Take a picture, render speech, or read the file behind a media source."""
    loaded = hass.config.components
    if media_content_id.startswith(_CAMERA):
        entity_id = unquote(media_content_id.removeprefix(_CAMERA))
        return _snapshot(entity_id, await camera.async_get_image(hass, entity_id))
    if media_content_id.startswith(_IMAGE) and image.DOMAIN in loaded:
        entity_id = unquote(media_content_id.removeprefix(_IMAGE))
        return _snapshot(entity_id, await image.async_get_image(hass, entity_id))
    if media_content_id.startswith(_SPEECH) and tts.DOMAIN in loaded:
        extension, content = await tts.async_get_media_source_audio(hass, media_content_id)
        return _Media(content, f"speech.{extension}")
    if not media_content_id.removeprefix(URI_SCHEME):
        raise ValueError("nothing is named")
    media = await async_resolve_media(hass, media_content_id, None)
    if media.path is None:
        raise input_error("media_not_a_file", ATTR_ATTACHMENTS, media_content_id)
    content = await hass.async_add_executor_job(_read_file, media.path, media_content_id, limit)
    return _Media(content, media.path.name, media.mime_type)


def _snapshot(entity_id: str, picture: camera.Image | image.Image) -> _Media:
    """Name a camera's or an image entity's picture after its entity."""
    extension = mimetypes.guess_extension(picture.content_type) or ".jpg"
    name = entity_id.partition(".")[2]
    return _Media(picture.content, f"{name}{extension}", picture.content_type)


def _read_path(hass: HomeAssistant, text: str, limit: int) -> _Media:
    """Read a file of a folder that Home Assistant may read from; runs in the executor."""
    try:
        # What is checked is what is read, wherever links and dots lead.
        path = Path(text).resolve()
        allowed = hass.config.is_allowed_path(str(path))
    except ValueError as error:  # A NUL, or half a character.
        raise _not_readable(text, error) from error
    if not allowed:
        raise input_error("path_not_allowed", ATTR_ATTACHMENTS, text, url=ALLOWLIST_HELP)
    return _Media(_read_file(path, text, limit), Path(text).name)


def _read_file(path: Path, text: str, limit: int) -> bytes:
    """Read a file, and no more than a byte beyond the limit; runs in the executor."""
    try:
        # Opening a pipe would wait for somebody to write into it.
        if path.is_file() or not path.exists():
            with path.open("rb") as file:
                return file.read(limit + 1)
    except OSError as error:
        raise _not_readable(text, error) from error
    raise _not_readable(text, OSError("not a file"))


def _not_readable(text: str, error: OSError | ValueError) -> ServiceValidationError:
    """Return the error for a file that is not there or does not open."""
    reason = error.strerror if isinstance(error, OSError) else None
    return input_error("file_not_readable", ATTR_ATTACHMENTS, text, reason=reason or str(error))
