"""Acknowledged messages survive the death of the process, and arrive once or, rarely, twice.

Kills happen at random moments; `CRASH_SEED` repeats those of another run as far as timing allows,
and `CRASH_KILLS` sets their number: 50 in each run, 200 in the nightly one, and a quarter as many
over Microsoft Graph. After a kill, everything written to the operating system survives; a power cut
is a different case. Two of three
sender processes start with a clock that is days or decades wrong, and in some it is corrected:
nothing expires because of that. A sender process reports each action in advance: a cancellation
whose response was lost may have worked or not, and nothing else may be unaccounted for.
"""

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
@pytest.mark.parametrize(("route", "kills"), [(Resource.SMTP, KILLS), (Resource.GRAPH, KILLS // 4)])
def test_nothing_is_lost_and_only_lost_replies_cause_duplicates(
    story: Story, kills: int, report: Callable[[Audit], str]
) -> None:
    """Killed repeatedly while sending, Home Assistant loses nothing.

    The server drops connections, defers some recipients and refuses others for good, while
    messages are canceled and retried at random.
    """
    for _ in range(kills):
        story.kill()
    story.finish()
    result = count(story.rounds)
    summary = report(result)
    assert result.wrongs == {}, summary
    assert left_behind(story.outbox) == [], summary
    assert complaints(story.log) == [], summary


@pytest.mark.parametrize("route", Resource)
def test_refused_recipient_is_kept_as_failed_once(
    story: Story, report: Callable[[Audit], str]
) -> None:
    """Killed while it splits a message, Home Assistant continues with the rest.

    Message 6 is accepted for one recipient, refused for one and deferred for one, message 2 only
    the first two. Microsoft Graph defers nobody, and refuses both for all until one is left out.
    """
    for phase, outgoing in (("fail", 6), ("restrict", 6), ("delete", 2)):
        story.halt(phase, outgoing)
        story.finish()
    result = count(story.rounds)
    summary = report(result)
    assert result.wrongs == {}, summary
    assert left_behind(story.outbox) == [], summary


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
