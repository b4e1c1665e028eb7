"""A disk that is missing, read-only, full or replaced by links: nothing is lost or duplicated."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import errno
import json
import os
from pathlib import Path
import shutil
import time
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.outlook_smtp.const import DOMAIN
from custom_components.outlook_smtp.diagnostics import async_get_config_entry_diagnostics
from custom_components.outlook_smtp.outbox.entry import write_head
from custom_components.outlook_smtp.outbox.events import Delivery, Event
from custom_components.outlook_smtp.outbox.queue import Queue
from custom_components.outlook_smtp.outbox.queued import Limits
from custom_components.outlook_smtp.outbox.spool import QUARANTINE, WAITING, Spool
from custom_components.outlook_smtp.outbox.spooled import Spooled
from tests.conftest import until
from tests.fake_microsoft import FakeServer, Script, Step
from tests.helpers import (
    ask,
    defer,
    folder_of,
    mailer_of,
    outgoing,
    pass_time,
    settle,
    shut_down,
    titles,
    until_empty,
    waiting_files,
)
from tests.outbox.helpers import (
    ANNA,
    BERT,
    add,
    broken,
    content_of,
    entry_of,
    files,
    started_again,
)
from tests.outbox.worker_helpers import (
    DEFERRED,
    NEXT_TRY,
    WEEK,
    all_done,
    let_pass,
    numbers,
    queue_in,
    running,
    worker_on,
)
from tests.promises import LONGEST_DELAY

RECHECK_AFTER = 15.001  # Seconds until an unwritable disk is tried again.
CHANGES = ("rename", "replace", "unlink", "mkdir", "rmdir")


@contextmanager
def read_only(folder: Path, error: int = errno.EROFS) -> Iterator[None]:
    """Make the system refuse every change below a folder, like a read-only file system."""
    real_open = os.open

    def refuse(path: Any) -> None:
        if isinstance(path, str | os.PathLike) and Path(path).is_relative_to(folder):
            raise OSError(error, os.strerror(error), os.fspath(path))

    def changing(work: Callable[..., Any]) -> Callable[..., Any]:
        def change(path: Any, *args: Any, **kwargs: Any) -> Any:
            refuse(path)
            return work(path, *args, **kwargs)

        return change

    def opening(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR):
            refuse(path)
        return real_open(path, flags, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", opening)
        for name in CHANGES:
            patch.setattr(os, name, changing(getattr(os, name)))
        yield


def queue_on(folder: Path) -> Queue:
    """Return a queue with room for all, not yet opened."""
    return Queue(Spool(folder), Limits(20_000, 500_000_000))


@pytest.fixture
async def queue(tmp_path: Path) -> Queue:
    """Return an open, empty queue."""
    queue = queue_on(tmp_path / "outbox")
    await queue.open()
    return queue


@pytest.fixture
def told(queue: Queue) -> list[Delivery]:
    """Return a list of the events that the queue's listeners receive."""
    deliveries: list[Delivery] = []
    queue.subscribe(lambda delivery: deliveries.append(delivery) if delivery else None)
    return deliveries


def events(told: list[Delivery]) -> set[Event]:
    """Return the event types of all messages."""
    return {delivery.event for delivery in told}


# Away for a moment


@pytest.mark.parametrize("away", ["the outbox", "its messages", "a message"])
async def test_temporarily_missing_message_is_sent_later(
    fake_server: FakeServer,
    *,
    queue: Queue,
    told: list[Delivery],
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
    away: str,
) -> None:
    """It is not lost, raises no repair issue, is retried at growing intervals, and sent once."""
    first, _ = await add(queue, 1), await add(queue, 2)
    folder = queue.spool.folder
    path = {"the outbox": folder, "its messages": folder / WAITING}.get(
        away, folder / WAITING / first.spooled.name
    )
    async with running(worker_on(fake_server, queue)):
        with broken(path):
            await let_pass(freezer, queue, 0)
            for _ in range(4):
                await let_pass(freezer, queue, LONGEST_DELAY)
            assert numbers(fake_server) == ([2] if away == "a message" else [])
        await let_pass(freezer, queue, LONGEST_DELAY)
        await until(lambda: not queue.waiting)
    assert sorted(numbers(fake_server)) == [1, 2]
    assert events(told) == {Event.QUEUED, Event.SENT}
    assert queue.quarantined == []
    assert "is lost" not in caplog.text
    assert caplog.text.count(f"{first.spooled.id} will be retried later") == 1
    assert (await started_again(queue)).waiting == []


