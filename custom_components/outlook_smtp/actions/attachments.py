"""Read attachments: media sources, cameras, images, speech and local files."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from email.mime.image import MIMEImage
from functools import partial
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

from ..const import (
    ATTR_ATTACHMENTS,
    ATTR_CONTENT_ID,
    ATTR_FILENAME,
    ATTR_MEDIA_SOURCE,
    ATTR_MIME_TYPE,
    ATTR_PATH,
)
from ..delivery.network import without_number
from ..errors import input_error
from ..message.outgoing import Attachment, MissingAttachment
from ..message.text import one_line, visible
from .attachment_files import File, UnavailableError, UnusableError, find_file, read_file

_LOGGER = logging.getLogger(__name__)

FALLBACK_TYPE: Final = "application/octet-stream"
MAX_ATTACHMENTS: Final = 100  # Per email.
MAX_MEDIA_ID: Final = 4096  # Characters; longer than any path.
MEDIA_TIMEOUT: Final = 30.0  # Seconds for another integration to respond; cameras get 10.
MAX_REASON: Final = 200  # Characters of another integration's error message.

_CAMERA: Final = "media-source://camera/"
_IMAGE: Final = "media-source://image/"
_SPEECH: Final = "media-source://tts/"
# What precedes the host in a URL, such as a camera's user name and password.
_USER_INFO: Final = re.compile(r"(?<=://)[^/@\s]+@")


@dataclass(frozen=True, slots=True)
class _Media:
    """Content that was read, with its default name and media type."""

    content: bytes
    filename: str
    mime_type: str | None = None


@dataclass(frozen=True, slots=True)
class _Place:
    """The expected path of a file, and the media type that its source reports."""

    path: Path | str
    mime_type: str | None = None
    is_media: bool = False


type _Found = _Media | _Place | File | MissingAttachment


class _Space:
    """The space left in a message."""

    def __init__(self, limit: int, usual_limit: int) -> None:
        """Start with the full size limit, in bytes; errors name the usual one."""
        self._left = limit
        self._usual_limit = usual_limit

    def take(self, size: int, filename: str) -> None:
        """Reserve space for an attachment or reject it, before it is read if possible."""
        self._left -= size
        if self._left < 0:
            raise input_error(
                "attachment_too_large",
                ATTR_ATTACHMENTS,
                filename,
                limit=f"{self._usual_limit / 1e6:.1f}",
            )


async def async_read_attachments(
    hass: HomeAssistant,
    items: Sequence[Mapping[str, Any]],
    size_limit: int,
    *,
    usual_limit: int,
    required: bool = False,
) -> tuple[tuple[Attachment, ...], tuple[MissingAttachment, ...]]:
    """Read all attachments; take snapshots immediately and at the same time.

    All files are checked to fit before the first one is read.

    Args:
        hass: Home Assistant.
        items: The value of the action's `attachments` field.
        size_limit: The maximum total size, in bytes.
        usual_limit: The size that the server usually accepts, which errors name, in bytes.
        required: Whether an attachment that is not available right now is an error.

    Returns:
        The attachments, and those that are not available right now.

    Raises:
        ServiceValidationError: If there are too many, or if one is invalid, not allowed or too
            large.

    """
    if len(items) > MAX_ATTACHMENTS:
        raise input_error("too_many_attachments", ATTR_ATTACHMENTS, str(len(items)))
    found = await _async_find_all(hass, items, _Space(size_limit, usual_limit))
    for position, item in enumerate(items):
        if isinstance(file := found[position], File):
            found[position] = await _async_try(hass, item, partial(_async_read, hass, file))
    missing = tuple(each for each in found if isinstance(each, MissingAttachment))
    if missing and required:
        raise _missing_error(missing[0])
    pairs = zip(items, found, strict=True)
    attached = (_attach(item, each) for item, each in pairs if isinstance(each, _Media))
    return tuple(attached), missing


async def _async_find_all(
    hass: HomeAssistant, items: Sequence[Mapping[str, Any]], space: _Space
) -> list[_Found]:
    """Take snapshots, and find files without reading them."""
    found: list[_Found] = list(
        await asyncio.gather(
            *(_async_try(hass, item, partial(_async_resolve, hass, space)) for item in items)
        )
    )
    for position, item in enumerate(items):
        if isinstance(place := found[position], _Place):
            found[position] = await _async_try(hass, item, partial(_async_find, hass, space, place))
    return found


def _attach(item: Mapping[str, Any], media: _Media) -> Attachment:
    """Return the attachment for one item of the action's field."""
    return Attachment(
        content=media.content,
        filename=item.get(ATTR_FILENAME) or media.filename,
        mime_type=item.get(ATTR_MIME_TYPE) or _mime_type(media, item.get(ATTR_FILENAME) or ""),
        content_id=item.get(ATTR_CONTENT_ID),
    )


def _missing_error(missing: MissingAttachment) -> HomeAssistantError:
    """Return the error for a required attachment that is not available."""
    is_media = missing.attachment.startswith(URI_SCHEME)
    key = "media_unavailable" if is_media else "file_not_readable"
    return input_error(key, ATTR_ATTACHMENTS, missing.attachment, reason=missing.reason)


def _mime_type(media: _Media, filename: str) -> str:
    """Return the media type: from the source, else the file name, else the content."""
    if media.mime_type:
        return media.mime_type
    for name in (filename, media.filename):
        mime_type, encoding = mimetypes.guess_type(name)
        # The type of a compressed file is not that of its content.
        if mime_type and not encoding:
            return mime_type
    try:
        return MIMEImage(media.content[:64]).get_content_type()
    except TypeError:
        return FALLBACK_TYPE


