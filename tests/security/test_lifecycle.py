"""An account is added, removed, or fails at either: no mail and no promise is left behind."""

import asyncio
from collections.abc import Callable
import inspect
from itertools import product
from pathlib import Path
import threading
import time
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components import binary_sensor, notify
from homeassistant.config_entries import ConfigEntries, ConfigEntryState
from homeassistant.core import HomeAssistant, State
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components import outlook_smtp
from custom_components.outlook_smtp.const import DOMAIN
from custom_components.outlook_smtp.coordinator import HealthCoordinator
from custom_components.outlook_smtp.delivery.content import Content
from custom_components.outlook_smtp.leftovers import async_sweep
from custom_components.outlook_smtp.outbox import schedule_files
from custom_components.outlook_smtp.outbox.queue import Queue
from custom_components.outlook_smtp.outbox.queued import Limits, OutboxClosedError
from custom_components.outlook_smtp.outbox.schedule import Schedule
from custom_components.outlook_smtp.outbox.spool import Spool
from custom_components.outlook_smtp.outbox.spooled import Spooled
from custom_components.outlook_smtp.outbox.worker import DeliveryWorker
from custom_components.outlook_smtp.sent_log import SentLog
from custom_components.outlook_smtp.smtp.route import SmtpRoute
from tests.conftest import until
from tests.fake_microsoft import FakeServer, Script, Step
from tests.helpers import (
    defer,
    folder_of,
    mailer_of,
    outgoing,
    settle,
    titles,
    until_empty,
)
from tests.outbox.helpers import add
from tests.outbox.worker_helpers import all_done, queue_in, running, worker_on
from tests.promises import BURST, PER_MINUTE
from tests.smtp.helpers import ANNA, CONTENT, account_on, envelope_to

WORKER = "outlook_smtp delivery worker"


def workers() -> list[asyncio.Task[Any]]:
    """Return the running delivery workers."""
    return [task for task in asyncio.all_tasks() if task.get_name() == WORKER]


def left_in_storage(hass: HomeAssistant, entry: MockConfigEntry) -> list[str]:
    """Return the names of what an account has left on disk."""
    folder = folder_of(hass, entry).parent
    return [path.name for path in folder.iterdir() if entry.entry_id in path.name]


# Removed while calls are under way


