"""What templates and callers pass: text of any length blocks and breaks nothing."""

import asyncio
from collections.abc import Callable
import gc
import json
import threading
import time
import tracemalloc
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.json import json_bytes
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
import voluptuous as vol

from ..fake_microsoft import FakeServer
from ..helpers import ANNA, ask
from ..promises import LONGEST_STALL, MAX_NAME, MAX_TEXT_SIZE

ME = "notify.me_outlook_com"
HALF = "Cut \ud83d\x00\x1b\x85\u2028 here"  # A lone surrogate, and others that control a terminal.
MB = 1_000_000


class Action:
    """Calls an action as an automation does, and keeps the result."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Start without a call."""
        self._hass = hass
        self.error: Exception | None = None

    async def call(self, name: str, data: dict[str, Any]) -> None:
        """Call an action, whatever it raises."""
        domain, _, action = name.partition(".")
        self.error = None
        try:
            await self._hass.services.async_call(domain, action, data, blocking=True)
        except (HomeAssistantError, vol.Invalid) as error:
            self.error = error

    @property
    def problem(self) -> str | None:
        """Return the key of the translated error of the last call."""
        assert self.error is None or isinstance(self.error, HomeAssistantError)
        return self.error.translation_key if self.error else None


@pytest.fixture
def action(hass: HomeAssistant, account: MockConfigEntry) -> Action:
    """Return a function that calls the actions of a running account."""
    return Action(hass)


SEND, NOTIFY, ENTITY = "outlook_smtp.send_message", "notify.me_outlook_com", "notify.send_message"
# Every field through which text enters, with values that let it get as far as possible.
ENTRANCES: dict[str, tuple[str, dict[str, Any]]] = {
    **{
        field: (SEND, {"entity_id": ME, "message": "x", field: HALF})
        for field in (
            *("title", "message", "html", "sender_name", "to", "cc", "bcc", "reply_to", "priority"),
            *("config_entry_id", "entity_id", "area_id", "label_id", HALF),
        )
    },
    **{
        f"name in {field}": (SEND, {"entity_id": ME, "message": "x", field: f"{HALF} <{ANNA}>"})
        for field in ("to", "cc", "bcc", "reply_to")
    },
    **{
        f"attachment's {key}": (
            SEND,
            {"entity_id": ME, "message": "x", "attachments": [{"path": "/x", key: HALF}]},
        )
        for key in ("path", "filename", "content_id", "mime_type")
    },
    "path": (SEND, {"entity_id": ME, "attachments": {"path": f"/media/{HALF}"}}),
    "media": (SEND, {"entity_id": ME, "attachments": {"media_source": f"media-source://{HALF}"}}),
    "camera": (
        SEND,
        {"entity_id": ME, "attachments": {"media_source": f"media-source://camera/c.{HALF}"}},
    ),
    "Markdown": (SEND, {"entity_id": ME, "message": f"# {HALF}", "markdown": True}),
    "entity's message": (ENTITY, {"entity_id": ME, "message": HALF, "title": HALF}),
    "notifier's message": (NOTIFY, {"message": HALF, "title": HALF, "target": f"{HALF} <{ANNA}>"}),
    "notifier's target": (NOTIFY, {"message": "x", "target": HALF}),
    "notifier's data": (
        NOTIFY,
        {"message": "x", "data": {"html": HALF, "sender_name": HALF, "images": [HALF], HALF: HALF}},
    ),
    "id": ("outlook_smtp.cancel_message", {"id": HALF}),
    "account": ("outlook_smtp.flush_outbox", {"config_entry_id": HALF}),
}


def check_shown(shown: Any) -> None:
    """Check that a value can be sent to a browser: it is JSON, without surrogates or controls."""
    json_bytes(shown)
    text = json.dumps(shown, ensure_ascii=False, default=str)
    text.encode()
    assert not set("\x00\x1b\x85\u2028").intersection(text)


