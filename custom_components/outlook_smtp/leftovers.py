"""Delete files of removed accounts that could not be deleted at their removal."""

import asyncio
from collections.abc import Container
from contextlib import suppress
import logging
from pathlib import Path
import re
import shutil
from typing import Final

from homeassistant.core import HomeAssistant
from homeassistant.helpers.storage import STORAGE_DIR

from .const import DOMAIN
from .outbox.spool import WAITING

_LOGGER = logging.getLogger(__name__)

# The outbox of an account and its other files, and temporary files left by a crash.
_OURS: Final = re.compile(
    rf"\.?{re.escape(DOMAIN)}\.(?P<entry_id>[^.]+)\.(outbox|sent|token)(\.part)?"
)


async def async_sweep(hass: HomeAssistant) -> None:
    """Delete the files of accounts that no longer exist."""
    known = {entry.entry_id for entry in hass.config_entries.async_entries(DOMAIN)}
    folder = Path(hass.config.path(STORAGE_DIR))
    await asyncio.to_thread(_sweep, folder, known)


def _sweep(folder: Path, known: Container[str]) -> None:
    """Delete this integration's files in a folder that belong to no known account."""
    with suppress(OSError):  # No files yet.
        for path in tuple(folder.iterdir()):
            name = _OURS.fullmatch(path.name)
            if name and name["entry_id"] not in known:
                _delete(path)


def _delete(path: Path) -> None:
    """Delete a file, a link or a folder, and log how many messages were lost."""
    waiting = len(list((path / WAITING).glob("*.msg")))
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except OSError as error:
        _LOGGER.error("%s belongs to no account and cannot be deleted: %s", path, error.strerror)
    else:
        _LOGGER.warning(
            "%s was deleted with %d waiting messages: its account was removed", path, waiting
        )