async def test_deleted_folder_is_created_again(
    fake_server: FakeServer, queue: Queue, told: list[Delivery], freezer: FrozenDateTimeFactory
) -> None:
    """New mail is safe and sent; deleted messages expire, and are reported."""
    await add(queue, 1)
    shutil.rmtree(queue.spool.folder)
    async with running(worker_on(fake_server, queue)):
        await add(queue, 2)
        await until(lambda: Event.SENT in events(told))
        assert queue.spool.folder.stat().st_mode & 0o777 == 0o700
        await let_pass(freezer, queue, WEEK)
        await let_pass(freezer, queue, LONGEST_DELAY)
    assert numbers(fake_server) == [2]
    assert events(told) == {Event.QUEUED, Event.SENT, Event.EXPIRED}
    assert queue.waiting == []


@pytest.mark.parametrize("error", [errno.EIO, errno.ESTALE, errno.EACCES, errno.EMFILE])
async def test_temporarily_unreadable_file_is_tried_again(
    fake_server: FakeServer,
    *,
    queue: Queue,
    freezer: FrozenDateTimeFactory,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: int,
) -> None:
    """The log has a line, and no traceback."""
    item = await add(queue)
    real_open = os.open

    def refuse(path: Any, *args: Any, **kwargs: Any) -> int:
        if os.fspath(path).endswith(item.spooled.name):
            raise OSError(error, os.strerror(error))
        return real_open(path, *args, **kwargs)

    async with running(worker_on(fake_server, queue)):
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", refuse)
            await all_done(queue)
        await let_pass(freezer, queue, NEXT_TRY)
    assert numbers(fake_server) == [1]
    assert os.strerror(error) in caplog.text
    assert "Traceback" not in caplog.text


# Links


@pytest.mark.parametrize("name", ["", WAITING, "failed", QUARANTINE])
@pytest.mark.parametrize("target", ["elsewhere", "nowhere"])
async def test_link_in_place_of_a_folder_is_an_error(
    hass: HomeAssistant, entry: MockConfigEntry, fake_server: FakeServer, name: str, target: str
) -> None:
    """The account reports it, writes nothing to its target, and recovers without it."""
    elsewhere = Path(hass.config.config_dir) / "elsewhere"
    elsewhere.mkdir()
    link = folder_of(hass, entry) / name
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(elsewhere.with_name(target))
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert entry.reason
    assert f"{link} is a link, and links are not followed" in entry.reason
    assert list(elsewhere.iterdir()) == []
    link.unlink()
    assert await hass.config_entries.async_reload(entry.entry_id)
    await mailer_of(entry).send(outgoing())
    assert titles(fake_server) == ["Door"]


