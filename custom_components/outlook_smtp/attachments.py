"""Reads what an action wants attached: media sources, cameras, images, speech and local files."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from email.mime.image import MIMEImage
import errno
from itertools import accumulate
import logging
import mimetypes
from pathlib import Path, PurePath
import re
from typing import Any, Final
from urllib.parse import unquote

from homeassistant.components import camera, image, tts
from homeassistant.components.media_source import (
    DOMAIN as MEDIA_DOMAIN,
    URI_SCHEME,
    PlayMedia,
    async_resolve_media,
)
from homeassistant.components.media_source.const import URI_SCHEME_REGEX
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util import raise_if_invalid_path

from .const import (
    ATTR_ATTACHMENTS,
    ATTR_CONTENT_ID,
    ATTR_FILENAME,
    ATTR_MEDIA_SOURCE,
    ATTR_MIME_TYPE,
    ATTR_PATH,
)
from .exceptions import input_error
from .message.letter import Attachment, MissingAttachment
from .texts import async_text

_LOGGER = logging.getLogger(__name__)

FALLBACK_TYPE: Final = "application/octet-stream"
ALLOWLIST_HELP: Final = (
    "https://www.home-assistant.io/integrations/homeassistant/#allowlist_external_dirs"
)
MEDIA_TIMEOUT: Final = 30.0  # Seconds that another integration may take; cameras have 10.
MAX_REASON: Final = 200  # Characters of another integration's explanation.

_CAMERA: Final = "media-source://camera/"
_IMAGE: Final = "media-source://image/"
_SPEECH: Final = "media-source://tts/"
# What stands before the host in an address, such as a camera's user name and password.
_USER_INFO: Final = re.compile(r"(?<=://)[^/@\s]+@")


class _UnavailableError(Exception):
    """What is to be attached cannot be had at the moment.

    `key` is that of the text that says why, among the `common` ones; without a key it is `reason`.
    """

    def __init__(self, key: str | None, **placeholders: str) -> None:
        """Keep why."""
        super().__init__(key)
        self.key = key
        self.placeholders = placeholders

    async def async_reason(self, hass: HomeAssistant) -> str:
        """Return why, in the language of Home Assistant."""
        if self.key is None:
            return self.placeholders["reason"]
        return await async_text(hass, self.key, **self.placeholders)


@dataclass(frozen=True, slots=True)
class _Media:
    """Something that was read, and the name and type that it goes by if nobody gives others."""

    content: bytes
    filename: str
    mime_type: str | None = None


async def async_read_attachments(
    hass: HomeAssistant,
    items: Sequence[Mapping[str, Any]],
    size_limit: int,
    *,
    required: bool = False,
) -> tuple[tuple[Attachment, ...], tuple[MissingAttachment, ...]]:
    """Read everything that is to be attached, all at once: pictures are of the same moment.

    Args:
        hass: Home Assistant.
        items: What the action's `attachments` field holds.
        size_limit: The most that all of them may have together, in bytes.
        required: Whether what cannot be had at the moment is an error.

    Returns:
        What is attached, and what cannot be had at the moment.

    Raises:
        ServiceValidationError: If one is not named well, may not be read or is too large.

    """
    results = await asyncio.gather(*(_async_try(hass, item, size_limit) for item in items))
    pairs = zip(items, results, strict=True)
    found = [(item, each) for item, each in pairs if isinstance(each, _Media)]
    missing = tuple(each for each in results if isinstance(each, MissingAttachment))
    if missing and required:
        raise _missing_error(missing[0])
    totals = accumulate(len(media.content) for _, media in found)
    for (_, media), total in zip(found, totals, strict=True):
        if total > size_limit:
            raise input_error(
                "attachment_too_large",
                ATTR_ATTACHMENTS,
                media.filename,
                limit=f"{size_limit / 1e6:.1f}",
            )
    return tuple(_attach(item, media) for item, media in found), missing


def _attach(item: Mapping[str, Any], media: _Media) -> Attachment:
    """Return the attachment that an item of the action's field asks for."""
    return Attachment(
        content=media.content,
        filename=item.get(ATTR_FILENAME) or media.filename,
        mime_type=item.get(ATTR_MIME_TYPE) or _mime_type(media, item.get(ATTR_FILENAME) or ""),
        content_id=item.get(ATTR_CONTENT_ID),
    )


def _missing_error(missing: MissingAttachment) -> HomeAssistantError:
    """Return the error for what cannot be had though it is required."""
    is_media = missing.attachment.startswith(URI_SCHEME)
    key = "media_unavailable" if is_media else "file_not_readable"
    return input_error(key, ATTR_ATTACHMENTS, missing.attachment, reason=missing.reason)


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


async def _async_try(
    hass: HomeAssistant, item: Mapping[str, Any], limit: int
) -> _Media | MissingAttachment:
    """Read one attachment, or return why it cannot be had at the moment."""
    path = item.get(ATTR_PATH)
    name: str = item[ATTR_MEDIA_SOURCE]["media_content_id"] if path is None else path
    try:
        if path is None:
            return await _async_read_media(hass, name, limit)
        return await hass.async_add_executor_job(_read_path, hass, path, limit)
    except _UnavailableError as error:
        reason = await error.async_reason(hass)
    _LOGGER.warning("%s is missing from an email: %s", name, reason)
    label = item.get(ATTR_FILENAME) or PurePath(name.removeprefix(URI_SCHEME)).name
    return MissingAttachment(name, label, reason)


