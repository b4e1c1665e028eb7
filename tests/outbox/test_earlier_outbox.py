"""An outbox written before the renaming is read and sent."""

from pathlib import Path
import shutil

from custom_components.outlook_smtp.outbox.queue import Queue
from custom_components.outlook_smtp.outbox.queued import Limits
from custom_components.outlook_smtp.outbox.spool import Spool
from tests.conftest import until
from tests.fake_microsoft import FakeServer
from tests.smtp.helpers import ANNA

from .worker_helpers import running, worker_on

BEFORE = Path(__file__).parent / "before"


async def test_outbox_of_an_earlier_version_is_read_and_sent(
    fake_server: FakeServer, spool_folder: Path
) -> None:
    """Waiting messages go to the remaining recipients, and failed ones are still known."""
    shutil.copytree(BEFORE, spool_folder)
    queue = Queue(Spool(spool_folder), Limits(100, 1_000_000))
    await queue.open()
    assert [queued.entry.title for queued in queue.waiting] == ["Door 1", "Door 2"]
    failures = [(failed.failure.spooled.entry.to, failed.failure.reply) for failed in queue.failed]
    assert failures == [
        ((ANNA, "bert@example.com", "carl@example.com"), "550 5.1.1 User unknown"),
        (("dora@example.com",), "554 5.2.0 No"),
    ]
    async with running(worker_on(fake_server, queue)) as worker:
        await worker.flush()
        await until(lambda: not queue.waiting and not queue.under_way)
    assert [(mail.recipients, mail.message["Subject"]) for mail in fake_server.received] == [
        ((ANNA,), "Door 1"),
        ((ANNA,), "Door 2"),
    ]
    assert queue.quarantined == []
