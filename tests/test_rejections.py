"""An email that is rejected before the outbox leaves a trace, even if its caller ignores errors."""

from collections.abc import Mapping
from dataclasses import replace
import logging
from typing import Any, Final

from homeassistant.const import EVENT_STATE_CHANGED
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, State, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.translation import async_get_translations
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.outlook_smtp import mailer
from custom_components.outlook_smtp.const import DOMAIN
from custom_components.outlook_smtp.message.mailbox import parse_mailboxes
from custom_components.outlook_smtp.message.problems import MessageProblem
from custom_components.outlook_smtp.outbox.queued import Limits

from .conftest import until
from .fake_microsoft import FakeServer, Script
from .helpers import ANNA, BERT, defer, outgoing, settle, shut_down, state_of
from .outbox.helpers import no_file_larger_than

DELIVERY, OUTBOX = "event.me_outlook_com_delivery", "sensor.me_outlook_com_outbox"


class Traces:
    """The traces of rejected emails: events and warnings."""

    def __init__(self, hass: HomeAssistant, caplog: pytest.LogCaptureFixture) -> None:
        """Subscribe to the events of an account."""
        self._hass = hass
        self._caplog = caplog
        self._rejected = 0
        self.turns: list[State] = []
        hass.bus.async_listen(EVENT_STATE_CHANGED, self._note)

    @callback
    def _note(self, event: Event[EventStateChangedData]) -> None:
        """Store an event."""
        if event.data["entity_id"] == DELIVERY and event.data["new_state"]:
            self.turns.append(event.data["new_state"])

    @property
    def warnings(self) -> list[str]:
        """Return the integration's warnings."""
        return [
            record.getMessage()
            for record in self._caplog.records
            if record.levelno >= logging.WARNING and DOMAIN in record.name
        ]

    def only(self) -> Mapping[str, Any]:
        """Return the attributes of the one new event, which is also the one warning and counts."""
        [turn] = self.turns
        [warning] = self.warnings
        assert turn.attributes["event_type"] == "failed"
        assert warning == (
            "An email from me@outlook.com was rejected before it reached the outbox: "
            f"{turn.attributes['text']}"
        )
        self._rejected += 1
        assert state_of(self._hass, OUTBOX).attributes["failed"] == self._rejected
        return turn.attributes

    def clear(self) -> None:
        """Forget all, except how many emails were rejected."""
        self.turns.clear()
        self._caplog.clear()
        self._rejected = int(state_of(self._hass, OUTBOX).attributes["failed"])


