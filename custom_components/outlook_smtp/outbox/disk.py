"""Files that are written completely or not at all, and that only their owner can read."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
import errno
import json
import os
from pathlib import Path
import stat
from typing import Any, BinaryIO, Final

# Errors for something that is not a regular file; they are permanent.
FOREIGN: Final = (errno.EISDIR, errno.ELOOP, errno.ENXIO)


class LinkError(OSError):
    """A link is where our file or folder should be; links are not followed."""

    def __init__(self, path: Path | str) -> None:
        """Keep the path of the link."""
        super().__init__(errno.ELOOP, "it is a link, not a file or folder of its own", str(path))


@contextmanager
def new_file(path: Path, *, is_durable: bool = True) -> Iterator[BinaryIO]:
    """Write a file, renamed into place once fully written.

    A file that is not durable survives a crash of the process, but not a power cut.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with _create(part) as file:
            yield file
            file.flush()
            if is_durable:
                os.fsync(file.fileno())
        part.rename(path)
        if is_durable:
            sync(path.parent)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def open_file(path: Path | str) -> BinaryIO:
    """Open a file for reading, without following a link or waiting for a pipe."""
    return os.fdopen(_open(path)[0], "rb")


def read_start(path: Path | str, length: int) -> tuple[bytes, int]:
    """Return the first bytes of a file and the size of the file, with as little work as possible.

    Args:
        path: The path of the file.
        length: How many bytes to read at most.

    """
    descriptor, size = _open(path)
    try:
        return os.read(descriptor, length), size
    finally:
        os.close(descriptor)


def write_json(path: Path, values: dict[str, Any], *, is_durable: bool = True) -> None:
    """Write a small JSON file."""
    with new_file(path, is_durable=is_durable) as file:
        file.write(json.dumps(values).encode())


def read_json(path: Path) -> dict[str, Any]:
    """Return the content of a small JSON file, empty if it is missing or unreadable."""
    try:
        with open_file(path) as file:
            values = json.load(file)
    except OSError, RecursionError, ValueError:
        return {}
    return values if isinstance(values, dict) else {}


def make_folders(folders: Sequence[Path]) -> None:
    """Create missing folders, including those that were deleted meanwhile.

    Args:
        folders: The folders; the first one contains all others.

    Raises:
        LinkError: If one of them is a link.

    """
    check_links(folders)
    missing = [folder for folder in folders if not folder.is_dir()]
    for folder in missing:
        folder.mkdir(mode=0o700, parents=True)
    for folder in (folders[0], folders[0].parent) if missing else ():
        sync(folder)


def check_links(folders: Iterable[Path]) -> None:
    """Raise `LinkError` if a folder is a link."""
    for folder in folders:
        if folder.is_symlink():
            raise LinkError(folder)


def unlink(path: Path) -> None:
    """Delete a file durably."""
    path.unlink(missing_ok=True)
    sync(path.parent)


def remove(path: Path) -> None:
    """Delete a file, and ignore errors: it does no harm if it stays."""
    with suppress(OSError):
        path.unlink()


def sync(folder: Path) -> None:
    """Flush the directory entries of a folder to disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # Some file systems cannot sync a folder.
            raise
    finally:
        os.close(descriptor)


def _open(path: Path | str) -> tuple[int, int]:
    """Return the descriptor and the size of a file opened for reading."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise LinkError(path) from error
        raise
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise OSError(errno.EISDIR, "it is not a file")
    return descriptor, found.st_size


def _create(path: Path) -> BinaryIO:
    """Create a file that only its owner may read."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    return os.fdopen(os.open(path, flags, 0o600), "wb")
