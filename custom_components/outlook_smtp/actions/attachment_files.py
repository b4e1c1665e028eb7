"""Find and read local files to attach; everything here runs in the executor."""

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

# Do not wait for the other end of a pipe, and do not follow a link that replaced the file.
_OPEN: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NOCTTY


class UnavailableError(Exception):
    """An attachment is not available right now.

    `key` names the text with the reason, among the `common` ones; without a key, it is `reason`.
    """

    def __init__(self, key: str | None, **placeholders: str) -> None:
        """Store the reason."""
        super().__init__(key)
        self.key = key
        self.placeholders = placeholders

    async def async_reason(self, hass: HomeAssistant) -> str:
        """Return the reason in Home Assistant's language."""
        if self.key is None:
            return self.placeholders["reason"]
        return await async_text(hass, self.key, **self.placeholders)


class UnusableError(UnavailableError):
    """An attachment can never be used."""


@dataclass(frozen=True, slots=True)
class File:
    """A readable file: its path, size in bytes, name and, if known, media type."""

    path: Path
    size: int
    filename: str
    mime_type: str | None = None


def find_file(hass: HomeAssistant, path: Path | str, text: str, *, is_media: bool) -> File:
    """Return a file that Home Assistant may read, without opening it.

    Args:
        hass: Home Assistant.
        path: Its path; links and dots are resolved before the check.
        text: The path as the caller wrote it.
        is_media: Whether media folders are allowed.

    Raises:
        ServiceValidationError: If it is not in an allowed folder.
        UnavailableError: If it does not exist, or cannot be read.
        UnusableError: If it is not a regular file.

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
    """Return the content of a file that must still have the size it was found with.

    Raises:
        UnavailableError: If it is gone, or cannot be read.
        UnusableError: If it was replaced, or changes while it is read.

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
    """Return whether a file, with links resolved, is in an allowed folder."""
    if hass.config.is_allowed_path(str(real)):
        return True
    folders = (*hass.config.media_dirs.values(), hass.config.path(UPLOADED_IMAGES))
    return is_media and any(real.is_relative_to(Path(folder).resolve()) for folder in folders)


def _check_regular(found: os.stat_result) -> None:
    """Reject anything but a regular file: folders have no content, and a pipe may never end."""
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