async def _async_try(
    hass: HomeAssistant,
    item: Mapping[str, Any],
    work: Callable[[Mapping[str, Any]], Coroutine[Any, Any, _Found]],
) -> _Found:
    """Run one step for an attachment, or return why the attachment is not available."""
    name = _name_of(item)
    try:
        return await work(item)
    except UnavailableError as error:
        reason = await error.async_reason(hass)
        if isinstance(error, UnusableError):
            raise input_error("file_not_readable", ATTR_ATTACHMENTS, name, reason=reason) from error
    shown = visible(name)
    _LOGGER.warning("%s is missing from an email: %s", shown, reason)
    label = item.get(ATTR_FILENAME) or PurePath(name.removeprefix(URI_SCHEME)).name
    return MissingAttachment(shown, visible(label), reason)


def _name_of(item: Mapping[str, Any]) -> str:
    """Return the name that an item gives its attachment."""
    name: str = item.get(ATTR_PATH) or item[ATTR_MEDIA_SOURCE]["media_content_id"]
    return name


async def _async_resolve(hass: HomeAssistant, space: _Space, item: Mapping[str, Any]) -> _Found:
    """Take a snapshot, render speech, or return the path of a file."""
    if ATTR_PATH in item:
        return _Place(item[ATTR_PATH])
    name = _name_of(item)
    _check_media(name)
    found = await _async_ask(hass, _async_fetch(hass, name), name)
    if isinstance(found, _Media):
        space.take(len(found.content), found.filename)
        return found
    if found.path is None:
        raise input_error("media_not_a_file", ATTR_ATTACHMENTS, name)
    return _Place(found.path, found.mime_type or None, is_media=True)


async def _async_find(
    hass: HomeAssistant, space: _Space, place: _Place, item: Mapping[str, Any]
) -> _Found:
    """Find a file, and make sure that it fits."""
    find = partial(find_file, hass, place.path, _name_of(item), is_media=place.is_media)
    file = await hass.async_add_executor_job(find)
    space.take(file.size, file.filename)
    return replace(file, mime_type=place.mime_type)


async def _async_read(hass: HomeAssistant, file: File, _: Mapping[str, Any]) -> _Media:
    """Read a file that was found."""
    content = await hass.async_add_executor_job(read_file, file)
    return _Media(content, file.filename, file.mime_type)


def _check_media(media_content_id: str) -> None:
    """Reject a media identifier that is malformed or leads out of its folder."""
    short = media_content_id[: MAX_MEDIA_ID + 1]
    match = URI_SCHEME_REGEX.fullmatch(short)
    printable = len(short) <= MAX_MEDIA_ID and unquote(short).isprintable()
    valid = printable and match and match["identifier"]
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
    """Call another integration, which may raise anything, cancel itself or never return."""
    task = hass.async_create_task(work, f"read {name}")
    # Retrieve a late exception, so that asyncio does not log it.
    task.add_done_callback(lambda task: task.cancelled() or task.exception())
    try:
        await asyncio.wait({task}, timeout=MEDIA_TIMEOUT)
    finally:
        in_time = task.done()
        task.cancel()
    if not in_time:
        raise UnavailableError("missing_timeout", seconds=f"{MEDIA_TIMEOUT:.0f}")
    try:
        return task.result()
    except UnavailableError:
        raise
    except HomeAssistantError as error:
        raise UnavailableError(None, reason=_shown(error)) from error
    except (asyncio.CancelledError, Exception) as error:
        _LOGGER.debug("Reading %s failed", name, exc_info=True)
        raise UnavailableError("missing_failed", reason=type(error).__name__) from error


def _shown(error: HomeAssistantError) -> str:
    """Return another integration's error message on one line, without credentials."""
    text = one_line(without_number(str(error)[:MAX_MEDIA_ID]))
    return _USER_INFO.sub("", " ".join(text.split()))[:MAX_REASON] or type(error).__name__


async def _async_fetch(hass: HomeAssistant, media_content_id: str) -> _Media | PlayMedia:
    """Ask the integration behind a media source for the content or its path."""
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
    try:
        media = await async_resolve_media(hass, media_content_id, None)
        return PlayMedia(media.url, str(media.mime_type or ""), path=media.path)
    except Exception:
        # Media folders only resolve files whose names have a playable type.
        if (path := _local_path(hass, media_content_id)) is None:
            raise
        return PlayMedia("", "", path=path)


def _local_path(hass: HomeAssistant, media_content_id: str) -> Path | None:
    """Return the path that a checked identifier has in Home Assistant's media folders."""
    source, _, identifier = media_content_id.removeprefix(URI_SCHEME).partition("/")
    name, _, location = identifier.partition("/")
    folder = hass.config.media_dirs.get(name) if source == MEDIA_DOMAIN else None
    return None if folder is None else Path(folder, location)


def _snapshot(entity_id: str, picture: camera.Image | image.Image) -> _Media:
    """Name a snapshot after its camera or image entity."""
    extension = mimetypes.guess_extension(picture.content_type) or ".jpg"
    name = entity_id.partition(".")[2]
    return _Media(_checked(picture.content), f"{name}{extension}", picture.content_type)


def _checked(content: bytes) -> bytes:
    """Return the non-empty bytes that an integration returned."""
    if not content:
        raise UnavailableError("missing_empty")
    return bytes(memoryview(content))
