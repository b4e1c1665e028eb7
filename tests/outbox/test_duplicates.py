"""Duplicates are recognized among the latest emails."""

import asyncio

from custom_components.outlook_smtp.outbox.queue import Queue

from .helpers import add


async def test_only_the_latest_emails_are_remembered(queue: Queue) -> None:
    """A thousand of them; one that is sent again counts as new."""
    keeping = asyncio.ensure_future(add(queue))
    await keeping
    known = queue.duplicates
    for number in range(1001):
        known.add(str(number % 1000).encode(), keeping)
    known.add(b"new", keeping)
    assert known.find(b"1", 60) is None
    assert all(known.find(str(number).encode(), 60) for number in (0, 2, 999))
