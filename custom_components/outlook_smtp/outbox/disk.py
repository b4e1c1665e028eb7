"""Files that are there as a whole or not at all, and that nobody but their owner can read."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
import errno
import json
import os
from pathlib import Path
import stat
from typing import Any, BinaryIO


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Write a file, which has its name once all of it is on the disk; until then it has another."""
    part = path.with_name(f".{path.name}.part")
    try:
        with _create(part) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
        sync(path.parent)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def open_file(path: Path) -> BinaryIO:
    """Open a file for reading, without following a link or waiting for a pipe."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EISDIR, "it is not a file")
    return os.fdopen(descriptor, "rb")


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write a small file."""
    with new_file(path) as file:
        file.write(json.dumps(values).encode())


def read_json(path: Path) -> dict[str, Any]:
    """Return what a small file says: nothing if there is none or it is unreadable."""
    try:
        with open_file(path) as file:
            values = json.load(file)
    except OSError, RecursionError, ValueError:
        return {}
    return values if isinstance(values, dict) else {}


def unlink(path: Path) -> None:
    """Delete a file, and bring that to the disk."""
    path.unlink(missing_ok=True)
    sync(path.parent)


def remove(path: Path) -> None:
    """Delete a file that does no harm if it stays."""
    with suppress(OSError):
        path.unlink()


def sync(folder: Path) -> None:
    """Bring the names of a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # Some file systems cannot do so with a folder.
            raise
    finally:
        os.close(descriptor)


def _create(path: Path) -> BinaryIO:
    """Create a file that only its owner may read."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    return os.fdopen(os.open(path, flags, 0o600), "wb")