async def _async_read_media(hass: HomeAssistant, media_content_id: str, limit: int) -> _Media:
    """Take a picture, render speech, or read the file behind a media source."""
    _check_media(media_content_id)
    found = await _async_ask(hass, _async_fetch(hass, media_content_id), media_content_id)
    if isinstance(found, _Media):
        return found
    if found.path is None:
        raise input_error("media_not_a_file", ATTR_ATTACHMENTS, media_content_id)
    path = Path(found.path)
    content = await hass.async_add_executor_job(_read_file, path, media_content_id, limit)
    return _Media(content, path.name, found.mime_type)


def _check_media(media_content_id: str) -> None:
    """Refuse an identifier that can never mean anything, or that leads out of a folder."""
    match = URI_SCHEME_REGEX.fullmatch(media_content_id)
    valid = media_content_id.isprintable() and match and match["identifier"]
    if match and match["domain"] == MEDIA_DOMAIN and valid:
        _, _, location = match["identifier"].partition("/")
        try:
            raise_if_invalid_path(location)
        except ValueError:
            valid = False
        valid = valid and location and not PurePath(location).is_absolute()
    if not valid:
        raise input_error("media_invalid", ATTR_ATTACHMENTS, media_content_id)


async def _async_ask[T](hass: HomeAssistant, work: Coroutine[Any, Any, T], name: str) -> T:
    """Await other integrations: they may raise anything, cancel themselves or never return."""
    task = hass.async_create_task(work, f"read {name}")
    # One that fails after nobody waits any more has nothing to tell.
    task.add_done_callback(lambda task: task.cancelled() or task.exception())
    try:
        await asyncio.wait({task}, timeout=MEDIA_TIMEOUT)
    finally:
        in_time = task.done()
        task.cancel()
    if not in_time:
        raise _UnavailableError("missing_timeout", seconds=f"{MEDIA_TIMEOUT:.0f}")
    try:
        return task.result()
    except _UnavailableError:
        raise
    except HomeAssistantError as error:
        raise _UnavailableError(None, reason=_shown(error)) from error
    except (asyncio.CancelledError, Exception) as error:
        _LOGGER.debug("Reading %s failed", name, exc_info=True)
        raise _UnavailableError("missing_failed", reason=type(error).__name__) from error


def _shown(error: HomeAssistantError) -> str:
    """Return the text of another integration's error, on one line and without credentials."""
    return _USER_INFO.sub("", " ".join(str(error).split()))[:MAX_REASON] or type(error).__name__


async def _async_fetch(hass: HomeAssistant, media_content_id: str) -> _Media | PlayMedia:
    """Ask the integration that a media source belongs to for its content, or where that is."""
    loaded = hass.config.components
    if media_content_id.startswith(_CAMERA):
        entity_id = unquote(media_content_id.removeprefix(_CAMERA))
        return _snapshot(entity_id, await camera.async_get_image(hass, entity_id))
    if media_content_id.startswith(_IMAGE) and image.DOMAIN in loaded:
        entity_id = unquote(media_content_id.removeprefix(_IMAGE))
        return _snapshot(entity_id, await image.async_get_image(hass, entity_id))
    if media_content_id.startswith(_SPEECH) and tts.DOMAIN in loaded:
        extension, content = await tts.async_get_media_source_audio(hass, media_content_id)
        return _Media(_checked(content), f"speech.{extension}")
    media = await async_resolve_media(hass, media_content_id, None)
    return PlayMedia(media.url, str(media.mime_type or ""), path=media.path)


def _snapshot(entity_id: str, picture: camera.Image | image.Image) -> _Media:
    """Name a camera's or an image entity's picture after its entity."""
    extension = mimetypes.guess_extension(picture.content_type) or ".jpg"
    name = entity_id.partition(".")[2]
    return _Media(_checked(picture.content), f"{name}{extension}", picture.content_type)


def _checked(content: bytes) -> bytes:
    """Return what an integration returned as the bytes that it should be, if it is any."""
    if not content:
        raise _UnavailableError("missing_empty")
    return bytes(memoryview(content))


def _read_path(hass: HomeAssistant, text: str, limit: int) -> _Media:
    """Read a file of a folder that Home Assistant may read from; runs in the executor."""
    try:
        # What is checked is what is read, wherever links and dots lead.
        path = Path(text).resolve()
        allowed = hass.config.is_allowed_path(str(path))
    except ValueError as error:  # A NUL, or half a character.
        raise _not_readable(text, str(error)) from error
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
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _UnavailableError("missing_not_found") from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        if error.errno == errno.ENAMETOOLONG:
            raise _not_readable(text, reason) from error
        raise _UnavailableError("missing_not_readable", reason=reason) from error
    raise _not_readable(text, "not a file")


def _not_readable(text: str, reason: str) -> HomeAssistantError:
    """Return the error for what can never be the path of a file."""
    return input_error("file_not_readable", ATTR_ATTACHMENTS, text, reason=reason)
