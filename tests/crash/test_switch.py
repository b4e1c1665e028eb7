"""A queue survives that its account switches between SMTP and Microsoft Graph under kills."""

from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Final

import pytest

from custom_components.outlook_smtp.auth.clouds import Resource
from custom_components.outlook_smtp.const import CONF_ROUTE, DOMAIN
from tests.conftest import ADDRESS
from tests.home import write_entry

from .audit import Audit, complaints, count, left_behind
from .flaky_microsoft import FlakyMicrosoft
from .messages import OPTIONS
from .story import KILLS, Story

MESSAGES: Final = 100
KILLS_A_QUEUE: Final = 8
QUEUES: Final = max(1, KILLS // 50)


@pytest.mark.timeout(60 + 2 * KILLS)
def test_switching_routes_neither_loses_nor_repeats_a_message(
    story: Story, microsoft: FlakyMicrosoft, folder: Path, report: Callable[[Audit], str]
) -> None:
    """Each recipient gets each message, and again only where an answer was lost.

    The messages wait before the first switch. Each start finds the route on disk that the account
    had once: nothing waits for Home Assistant to write its config entries.
    """
    data = microsoft.account(Resource.SMTP, signed_in=True)
    for _ in range(QUEUES):
        write_entry(folder, DOMAIN, ADDRESS, data=data, options=OPTIONS)
        microsoft.smtp.stop()
        story.fill(MESSAGES)
        microsoft.smtp.start()
        for route, _ in zip(cycle(Resource), range(KILLS_A_QUEUE), strict=False):
            changed = data | {CONF_ROUTE: route.value}
            write_entry(folder, DOMAIN, ADDRESS, data=changed, options=OPTIONS)
            story.kill_switching()
        story.finish_switching()
    result = count(story.rounds)
    summary = report(result)
    assert result.wrongs == {}, summary
    assert left_behind(story.outbox) == [], summary
    assert complaints(story.log) == [], summary
    assert result.outgoing_messages == result.queued >= MESSAGES * QUEUES
    assert result.switches >= KILLS_A_QUEUE * QUEUES
    assert microsoft.smtp.received
    assert microsoft.graph.received