async def test_link_that_replaces_a_folder_is_an_error(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """The caller gets an error, nothing is written to its target, nor is that removed."""
    folder = folder_of(hass, account)
    elsewhere = folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to(elsewhere)
    with pytest.raises(HomeAssistantError, match=f"{folder} is a link, and links are not"):
        await mailer_of(account).send(outgoing())
    assert list((elsewhere / WAITING).iterdir()) == []
    await hass.config_entries.async_remove(account.entry_id)
    assert not folder.is_symlink()
    assert (elsewhere / WAITING).exists()


async def test_link_in_place_of_a_message_is_quarantined(
    fake_server: FakeServer, queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    """Even one to the same message: the log says that it is a link."""
    item = await add(queue)
    path = queue.spool.folder / WAITING / item.spooled.name
    path.symlink_to(path.rename(queue.spool.folder.with_name("elsewhere")))
    async with running(worker_on(fake_server, queue)):
        await until(lambda: not queue.waiting)
    assert fake_server.received == []
    assert queue.quarantined == [item.spooled.name]
    assert (queue.spool.folder / QUARANTINE / item.spooled.name).is_symlink()
    assert f"{item.spooled.id} is lost: it is a link" in caplog.text
    assert "Traceback" not in caplog.text


# Read-only


@pytest.mark.parametrize("error", [errno.EROFS, errno.EIO, errno.EACCES])
async def test_read_only_disk_sends_nothing_until_it_is_writable(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory, error: int
) -> None:
    """Waiting mail is sent once, however often it restarts, when the disk is writable again."""
    for number in (1, 2):
        await add(queue, number)
    with read_only(queue.spool.folder, error):
        for _ in range(3):
            queue = await queue_in(queue)
            async with running(worker_on(fake_server, queue)):
                await let_pass(freezer, queue, LONGEST_DELAY)
        assert fake_server.received == []
    async with running(worker_on(fake_server, queue)):
        await until(lambda: not queue.waiting)
    assert numbers(fake_server) == [1, 2]
    assert (await queue_in(queue)).waiting == []


async def test_disk_that_becomes_read_only_sends_no_waiting_mail(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """It is tested before a message is sent, unless it was just written to."""
    fake_server.script = Script(replies={Step.MAIL: "451 4.7.500 Server busy"})
    async with running(worker_on(fake_server, queue)):
        await add(queue)
        await all_done(queue)
        fake_server.script = Script()
        with read_only(queue.spool.folder):
            for _ in range(3):
                await let_pass(freezer, queue, LONGEST_DELAY)
            assert fake_server.received == []
        await let_pass(freezer, queue, RECHECK_AFTER)
        await until(lambda: not queue.waiting)
    assert numbers(fake_server) == [1]


async def test_disk_that_becomes_read_only_during_a_send_duplicates_nothing(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """One is sent, and deleted as soon as possible; the others wait until then."""
    for number in (1, 2, 3):
        await add(queue, number)
    async with running(worker_on(fake_server, queue)):
        with read_only(queue.spool.folder):
            await all_done(queue)
            for _ in range(3):
                await let_pass(freezer, queue, LONGEST_DELAY)
            assert numbers(fake_server) == [1]
            assert len((await queue_in(queue)).waiting) == 3
        await let_pass(freezer, queue, RECHECK_AFTER)
        await until(lambda: not queue.waiting)
    assert numbers(fake_server) == [1, 2, 3]
    assert files(queue.spool.folder / WAITING) == []


async def test_accepted_recipients_get_no_duplicate_from_a_read_only_disk(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """The remaining recipients are written to disk as soon as possible."""
    fake_server.script = Script(refuse_recipients={BERT: DEFERRED})
    await add(queue, 1, ANNA, BERT)
    async with running(worker_on(fake_server, queue)):
        with read_only(queue.spool.folder):
            await until(lambda: queue.waiting[0].recipients == (BERT,))
            await all_done(queue)
            assert (await queue_in(queue)).waiting[0].recipients == (ANNA, BERT)
        await let_pass(freezer, queue, RECHECK_AFTER)
        assert (await queue_in(queue)).waiting[0].recipients == (BERT,)


async def test_postponed_changes_are_made_when_the_folder_is_back(queue: Queue) -> None:
    """A missing folder postpones it; a missing file needs nothing anymore."""
    tries: list[bool] = []

    def delete() -> None:
        tries.append((queue.spool.folder / WAITING).is_dir())
        raise FileNotFoundError

    queue.disk.fall_behind(delete)
    with broken(queue.spool.folder / WAITING):
        assert await queue.check_disk()
    for _ in range(2):
        assert await queue.check_disk()
    assert tries == [False, True]


async def test_nothing_expires_on_a_read_only_disk(
    fake_server: FakeServer, queue: Queue, told: list[Delivery], freezer: FrozenDateTimeFactory
) -> None:
    """A message that could not be kept as failed would be reported as expired, and sent later."""
    await add(queue)
    with read_only(queue.spool.folder):
        async with running(worker_on(fake_server, queue)):
            await let_pass(freezer, queue, WEEK)
            await let_pass(freezer, queue, LONGEST_DELAY)
    assert len(queue.waiting) == 1
    assert events(told) == {Event.QUEUED}


async def test_full_disk_does_not_stop_sending(
    fake_server: FakeServer,
    queue: Queue,
    freezer: FrozenDateTimeFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Files can still be deleted, and sending makes room."""
    await add(queue)
    freezer.tick(60)
    real_open = os.open

    def refuse(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real_open(path, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", refuse)
    async with running(worker_on(fake_server, queue)):
        await until(lambda: not queue.waiting)
    assert numbers(fake_server) == [1]
    assert files(queue.spool.folder / WAITING) == []


async def test_repair_reports_a_read_only_disk(
    hass: HomeAssistant,
    *,
    account: MockConfigEntry,
    fake_server: FakeServer,
    issue_registry: ir.IssueRegistry,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """From the start on; new mail is an error with the reason, and recovery is automatic."""
    fake_server.stop()
    await defer(account)
    await shut_down(hass, account)
    fake_server.start()
    issue_id = f"outbox_not_writable_{account.entry_id}"
    with read_only(folder_of(hass, account)):
        await settle(hass, account)
        issue = issue_registry.async_get_issue(DOMAIN, issue_id)
        assert issue
        assert issue.translation_placeholders
        assert issue.translation_placeholders["reason"] == "Read-only file system"
        assert issue.translation_placeholders["count"] == "1"
        with pytest.raises(HomeAssistantError, match="Read-only file system"):
            await mailer_of(account).send(outgoing("New"))
        assert fake_server.received == []
    await pass_time(hass, freezer, seconds=RECHECK_AFTER)
    await until_empty(account)
    assert titles(fake_server) == ["Door"]
    assert issue_registry.async_get_issue(DOMAIN, issue_id) is None
    assert caplog.text.count("cannot be written: Read-only file system") == 1
    assert waiting_files(hass, account) == []


# Full of mail


def fill(folder: Path, count: int) -> None:
    """Put messages into the folder of an outbox, at once."""
    Spool(folder).open()
    for number in range(1, count + 1):
        content = content_of(number)
        entry = entry_of(content, title=f"Alarm {number}")
        spooled = Spooled(number, int(time.time()), f"{number:012x}", entry)
        (folder / WAITING / spooled.name).write_bytes(write_head(entry) + content)


async def test_lists_are_limited_and_have_totals(
    hass: HomeAssistant, entry: MockConfigEntry, fake_server: FakeServer
) -> None:
    """Thousands of messages are neither in a response nor in diagnostics, and take no time."""
    fill(folder_of(hass, entry), 2000)
    fake_server.stop()
    await settle(hass, entry)
    started = time.thread_time()
    response = await ask(hass, "list_outbox")
    assert time.thread_time() - started < 0.1
    assert len(response["waiting"]) == 100
    assert response["waiting"][0]["title"] == "Alarm 1"
    assert response["waiting_count"] == 2000
    assert (response["failed"], response["failed_count"]) == ([], 0)
    response = await ask(hass, "list_outbox", limit=3)
    assert [each["title"] for each in response["waiting"]] == ["Alarm 1", "Alarm 2", "Alarm 3"]
    diagnostics = await async_get_config_entry_diagnostics(hass, entry)
    assert diagnostics["outbox"]["count"] == 2000
    assert len(json.dumps(diagnostics)) < 20_000


async def test_invalid_limit_is_rejected(
    hass: HomeAssistant, account: MockConfigEntry, subtests: pytest.Subtests
) -> None:
    """The action's own validation rejects it."""
    for limit in (0, -1, 1001, "many"):
        with subtests.test(str(limit)), pytest.raises(Exception, match="limit"):
            await ask(hass, "list_outbox", limit=limit)
