"""Fixtures: a queue on disk, and everything that is logged and shown."""

from tests.outbox.conftest import queue, spool_folder

__all__ = ["queue", "spool_folder"]
