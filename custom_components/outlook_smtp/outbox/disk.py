"""Files that are there as a whole or not at all, and that nobody but their owner can read."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
import errno
import json
import os
from pathlib import Path
import stat
from typing import Any, BinaryIO, Final

# What there is in the place of a file and is none: not what passes by itself.
FOREIGN: Final = (errno.EISDIR, errno.ELOOP, errno.ENXIO)


class LinkError(OSError):
    """There is a link where a file or a folder of ours should be; links are not followed."""

    def __init__(self, path: Path | str) -> None:
        """Name what is a link."""
        super().__init__(errno.ELOOP, "it is a link, not a file or folder of its own", str(path))


@contextmanager
def new_file(path: Path, *, is_durable: bool = True) -> Iterator[BinaryIO]:
    """Write a file, which has its name once all of it is on the disk; until then it has another.

    One that is not durable is whole after a crash of the process, but not after a power cut.
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
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise LinkError(path) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EISDIR, "it is not a file")
    return os.fdopen(descriptor, "rb")


def write_json(path: Path, values: dict[str, Any], *, is_durable: bool = True) -> None:
    """Write a small file."""
    with new_file(path, is_durable=is_durable) as file:
        file.write(json.dumps(values).encode())


def read_json(path: Path) -> dict[str, Any]:
    """Return what a small file says: nothing if there is none or it is unreadable."""
    try:
        with open_file(path) as file:
            values = json.load(file)
    except OSError, RecursionError, ValueError:
        return {}
    return values if isinstance(values, dict) else {}


def make_folders(folders: Sequence[Path]) -> None:
    """Make the folders that are missing, also those that were deleted meanwhile.

    Args:
        folders: The one that all others are in first.

    Raises:
        LinkError: If there is a link in the place of one.

    """
    check_links(folders)
    missing = [folder for folder in folders if not folder.is_dir()]
    for folder in missing:
        folder.mkdir(mode=0o700, parents=True)
    for folder in (folders[0], folders[0].parent) if missing else ():
        sync(folder)


def check_links(folders: Iterable[Path]) -> None:
    """Raise `LinkError` if there is a link in the place of a folder."""
    for folder in folders:
        if folder.is_symlink():
            raise LinkError(folder)


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