@pytest.mark.usefixtures("no_pace")
async def test_lone_surrogates_reach_nothing(
    hass: HomeAssistant, action: Action, fake_server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither into the outbox, events, states and repairs, nor into the log or an error."""
    fake_server.stop()
    for entrance, data in ENTRANCES.items():
        caplog.clear()
        await action.call(*data)
        await hass.async_block_till_done()
        try:
            check_shown(await ask(hass, "list_outbox"))
            check_shown([state.as_dict() for state in hass.states.async_all()])
            check_shown([issue.to_json() for issue in ir.async_get(hass).issues.values()])
            if isinstance(action.error, HomeAssistantError) and action.error.translation_domain:
                check_shown([str(action.error), action.error.translation_placeholders])
            ours = [record for record in caplog.records if "outlook_smtp" in record.name]
            check_shown([each.getMessage() for each in ours if each.levelname != "DEBUG"])
        except BaseException as error:
            error.add_note(f"The entrance: {entrance}")
            raise


async def test_titles_and_names_are_shortened(action: Action, fake_server: FakeServer) -> None:
    """An alert is sent, whatever its template made of its title and its sender's name."""
    long = {"title": "ä" * 10 * MB, "sender_name": "ö" * 10 * MB}
    await action.call(SEND, {"entity_id": ME, "message": "x", **long})
    assert action.problem is None
    [received] = fake_server.received
    assert MAX_NAME == 1000
    assert received.message["Subject"] == "ä" * 999 + "…"
    assert received.message["From"].addresses[0].display_name == "ö" * 999 + "…"


async def test_text_and_html_have_a_limit(action: Action, fake_server: FakeServer) -> None:
    """Ten megabytes of both are sent, and one byte more is an error that names the field."""
    assert MAX_TEXT_SIZE == 10 * MB
    for field in ("message", "html"):
        for text in ("x" * (10 * MB + 1), "€" * 3_333_334):
            await action.call(SEND, {"entity_id": ME, field: text})
            assert action.problem == "text_too_long"
            assert f"{field}: this is larger than 10 MB" in str(action.error)
    assert fake_server.received == []
    await action.call(SEND, {"entity_id": ME, "message": "x" * 10 * MB, "html": "y" * 10 * MB})
    assert action.problem is None
    plain, page = fake_server.received[0].message.iter_parts()
    assert plain.get_content().strip() == "x" * 10 * MB
    assert page.get_content().strip() == "y" * 10 * MB


async def test_addresses_are_counted_before_they_are_parsed(
    action: Action, subtests: pytest.Subtests
) -> None:
    """Ten megabytes of them take no memory."""
    cases: dict[str, tuple[Any, str]] = {
        "addresses in one text": ("a@b.cd," * 1_500_000, "address_too_long"),
        "one address": ("x" * 10 * MB, "address_too_long"),
        "addresses in a list": (["a@b.cd"] * MB, "too_many_recipients"),
        "one too many": (["a@b.cd"] * 501, "too_many_recipients"),
        "long addresses": (["x" * MB] * 10, "address_too_long"),
    }
    for name, (value, problem) in cases.items():
        for field in ("to", "cc", "bcc", "reply_to"):
            with subtests.test(name, field=field):
                tracemalloc.start()
                await action.call(SEND, {"entity_id": ME, "message": "x", field: value})
                peak = tracemalloc.get_traced_memory()[1]
                tracemalloc.stop()
                assert action.problem == problem
                assert peak < 5 * MB


def steps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return a list that collects the processor time of each step of the event loop."""
    taken: list[float] = []
    run = asyncio.Handle._run
    thread = threading.get_ident()  # The fake server has its own event loop.

    def timed(handle: asyncio.Handle) -> None:
        """Measure one step."""
        start = time.thread_time()
        run(handle)
        if threading.get_ident() == thread:
            taken.append(time.thread_time() - start)

    monkeypatch.setattr(asyncio.Handle, "_run", timed)
    return taken


UMLAUTS = [f"Näme {n} <a{n}@{'ö' * 30}.{n}{'ä' * 30}.com>" for n in range(500)]
# The worst that a call can contain.
LOADS: dict[str, Callable[[], tuple[str, dict[str, Any]]]] = {
    "addresses in one text": lambda: (SEND, {"message": "x", "to": "a@b.cd," * 1_500_000}),
    "commas": lambda: (SEND, {"message": "x", "to": "," * 10 * MB}),
    "spaces": lambda: (SEND, {"message": "x", "to": " " * 159_999}),
    "entities": lambda: (SEND, {"message": "x", "to": f"{ME}," * 7000}),
    "addresses in a list": lambda: (SEND, {"message": "x", "bcc": ["a@b.cd"] * 3 * MB}),
    "slow addresses": lambda: (SEND, {"message": "x", "to": UMLAUTS}),
    "as many as are sent": lambda: (SEND, {"message": "x", "to": UMLAUTS[:100]}),
    "title": lambda: (SEND, {"entity_id": ME, "title": "\n\u20ac" * 5 * MB}),
    "message": lambda: (SEND, {"entity_id": ME, "message": "\u20ac\n" * 2_400_000}),
    "blank": lambda: (SEND, {"entity_id": ME, "message": " " * 10 * MB, "html": "\n" * 10 * MB}),
    "HTML": lambda: (SEND, {"entity_id": ME, "html": "<p>a&amp;b " * 10_000}),
    "attributes": lambda: (SEND, {"entity_id": ME, "html": f"<a {'b=c ' * 60_000}>x"}),
    "table": lambda: (SEND, {"entity_id": ME, "message": table(3000, 30), "markdown": True}),
    "attachments": lambda: (SEND, {"entity_id": ME, "attachments": [{"path": "/x"}] * 300_000}),
    "path": lambda: (SEND, {"entity_id": ME, "attachments": [{"path": "x" * 10 * MB}]}),
    "targets": lambda: (SEND, {"entity_id": f"{ME}," * 400_000, "message": "x"}),
    "list of targets": lambda: (SEND, {"entity_id": [ME] * 400_000, "message": "x"}),
    "nesting": lambda: (SEND, {"entity_id": ME, "attachments": nested(900)}),
    "notifier's targets": lambda: (NOTIFY, {"message": "x", "target": ["a@b.cd"] * 3 * MB}),
    "notifier's images": lambda: (
        NOTIFY,
        {"message": "x", "data": {"html": "cid:x" * 300_000, "images": ["/x", "/y.jpg"]}},
    ),
    "data for others": lambda: (NOTIFY, {"message": "x", "data": {"tag": ["x"] * 3 * MB}}),
    "entity's message": lambda: (ENTITY, {"entity_id": ME, "message": "\u20ac" * 3_300_000}),
    "entity's title": lambda: (
        ENTITY,
        {"entity_id": ME, "message": "x", "title": "\u20ac\n" * 5 * MB},
    ),
}


def table(columns: int, rows: int) -> str:
    """Return a Markdown table whose rows are almost empty."""
    return f"|{'a|' * columns}\n|{'-|' * columns}\n" + "|\n" * rows


def nested(depth: int) -> list[Any]:
    """Return nested lists."""
    innermost: list[Any] = []
    for _ in range(depth):
        innermost = [innermost]
    return innermost


@pytest.mark.usefixtures("no_pace")
async def test_no_action_blocks_the_event_loop(
    action: Action,
    fake_server: FakeServer,
    monkeypatch: pytest.MonkeyPatch,
    subtests: pytest.Subtests,
) -> None:
    """No step of the loop takes more than 20 ms, whatever an action is given."""
    assert LONGEST_STALL == 0.02
    gc.freeze()  # Do not collect the garbage of all tests.
    for load, make in LOADS.items():
        with subtests.test(load):
            assert await longest_step(action, make(), monkeypatch) < LONGEST_STALL
        fake_server.received.clear()
    gc.unfreeze()


async def longest_step(
    action: Action, data: tuple[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> float:
    """Return the processor time of a call's longest step; another task may interrupt a step."""
    longest = []
    for _ in range(3):
        with monkeypatch.context() as patch:
            taken = steps(patch)
            await asyncio.sleep(0)
            await action.call(*data)
            await asyncio.sleep(0)
        longest.append(max(taken))
        if min(longest) < LONGEST_STALL:
            break
    return min(longest)