async def test_call_on_a_removed_account_is_an_error(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One message is at the server, one is being written, the others are queued."""
    write, writing, may_end = Spool.write, threading.Event(), threading.Event()

    def slow_write(spool: Spool, *args: Any) -> Spooled:
        writing.set()
        may_end.wait(5)
        return write(spool, *args)

    fake_server.script = Script(stall=Step.GREETING)
    mailer = mailer_of(account)
    calls = [asyncio.create_task(mailer.send(outgoing("At the server")))]
    await until(lambda: mailer.queue.under_way)
    monkeypatch.setattr(Spool, "write", slow_write)
    calls += [asyncio.create_task(mailer.send(outgoing(str(number)))) for number in range(5)]
    await until(writing.is_set)
    removing = asyncio.create_task(hass.config_entries.async_remove(account.entry_id))
    await until(lambda: account.state is not ConfigEntryState.LOADED)
    calls.append(asyncio.create_task(mailer.send(outgoing("Too late"))))
    fake_server.hang_up()
    await until(lambda: mailer.queue.is_closed)
    assert not any(call.done() for call in calls)
    may_end.set()
    await removing
    for call in calls:
        with pytest.raises(HomeAssistantError, match="was not sent: its account was removed"):
            await call
    assert left_in_storage(hass, account) == []
    assert workers() == []


async def test_call_that_outlasts_unloading_is_queued(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """It is not told so until it is certain that no removal follows."""
    fake_server.script_next(Script(stall=Step.GREETING))
    sending = asyncio.create_task(mailer_of(account).send(outgoing()))
    await until(lambda: mailer_of(account).queue.under_way)
    unloading = asyncio.create_task(hass.config_entries.async_unload(account.entry_id))
    await until(lambda: account.state is not ConfigEntryState.LOADED)
    fake_server.hang_up()
    assert await unloading
    assert (await sending).status == "queued"
    await settle(hass, account)
    await until_empty(account)
    assert titles(fake_server) == ["Door"]


async def test_failed_message_of_a_removed_account_cannot_be_retried(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """It is gone with the account, and nothing brings it back."""
    fake_server.script_next(Script(replies={Step.FINAL: "554 5.6.0 Not like this"}))
    queue = mailer_of(account).queue
    with pytest.raises(HomeAssistantError, match="Not like this"):
        await mailer_of(account).send(outgoing())
    (failed,) = queue.failed
    await hass.config_entries.async_remove(account.entry_id)
    with pytest.raises(OutboxClosedError):
        await queue.retry(failed.failure.spooled.id)
    assert left_in_storage(hass, account) == []


async def test_start_deletes_files_of_removed_accounts(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Outboxes, other files, leftovers and links are deleted; foreign or used files stay."""
    storage = folder_of(hass, entry).parent
    gone = storage / "outlook_smtp.01GONE.outbox"
    (gone / "waiting").mkdir(parents=True)
    (gone / "waiting" / "0000000007-1795509015-0123456789ab.msg").write_text("Dear Anna")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").touch()
    (storage / "outlook_smtp.01LINK.outbox").symlink_to(elsewhere)
    for name in ("outlook_smtp.01GONE.sent", "outlook_smtp.01GONE.token"):
        (storage / name).touch()
        (storage / f".{name}.part").touch()
    kept = {"outlook_smtp", "outlook_smtp.01GONE.notes", "outlook_smtp_2.01GONE.sent"}
    kept |= {f"{DOMAIN}.{entry.entry_id}.sent", f"{DOMAIN}.{entry.entry_id}.token"}
    for name in kept:
        (storage / name).touch()
    await settle(hass, entry)
    there = {path.name for path in storage.iterdir() if "outlook" in path.name}
    assert there - {folder_of(hass, entry).name} == kept - {f"{DOMAIN}.{entry.entry_id}.token"}
    assert (elsewhere / "precious").exists()
    assert f"{gone} was deleted with 1 waiting messages" in caplog.text


async def test_undeletable_outbox_stops_nothing(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The log names it, and the account is set up."""
    gone = folder_of(hass, entry).with_name("outlook_smtp.01GONE.sent")
    gone.touch()

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted", str(gone))

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.unlink", refuse)
        await async_sweep(hass)
    assert f"{gone} belongs to no account and cannot be deleted" in caplog.text
    await settle(hass, entry)


# A set-up that fails

STEPS: dict[str, tuple[object, str]] = {
    "tokens": (outlook_smtp, "async_load_tokens"),
    "outbox": (outlook_smtp, "async_open_outbox"),
    "account": (outlook_smtp, "async_build_route"),
    "mailer": (outlook_smtp, "Mailer"),
    "coordinator": (outlook_smtp, "HealthCoordinator"),
    "log": (SentLog, "async_load"),
    "device": (outlook_smtp, "account_device"),
    "platforms": (ConfigEntries, "async_forward_entry_setups"),
    "legacy notify": (outlook_smtp, "async_register_legacy_notify"),
    "listeners": (MockConfigEntry, "add_update_listener"),
    "signed in anew": (outlook_smtp, "async_credentials_changed"),
    "worker": (DeliveryWorker, "start"),
    "hold": (HealthCoordinator, "async_begin"),
    "issues": (outlook_smtp, "AccountIssues"),
    "first check": (MockConfigEntry, "async_create_background_task"),
}


def failing(work: Callable[..., Any], when: str, error: BaseException) -> Callable[..., Any]:
    """Return a function that fails before or after its work."""
    if not inspect.iscoroutinefunction(work):

        def fail(*args: Any, **kwargs: Any) -> None:
            for value in [work(*args, **kwargs)] if when == "after" else args:
                if asyncio.iscoroutine(value):
                    value.close()
            raise error

        return fail

    async def fail_later(*args: Any, **kwargs: Any) -> None:
        if when == "after":
            await work(*args, **kwargs)
        raise error

    return fail_later


@pytest.mark.parametrize("step", STEPS)
async def test_failed_set_up_leaves_nothing_running(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    issue_registry: ir.IssueRegistry,
    *,
    fake_server: FakeServer,
    monkeypatch: pytest.MonkeyPatch,
    subtests: pytest.Subtests,
    step: str,
) -> None:
    """No worker, entity, action or repair issue stays, and the next set-up works."""
    owner, name = STEPS[step]
    errors = RuntimeError("nobody foresaw this"), OSError(5, "I/O error")
    for when, error in product(("before", "after"), errors):
        with subtests.test(when, error=str(error)):
            fake_server.received.clear()
            with monkeypatch.context() as patch:
                patch.setattr(owner, name, failing(getattr(owner, name), when, error))
                assert not await hass.config_entries.async_setup(entry.entry_id)
            retried = isinstance(error, OSError)
            assert (entry.state is ConfigEntryState.SETUP_RETRY) is retried
            assert workers() == []
            assert [each.entity_id for each in hass.states.async_all() if not restored(each)] == []
            assert not hass.services.has_service(notify.DOMAIN, "me_outlook_com")
            assert not issue_registry.issues
            await until(lambda: not fake_server.open_connections)
            assert await hass.config_entries.async_reload(entry.entry_id)
            await hass.async_block_till_done(wait_background_tasks=True)
            await mailer_of(entry).send(outgoing())
            assert titles(fake_server) == ["Door"]
            assert len(workers()) == 1
        assert await hass.config_entries.async_unload(entry.entry_id)


def restored(state: State) -> bool:
    """Return whether a state only says that its entity existed before."""
    return bool(state.attributes.get("restored"))


# An unloading that fails


async def refuse_to_unload(*_: object) -> bool:
    """Keep a platform loaded."""
    return False


async def fail_to_unload(*_: object) -> bool:
    """Keep a platform loaded in an unexpected way."""
    raise RuntimeError("nobody foresaw this")


UNLOADS: dict[str, tuple[object, str, Callable[..., Any]]] = {
    "a platform stays": (binary_sensor, "async_unload_entry", refuse_to_unload),
    "a platform fails": (binary_sensor, "async_unload_entry", fail_to_unload),
    "all platforms stay": (ConfigEntries, "async_unload_platforms", refuse_to_unload),
    "platforms fail": (ConfigEntries, "async_unload_platforms", fail_to_unload),
    "the delivery worker": (DeliveryWorker, "stop", fail_to_unload),
    "the connection": (SmtpRoute, "close", fail_to_unload),
    "the ages": (Queue, "save_ages", fail_to_unload),
}


@pytest.mark.parametrize("step", UNLOADS)
async def test_account_that_cannot_be_unloaded_continues(
    hass: HomeAssistant,
    *,
    account: MockConfigEntry,
    fake_server: FakeServer,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    """All of its entities exist and are right; waiting mail is sent, even after removal."""
    before = {state.entity_id for state in hass.states.async_all()}
    fake_server.stop()
    await defer(account)
    with monkeypatch.context() as patch:
        patch.setattr(*UNLOADS[step])
        assert not await hass.config_entries.async_unload(account.entry_id)
    assert account.state is ConfigEntryState.FAILED_UNLOAD
    states = {each.entity_id: each for each in hass.states.async_all()}
    assert states.keys() == before
    assert not any(restored(each) or each.state == "unavailable" for each in states.values())
    assert len(workers()) == 1
    fake_server.start()
    data = {"entity_id": "notify.family", "message": "Ring", "title": "Ring"}
    await hass.services.async_call(notify.DOMAIN, "send_message", data, blocking=True)
    await until_empty(account)
    assert titles(fake_server) == ["Door", "Ring"]
    await hass.config_entries.async_remove(account.entry_id)
    assert workers() == []
    assert left_in_storage(hass, account) == []
    await until(lambda: not fake_server.open_connections)


# How fast, and over how many connections


@pytest.mark.parametrize("again", ["reload", "restart"])
async def test_rate_limit_holds_across_restarts(
    tmp_path: Path, fake_server: FakeServer, freezer: FrozenDateTimeFactory, again: str
) -> None:
    """A start allows no additional burst, and does not use up the current one."""
    queue = Queue(Spool(tmp_path), Limits(1000, 500_000_000))
    await queue.open()
    for number in range(PER_MINUTE + BURST):
        await add(queue, number)
    for _ in range(20):
        queue = queue if again == "reload" else await queue_in(queue)
        async with running(worker_on(fake_server, queue)):
            await all_done(queue)
        freezer.tick(3)
    assert PER_MINUTE - 2 <= len(fake_server.received) <= PER_MINUTE


@pytest.mark.parametrize(
    "kept",
    [
        '{"level": 0.0, "boot": "another"}',
        '{"level": 1e300, "boot": "another"}',
        '{"level": NaN, "boot": "this"}',
        '{"level": 1e300, "boot": "this"}',
        '{"level": 0.0}',
        "[]",
        "",
    ],
)
async def test_untrusted_clock_costs_the_rate_limiter_one_burst(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, freezer: FrozenDateTimeFactory, kept: str
) -> None:
    """After a reboot, or with a damaged file, the first message waits 2.4 s."""
    boot = tmp_path / "boot_id"
    boot.write_text("this")
    monkeypatch.setattr(schedule_files, "_BOOT_ID", boot)
    (tmp_path / schedule_files.PACE_FILE).write_text(kept)
    schedule = Schedule()
    await schedule_files.ScheduleFiles(schedule, Spool(tmp_path)).load(credentials_changed=False)
    assert schedule.due - time.monotonic() == pytest.approx(60 / (PER_MINUTE - BURST))


@pytest.mark.parametrize("boot", ["this", None])
async def test_rate_limiter_survives_a_restart(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    freezer: FrozenDateTimeFactory,
    boot: str | None,
) -> None:
    """The monotonic clock continues; without knowing that, it is not trusted."""
    (tmp_path / "boot_id").write_text("this")
    monkeypatch.setattr(schedule_files, "_BOOT_ID", tmp_path / (f"boot_id{'' if boot else '_'}"))
    before = Schedule()
    before.start(time.monotonic())
    await schedule_files.ScheduleFiles(before, Spool(tmp_path)).save_pace()
    freezer.tick(60)
    after = Schedule()
    await schedule_files.ScheduleFiles(after, Spool(tmp_path)).load(credentials_changed=False)
    assert (after.due <= time.monotonic()) is bool(boot)


async def test_new_connection_waits_for_the_old_one_to_quit(
    fake_server: FakeServer,
) -> None:
    """A new one is opened once the server has seen the end of the old one."""
    fake_server.script = Script(stall=Step.QUIT)
    route = SmtpRoute(account_on(fake_server, idle_time=0))
    await route.submit(envelope_to(ANNA), Content.of(CONTENT))
    await until(lambda: not (route._session and route._session.is_usable))
    open_now = []
    submitting = asyncio.create_task(route.submit(envelope_to(ANNA), Content.of(CONTENT)))

    def is_done() -> bool:
        """Return whether the message was submitted, and record the open connections."""
        open_now.append(fake_server.open_connections)
        return submitting.done()

    await until(is_done)
    await submitting
    await route.close()
    assert fake_server.connections == 2
    assert max(open_now) == 1
