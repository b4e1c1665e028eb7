"""Finds and reads the local files that are attached; all of it runs in the executor."""

from dataclasses import dataclass
import errno
import os
from pathlib import Path
import stat
from typing import Final

from homeassistant.core import HomeAssistant

from ..const import ATTR_ATTACHMENTS
from ..errors import input_error
from ..texts import async_text

ALLOWLIST_HELP: Final = (
    "https://www.home-assistant.io/integrations/homeassistant/#allowlist_external_dirs"
)
UPLOADED_IMAGES: Final = "image"  # The folder of Home Assistant's `image_upload`.

# Neither waits for the other end of a pipe, nor follows a link that took the place of the file.
_OPEN: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NOCTTY


class UnavailableError(Exception):
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


class UnusableError(UnavailableError):
    """What is to be attached is no file that could be, now or later."""


@dataclass(frozen=True, slots=True)
class File:
    """A file that may be read: where it is, its size in bytes, its name, and its type if known."""

    path: Path
    size: int
    filename: str
    mime_type: str | None = None


def find_file(hass: HomeAssistant, path: Path | str, text: str, *, is_media: bool) -> File:
    """Return a file that Home Assistant may read from, without opening it.

    Args:
        hass: Home Assistant.
        path: Where it is. What is checked is what is read, wherever links and dots lead.
        text: How the caller named it.
        is_media: Whether it may be in a folder of media.

    Raises:
        ServiceValidationError: If it is in no folder that is allowed.
        UnavailableError: If it is not there, or the disk refuses it.
        UnusableError: If it is no file.

    """
    try:
        real = Path(path).resolve()
        allowed = _is_allowed(hass, real, is_media=is_media)
    except ValueError as error:  # A NUL.
        raise UnusableError("missing_null") from error
    if not allowed:
        raise input_error("path_not_allowed", ATTR_ATTACHMENTS, text, url=ALLOWLIST_HELP)
    try:
        found = real.stat()
    except OSError as error:
        raise _reason(error) from error
    _check_regular(found)
    return File(real, found.st_size, Path(path).name)


def read_file(file: File) -> bytes:
    """Return the content of a file, which has to have the size that it was found with.

    Raises:
        UnavailableError: If it is gone, or the disk refuses it.
        UnusableError: If something else took its place, or it changes meanwhile.

    """
    try:
        with open(file.path, "rb", opener=lambda path, _: os.open(path, _OPEN)) as opened:
            _check_regular(os.fstat(opened.fileno()))
            content = opened.read(file.size + 1)
    except OSError as error:
        raise _reason(error) from error
    if len(content) != file.size:
        raise UnusableError("missing_changed")
    return content


def _is_allowed(hass: HomeAssistant, real: Path, *, is_media: bool) -> bool:
    """Return whether a file without links in its path is in a folder that may be read."""
    if hass.config.is_allowed_path(str(real)):
        return True
    folders = (*hass.config.media_dirs.values(), hass.config.path(UPLOADED_IMAGES))
    return is_media and any(real.is_relative_to(Path(folder).resolve()) for folder in folders)


def _check_regular(found: os.stat_result) -> None:
    """Refuse what is no file: a folder holds nothing to read, and a pipe may never end."""
    if stat.S_ISDIR(found.st_mode):
        raise UnusableError("missing_folder")
    if not stat.S_ISREG(found.st_mode):
        raise UnusableError("missing_special")


def _reason(error: OSError) -> UnavailableError:
    """Return why a file cannot be read."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return UnavailableError("missing_not_found")
    reason = error.strerror or type(error).__name__
    if error.errno == errno.ENAMETOOLONG:
        return UnusableError(None, reason=reason)
    return UnavailableError("missing_not_readable", reason=reason)