@pytest.fixture
def traces(
    hass: HomeAssistant, account: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> Traces:
    """Return the traces of emails that are rejected from now on."""
    caplog.clear()
    return Traces(hass, caplog)


async def call(hass: HomeAssistant, action: str, **data: Any) -> str:
    """Call an action that fails, and return its error key."""
    domain, _, name = action.partition(".")
    with pytest.raises(HomeAssistantError) as caught:
        await hass.services.async_call(domain, name, {"message": "Hi"} | data, blocking=True)
    assert caught.value.translation_key
    return caught.value.translation_key


BAD: Final[tuple[tuple[str, dict[str, Any], tuple[str, list[str]]], ...]] = (
    ("outlook_smtp.send_message", {"to": "anna"}, ("missing_at", [])),
    ("outlook_smtp.send_message", {}, ("no_recipient", [])),
    ("outlook_smtp.send_message", {"to": "notify.gone"}, ("not_a_recipient", [])),
    ("outlook_smtp.send_message", {"entity_id": "notify.gone"}, ("not_a_recipient", [])),
    (
        "outlook_smtp.send_message",
        {"to": ANNA, "cc": BERT, "attachments": {"path": "/etc/passwd"}},
        ("path_not_allowed", [ANNA, BERT]),
    ),
    ("notify.me_outlook_com", {"target": "anna"}, ("missing_at", [])),
    ("notify.me_outlook_com", {"data": {"cc": "b@"}}, ("nothing_after_at", [])),
    (
        "notify.me_outlook_com",
        {"target": ANNA, "data": {"images": "/etc/passwd"}},
        ("path_not_allowed", [ANNA]),
    ),
)


async def test_bad_input_leaves_a_trace(
    hass: HomeAssistant, traces: Traces, subtests: pytest.Subtests
) -> None:
    """The event has the problem and the text, once; so does the log; and it is counted."""
    for action, data, expected in BAD:
        with subtests.test(f"{action}: {data}"):
            traces.clear()
            assert await call(hass, action, **data) == expected[0]
            trace = traces.only()
            assert (trace["problem"], trace["recipients"]) == expected
            assert (trace["id"], trace["message_id"], trace["reply"]) == (None, None, "")


@pytest.mark.parametrize("problem", ["outbox_full", "outbox_not_writable", "message_over_limit"])
async def test_message_without_room_leaves_a_trace(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    traces: Traces,
    problem: str,
) -> None:
    """A full outbox, a full disk and an oversized message are reported for every caller."""
    family = {"entity_id": "notify.family"}
    message, largest_file = "Hi", 100_000_000
    if problem == "outbox_full":
        account.runtime_data.queue.limits = Limits(0, 1_000_000)
    elif problem == "outbox_not_writable":
        largest_file = 10
    else:
        message, fake_server.size = "word " * 400_000, 1_000_000
        await account.runtime_data.coordinator.async_refresh()
    for action, data in (
        ("notify.send_message", family),
        ("notify.me_outlook_com", {}),
        ("outlook_smtp.send_message", family),
    ):
        traces.clear()
        with no_file_larger_than(largest_file):
            assert await call(hass, action, message=message, **data) == problem, action
        trace = traces.only()
        assert (trace["problem"], trace["recipients"]) == (problem, [ANNA, BERT]), action


async def test_error_ignored_by_an_alert_leaves_a_trace(
    hass: HomeAssistant, traces: Traces
) -> None:
    """An automation can still notice what an alert or a group swallows."""
    alert = {"name": "Door", "entity_id": "cover.door", "state": "open", "repeat": 30} | {
        "notifiers": ["me_outlook_com"],
        "data": {"images": "/etc/passwd"},
    }
    assert await async_setup_component(hass, "alert", {"alert": {"door": alert}})
    hass.states.async_set("cover.door", "open")
    await until(lambda: traces.turns)
    hass.states.async_set("cover.door", "closed")
    await hass.async_block_till_done()
    assert traces.only()["problem"] == "path_not_allowed"


async def test_failing_library_leaves_a_trace(
    hass: HomeAssistant, traces: Traces, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its raw exception reaches no one."""

    def fail(*_: object, **__: object) -> None:
        """Fail like a library with some content."""
        raise ValueError("Unicode strings with encoding declaration are not supported")

    monkeypatch.setattr(mailer, "compose", fail)
    assert await call(hass, "outlook_smtp.send_message", to=ANNA) == "unforeseen"
    error, warning = traces.warnings
    assert error == "An email could not be built: ValueError"
    assert "was rejected before it reached the outbox: An unexpected error occurred." in warning
    [turn] = traces.turns
    assert turn.attributes["problem"] == "unforeseen"


async def test_text_is_in_the_language_of_home_assistant(
    hass: HomeAssistant, traces: Traces
) -> None:
    """The event is for users, and the log for those who help them."""
    await hass.config.async_update(language="de")
    # As at Home Assistant's start.
    await async_get_translations(hass, "de", "exceptions", [DOMAIN])
    await call(hass, "outlook_smtp.send_message", to="anna")
    [turn] = traces.turns
    assert turn.attributes["text"].startswith("to: „anna“ enthält kein @")
    assert '"anna" has no @' in traces.warnings[0]


async def test_unknown_account_is_logged(hass: HomeAssistant, traces: Traces) -> None:
    """No event entity exists that could report it."""
    key = await call(hass, "outlook_smtp.send_message", to=ANNA, config_entry_id="01ABC")
    assert key == "unknown_account"
    assert traces.turns == []
    [warning] = traces.warnings
    assert warning.startswith("An email was not sent: config_entry_id: there is no account")


@pytest.mark.parametrize(
    "data", [{"to": ANNA, "bcc": "secret@"}, {"to": ANNA, "cc": "b@", "bcc": "secret@x.example"}]
)
async def test_trace_has_no_blind_copies(
    hass: HomeAssistant, traces: Traces, data: dict[str, Any]
) -> None:
    """Neither an invalid one, nor one next to another error."""
    await call(hass, "outlook_smtp.send_message", **data)
    trace = traces.only()
    assert trace["problem"] == "nothing_after_at"
    assert "secret" not in f"{trace}{traces.warnings}"


async def test_events_have_no_blind_copies(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, traces: Traces
) -> None:
    """They are counted and delivered, and neither event nor log has them, nor does a reply."""
    fields = {"message": "Hi", "to": [ANNA, "both@x.example"], "bcc": ["BOTH@x.example", BERT]}
    fake_server.script = Script(refuse_recipients={BERT: f"550 5.1.1 <{BERT}> unknown"})
    await hass.services.async_call(
        DOMAIN, "send_message", fields, blocking=True, return_response=True
    )
    sent, refused = (turn.attributes for turn in traces.turns)
    assert (sent["event_type"], sent["recipients"]) == ("sent", [ANNA, "both@x.example"])
    assert (refused["event_type"], refused["recipients"]) == ("refused", [])
    assert refused["reply"] == "550 5.1.1 <…> unknown"
    fake_server.script = Script()
    await hass.services.async_call(DOMAIN, "retry_failed", blocking=True)
    await until(lambda: len(traces.turns) == 3)
    assert traces.turns[2].attributes["recipients"] == []
    assert fake_server.received[1].recipients == (BERT,)
    assert state_of(hass, "sensor.me_outlook_com_sent_in_the_last_24_hours").state == "3"
    [warning] = traces.warnings
    assert BERT not in warning


async def test_blind_copies_are_still_hidden_after_a_restart(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, traces: Traces
) -> None:
    """The file on disk marks these recipients."""
    fake_server.stop()
    await defer(account, replace(outgoing("Door", ANNA), bcc=parse_mailboxes(BERT, "bcc")))
    await shut_down(hass, account)
    fake_server.start()
    traces.turns.clear()
    await settle(hass, account)
    await until(lambda: state_of(hass, DELIVERY).attributes.get("event_type") == "sent")
    assert fake_server.received[0].recipients == (ANNA, BERT)
    assert state_of(hass, DELIVERY).attributes["recipients"] == [ANNA]


@pytest.mark.usefixtures("account")
async def test_every_problem_of_a_message_has_a_text(hass: HomeAssistant) -> None:
    """The logbook shows more than a key."""
    texts = await async_get_translations(hass, "en", "entity", [DOMAIN])
    prefix = f"component.{DOMAIN}.entity.event.delivery.state_attributes.problem.state"
    for problem in (*MessageProblem, "outbox_full", "path_not_allowed", "message_over_limit"):
        assert texts[f"{prefix}.{problem}"]
