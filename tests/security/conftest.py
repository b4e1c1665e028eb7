"""Fixtures of this room: a queue on disk, and the ear that hears what is logged and shown."""

from tests.outbox.conftest import queue, spool_folder

__all__ = ["queue", "spool_folder"]
