"""The blueprints, as Home Assistant loads and runs them: what arrives, and how often."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
import logging
from pathlib import Path
import re
import shutil
from typing import Any, Final, override
from urllib.parse import parse_qs, urlsplit

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.automation.helpers import async_get_blueprints
from homeassistant.components.camera import Camera
from homeassistant.components.camera.const import DATA_COMPONENT as CAMERAS
from homeassistant.components.todo import TodoItem, TodoListEntity, TodoListEntityFeature
from homeassistant.components.todo.const import DATA_COMPONENT as TODO_LISTS
from homeassistant.const import EVENT_CALL_SERVICE, EVENT_HOMEASSISTANT_STARTED
from homeassistant.core import Event, HomeAssistant, ServiceCall, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.setup import async_setup_component
from homeassistant.util.yaml import extract_inputs, parse_yaml
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_mock_service,
)

from .conftest import ADDRESS, until
from .fake_microsoft import CATALOGUE, FakeServer, Received, Script, Step
from .helpers import (
    ANNA,
    BERT,
    act,
    defer,
    mailer_of,
    outgoing,
    run_due_timers,
    state_of,
    until_empty,
    values_of,
)
from .promises import DELAYED_AFTER
from .readme import example
from .run_example import run

ROOT: Final = Path(__file__).parent.parent
FOLDER: Final = ROOT / "blueprints" / "automation" / "outlook_smtp"
NAMES: Final = sorted(path.stem for path in FOLDER.glob("*.yaml"))
PAGE: Final = (ROOT / "docs" / "automations.md").read_text("utf-8")
SOURCE: Final = (
    "https://github.com/outlook-smtp/home-assistant-outlook-smtp/blob/main/"
    "blueprints/automation/outlook_smtp"
)

FAMILY: Final = {"entity_id": "notify.family"}
MYSELF: Final = {"entity_id": "notify.me_outlook_com"}
MOTION: Final = "binary_sensor.porch_motion"
DOOR: Final = "binary_sensor.front_door"
CONNECTION: Final = "binary_sensor.me_outlook_com_connection"
PICTURE: Final = b"\xff\xd8\xff\xe0 picture"
REFUSAL: Final = "554 5.6.0 Not like this"


class Eye(Camera):
    """A camera that counts its pictures, and returns none while it is broken."""

    content_type = "image/jpeg"

    def __init__(self, name: str) -> None:
        """Set up a camera with a name."""
        super().__init__()
        self._attr_name = name
        self.pictures = 0
        self.blind = False

    @override
    async def async_camera_image(
        self, width: int | None = None, height: int | None = None
    ) -> bytes | None:
        """Return a numbered picture."""
        if self.blind:
            return None
        self.pictures += 1
        return PICTURE + f" {self.name} {self.pictures}".encode()


class House:
    """A house with one automation: states change, time passes, emails are sent."""

    def __init__(
        self,
        hass: HomeAssistant,
        account: MockConfigEntry,
        fake_server: FakeServer,
        freezer: FrozenDateTimeFactory,
    ) -> None:
        """Count the emails that the automation sends."""
        self.hass = hass
        self.account = account
        self.queue = mailer_of(account).queue
        self.fake_server = fake_server
        self.freezer = freezer
        self.sends = 0
        hass.bus.async_listen(EVENT_CALL_SERVICE, self._note)

    @callback
    def _note(self, event: Event) -> None:
        """Count the calls of the sending action."""
        self.sends += event.data["service"] == "send_message"

    async def automate(self, name: str, *others: tuple[str, dict[str, Any]], **inputs: Any) -> None:
        """Create an automation from a blueprint, and perhaps from others."""
        config: list[dict[str, Any]] = []
        for number, (each, values) in enumerate([(name, inputs), *others]):
            unpack(Path(self.hass.config.config_dir), each)
            blueprint = {"path": f"outlook_smtp/{each}.yaml", "input": values}
            alias = f"Other {number}" if number else "Test"
            config.append({"alias": alias, "use_blueprint": blueprint})
        assert await async_setup_component(self.hass, "automation", {"automation": config})
        assert {each.state for each in self.hass.states.async_all("automation")} == {"on"}

    async def happen(self, entity_id: str, state: str, name: str = "") -> None:
        """Change the state of an entity, and start what that triggers."""
        attributes = {"friendly_name": name} if name else {}
        self.hass.states.async_set(entity_id, state, attributes)
        await self.rest()

    async def pass_time(self, **duration: float) -> None:
        """Let time pass, and start what that triggers."""
        self.freezer.tick(timedelta(**duration))
        run_due_timers(self.hass)
        await self.rest()

    async def rest(self) -> None:
        """Wait until every email is settled; an automation that waits for time keeps waiting."""
        for _ in range(3):
            for _ in range(50):
                await asyncio.sleep(0)
            await until(lambda: self.settled >= self.sends)
            await until(lambda: not self.queue.under_way)

    @property
    def settled(self) -> int:
        """Return how many emails have arrived or wait in the outbox."""
        return len(self.fake_server.received) + len(self.queue.waiting)

    async def mails(self, count: int) -> list[Received]:
        """Return the received emails: exactly a given number, with no other attempt."""
        await self.rest()
        assert len(self.fake_server.received) == self.sends == count
        return list(self.fake_server.received)


@pytest.fixture
async def house(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> AsyncIterator[House]:
    """Return a house whose automation logs no error."""
    # The frozen clock is a different one: what was scheduled for later happens now.
    run_due_timers(hass)
    await hass.async_block_till_done(wait_background_tasks=True)
    yield House(hass, account, fake_server, freezer)
    if hass.states.get("automation.test"):
        await hass.services.async_call(
            "automation", "turn_off", {"entity_id": "automation.test"}, blocking=True
        )
    complaints = [
        record.getMessage()
        for record in caplog.get_records("call")
        if record.levelno >= logging.WARNING
        and record.name.startswith(
            ("homeassistant.components.automation", "homeassistant.helpers", "homeassistant.core")
        )
    ]
    assert complaints == []


@pytest.fixture
async def eyes(hass: HomeAssistant) -> list[Eye]:
    """Return two cameras."""
    for domain in ("camera", "media_source"):
        assert await async_setup_component(hass, domain, {})
    cameras = [Eye("Porch"), Eye("Garden <shed>")]
    await hass.data[CAMERAS].async_add_entities(cameras)
    return cameras


def unpack(config_dir: Path, name: str) -> None:
    """Put a blueprint where Home Assistant stores imported ones."""
    folder = config_dir / "blueprints" / "automation" / "outlook_smtp"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(FOLDER / f"{name}.yaml", folder)


def html_of(mail: Received) -> str:
    """Return the HTML of an email."""
    body = mail.message.get_body(("html",))
    assert body
    content: str = body.get_content()
    return content


def text_of(mail: Received) -> str:
    """Return the plain text of an email, its lines joined."""
    body = mail.message.get_body(("plain",))
    assert body
    return " ".join(body.get_content().split())


def pictures_of(mail: Received) -> dict[str, Any]:
    """Return the pictures of an email by the names in its HTML."""
    return {
        part["Content-ID"].strip("<>"): part.get_payload(decode=True)
        for part in mail.message.walk()
        if part["Content-ID"]
    }


# What all have in common


def test_there_are_six() -> None:
    """Every blueprint has a test, that of the weekly report in a file of its own."""
    assert NAMES == [
        "daily_digest",
        "door_stays_open",
        "mail_trouble",
        "quiet_hours",
        "snapshot_on_motion",
        "weekly_report",
    ]


@pytest.mark.parametrize("name", NAMES)
async def test_blueprint_is_complete(hass: HomeAssistant, storage: Path, name: str) -> None:
    """It has a source URL, and every input has a name and a description, and is used."""
    unpack(storage.parent, name)
    blueprint = await async_get_blueprints(hass).async_get_blueprint(f"outlook_smtp/{name}.yaml")

    assert blueprint.metadata["source_url"] == f"{SOURCE}/{name}.yaml"
    assert blueprint.metadata["homeassistant"]["min_version"] == "2026.10.0"
    assert {"author", "name", "description"} <= blueprint.metadata.keys()
    assert blueprint.validate() is None
    used = extract_inputs({key: part for key, part in blueprint.data.items() if key != "blueprint"})
    assert used == set(blueprint.inputs)
    assert [
        key for key, value in blueprint.inputs.items() if not {"name", "selector"} <= {*value}
    ] == []


@pytest.mark.parametrize("name", NAMES)
def test_every_text_is_an_input(name: str) -> None:
    """What an email or a notification says is in no fixed language, apart from its defaults."""
    blueprint = parse_yaml((FOLDER / f"{name}.yaml").read_text("utf-8"))
    assert isinstance(blueprint, dict)
    texts = blueprint["blueprint"]["input"]["texts"]["input"]
    assert all(text["default"] and "text" in text["selector"] for text in texts.values())
    steps = [blueprint.get("variables"), *blueprint["actions"]]
    said = [
        text for key in ("title", "message", "html", "caption") for text in values_of(steps, key)
    ]
    assert said
    for text in filter(lambda text: isinstance(text, str), said):
        fixed = re.sub(r"{%.*?%}|{{.*?}}|<[^>]*>", "", text, flags=re.DOTALL)
        assert re.findall(r"\w+", fixed) == []


def test_page_has_a_button_for_each() -> None:
    """The buttons import existing files."""
    links = re.findall(r"\((https://my\.home-assistant\.io/redirect/[^)]+)\)", PAGE)
    assert {urlsplit(link).path for link in links} == {"/redirect/blueprint_import/"}
    sources = [parse_qs(urlsplit(link).query)["blueprint_url"] for link in links]
    assert sorted(sources) == [[f"{SOURCE}/{name}.yaml"] for name in NAMES]


@pytest.mark.parametrize("name", NAMES)
def test_page_calls_each_by_its_name(name: str) -> None:
    """The headings of the page are the names that Home Assistant shows."""
    found = re.match(r"blueprint:\n  name: (.+)\n", (FOLDER / f"{name}.yaml").read_text("utf-8"))
    assert found
    assert f"\n### {found[1]}\n" in PAGE


# A picture when something moves


async def test_motion_sends_a_picture_then_pauses(house: House, eyes: list[Eye]) -> None:
    """The picture is in the text; motion within five minutes sends nothing."""
    await house.happen(MOTION, "off")
    await house.automate(
        "snapshot_on_motion", sensors=[MOTION], cameras=["camera.porch"], recipients=FAMILY
    )
    house.freezer.move_to(datetime(2026, 11, 24, 12, tzinfo=UTC))
    await house.happen(MOTION, "on", 'Porch <b> & "motion"')
    [mail] = await house.mails(1)

    assert mail.recipients == (ANNA, BERT)
    assert mail.message["Subject"].startswith('Porch <b> & "motion", ')
    assert "<h2>Porch &lt;b&gt; &amp; &#34;motion&#34;</h2>" in html_of(mail)
    assert '<img src="cid:picture1" alt="Porch"' in html_of(mail)
    assert "(1/1)" not in html_of(mail)
    assert pictures_of(mail) == {"picture1": PICTURE + b" Porch 1"}

    await house.happen(MOTION, "off")
    await house.pass_time(minutes=4)
    await house.happen(MOTION, "on")
    await house.mails(1)
    await house.pass_time(minutes=2)
    await house.mails(1)
    await house.happen(MOTION, "off")
    await house.happen(MOTION, "on")
    await house.mails(2)


async def test_doorbell_sends_two_rounds_of_two_pictures(house: House, eyes: list[Eye]) -> None:
    """With all inputs: after a delay, from each camera, and again after a pause."""
    bell = "event.bell"
    await house.happen("person.anna", "not_home")
    await house.happen(bell, "2026-11-24T08:00:00+00:00")
    await house.automate(
        "snapshot_on_motion",
        sensors=[MOTION, bell],
        cameras=["camera.garden_shed", "camera.porch"],
        recipients={"entity_id": ["notify.family", "notify.me_outlook_com"]},
        title="Ring: {{ name }}",
        cooldown=0,
        people=["person.anna"],
        wait=3,
        count=2,
        pause=10,
    )
    await house.happen(bell, "2026-11-24T09:00:00+00:00", "Bell")
    await house.mails(0)
    await house.pass_time(seconds=4)
    await house.mails(1)
    await house.pass_time(seconds=5)
    await house.mails(1)
    await house.pass_time(seconds=6)
    first, second = await house.mails(2)

    assert first.recipients == second.recipients == (ANNA, BERT, ADDRESS)
    assert first.message["Subject"] == second.message["Subject"] == "Ring: Bell"
    assert "(1/2)" in html_of(first)
    assert "(2/2)" in html_of(second)
    assert 'src="cid:picture1" alt="Garden &lt;shed&gt;"' in html_of(first)
    assert pictures_of(second) == {
        "picture1": PICTURE + b" Garden <shed> 2",
        "picture2": PICTURE + b" Porch 2",
    }


async def test_no_email_while_a_person_is_at_home_or_a_sensor_recovers(
    house: House, eyes: list[Eye]
) -> None:
    """Neither a person at home nor a sensor that becomes available causes an email."""
    await house.happen("person.anna", "home")
    await house.happen("person.bert", "not_home")
    await house.happen(MOTION, "off")
    await house.automate(
        "snapshot_on_motion",
        sensors=[MOTION],
        cameras=["camera.porch"],
        recipients=FAMILY,
        people=["person.anna", "person.bert"],
    )
    await house.happen(MOTION, "on")
    await house.happen("person.anna", "not_home")
    await house.happen(MOTION, "unavailable")
    await house.happen(MOTION, "on")
    await house.happen(MOTION, "off")
    await house.mails(0)
    await house.happen(MOTION, "on")
    await house.mails(1)


async def test_email_without_a_picture_if_the_camera_fails(house: House, eyes: list[Eye]) -> None:
    """An alert is worth more than its picture."""
    eyes[0].blind = True
    await house.happen(MOTION, "off")
    await house.automate(
        "snapshot_on_motion", sensors=[MOTION], cameras=["camera.porch"], recipients=FAMILY, count=2
    )
    await house.happen(MOTION, "on", "Porch motion")
    [mail] = await house.mails(1)
    assert "(1/2)" in text_of(mail)
    assert text_of(mail).endswith("Missing attachments: camera.porch (Unable to get image)")
    assert pictures_of(mail) == {}

    # A picture missing in the first round may be available in the second.
    eyes[0].blind = False
    await house.pass_time(seconds=6)
    mail = (await house.mails(2))[-1]
    assert set(pictures_of(mail)) == {"picture1"}


async def test_snapshot_can_be_run_manually(house: House, eyes: list[Eye]) -> None:
    """A manual run sends an email, too."""
    await house.automate(
        "snapshot_on_motion", sensors=[MOTION], cameras=["camera.porch"], recipients=FAMILY
    )
    await house.hass.services.async_call(
        "automation", "trigger", {"entity_id": "automation.test"}, blocking=False
    )
    [mail] = await house.mails(1)
    assert mail.message["Subject"].startswith("Test, ")
    assert set(pictures_of(mail)) == {"picture1"}


# A door that stays open


async def test_open_door_sends_reminders_until_it_is_closed(house: House) -> None:
    """One email, three reminders and no more, and one when it is closed."""
    await house.happen(DOOR, "off")
    await house.automate("door_stays_open", doors=[DOOR], recipients=FAMILY)
    house.freezer.move_to(datetime(2026, 11, 24, 12, tzinfo=UTC))
    await house.happen(DOOR, "on", "Front door")
    await house.pass_time(minutes=9)
    await house.mails(0)
    await house.pass_time(minutes=1, seconds=1)
    [mail] = await house.mails(1)
    assert mail.recipients == (ANNA, BERT)
    assert mail.message["Subject"] == "Front door is open"
    assert mail.message["X-Priority"] == "2 (High)"
    assert text_of(mail).startswith("Front door has been open for 10 min, since ")
    assert re.search(r", since \d\d:00\.$", text_of(mail))

    for reminder in (1, 2, 3):
        await house.pass_time(minutes=29)
        await house.mails(reminder)
        await house.pass_time(minutes=1, seconds=1)
        mail = (await house.mails(reminder + 1))[-1]
        assert mail.message["Subject"] == "Front door is still open"
        assert text_of(mail).endswith(f"This is reminder {reminder} of 3.")
    assert "open for 1 h 40 min" in text_of(mail)

    await house.pass_time(minutes=31)
    await house.pass_time(hours=5)
    await house.mails(4)
    await house.happen(DOOR, "off", "Front door")
    mail = (await house.mails(5))[-1]
    assert mail.message["Subject"] == "Front door is closed"
    assert "X-Priority" not in mail.message
    assert "It had been open for 7 h 11 min" in text_of(mail)
    await house.pass_time(hours=5)
    await house.mails(5)


async def test_door_speaks_the_language_of_the_household(house: House) -> None:
    """All titles and messages are those of the inputs, with the name, the times and the number."""
    await house.hass.config.async_set_time_zone("UTC")
    await house.happen(DOOR, "off")
    await house.automate(
        "door_stays_open",
        doors=[DOOR],
        recipients=FAMILY,
        title_open="{{ name }} offen",
        title_reminder="{{ name }} noch offen",
        title_closed="{{ name }} zu",
        message_open="Seit {{ since }}, {{ duration }}.",
        message_reminder="{{ reminder }} von {{ reminders }}",
        message_closed="Nach {{ duration }}.",
    )
    house.freezer.move_to(datetime(2026, 11, 24, 12, tzinfo=UTC))
    await house.happen(DOOR, "on", "Haustür")
    await house.pass_time(minutes=10, seconds=1)
    await house.mails(1)
    await house.pass_time(minutes=30, seconds=1)
    await house.mails(2)
    await house.happen(DOOR, "off", "Haustür")
    assert [(mail.message["Subject"], text_of(mail)) for mail in await house.mails(3)] == [
        ("Haustür offen", "Seit 12:00, 10 min."),
        ("Haustür noch offen", "1 von 3"),
        ("Haustür zu", "Nach 40 min."),
    ]


async def test_doors_are_watched_separately(house: House) -> None:
    """One that is closed in time causes nothing, another does, and its closing is not reported."""
    window = "binary_sensor.window"
    for entity_id in (DOOR, window):
        await house.happen(entity_id, "off")
    await house.automate(
        "door_stays_open",
        doors=[DOOR, window],
        minutes=5,
        recipients=MYSELF,
        priority="lowest",
        interval=2,
        reminders=0,
        tell_closed=False,
    )
    await house.happen(DOOR, "on", "Door")
    await house.pass_time(minutes=3)
    await house.happen(window, "on", "Window")
    await house.happen(DOOR, "off", "Door")
    await house.pass_time(minutes=3)
    await house.mails(0)
    await house.happen(DOOR, "on", "Door")
    await house.pass_time(minutes=3)
    [mail] = await house.mails(1)
    assert mail.message["Subject"] == "Window is open"
    assert mail.message["X-Priority"] == "5 (Lowest)"
    assert mail.recipients == (ADDRESS,)
    await house.pass_time(minutes=3)
    assert [mail.message["Subject"] for mail in await house.mails(2)][1] == "Door is open"
    await house.pass_time(minutes=3)
    for entity_id in (DOOR, window):
        await house.happen(entity_id, "off")
    await house.mails(2)
    assert state_of(house.hass, "automation.test").attributes["current"] == 0


async def test_door_closed_before_the_reminder(house: House) -> None:
    """A closed door causes no reminder, and the next opening starts again."""
    await house.happen(DOOR, "off")
    await house.automate("door_stays_open", doors=[DOOR], recipients=FAMILY)
    await house.happen(DOOR, "on", "Door")
    await house.pass_time(minutes=11)
    await house.happen(DOOR, "off", "Door")
    await house.happen(DOOR, "on", "Door")
    await house.pass_time(minutes=9)
    assert [mail.message["Subject"] for mail in await house.mails(2)] == [
        "Door is open",
        "Door is closed",
    ]
    await house.pass_time(minutes=2)
    await house.mails(3)
    await house.pass_time(minutes=31)
    assert [mail.message["Subject"] for mail in await house.mails(4)][2:] == [
        "Door is open",
        "Door is still open",
    ]


async def test_door_with_an_unavailable_sensor_is_not_watched_twice(house: House) -> None:
    """After a gap, the open door is reported again, with one set of reminders."""
    await house.happen(DOOR, "off")
    await house.automate("door_stays_open", doors=[DOOR], recipients=FAMILY)
    await house.happen(DOOR, "on", "Door")
    await house.pass_time(minutes=11)
    await house.happen(DOOR, "unavailable")
    await house.pass_time(minutes=1)
    await house.happen(DOOR, "on", "Door")
    await house.mails(1)
    await house.pass_time(minutes=11)
    await house.mails(2)
    await house.pass_time(minutes=31)
    await house.mails(3)
    await house.happen(DOOR, "off", "Door")
    assert [mail.message["Subject"] for mail in await house.mails(4)] == [
        "Door is open",
        "Door is open",
        "Door is still open",
        "Door is closed",
    ]


# A digest every day


def show(hass: HomeAssistant) -> list[str]:
    """Set the states for a digest, and return the entities."""
    states: dict[str, tuple[str, dict[str, Any]]] = {
        "sensor.cellar": (
            "21.456",
            {"friendly_name": "Cellar", "unit_of_measurement": "°C"},
        ),
        "binary_sensor.window": (
            "on",
            {"friendly_name": "Window <script>", "device_class": "window"},
        ),
        "sensor.song": ("<b>Rock & Roll</b>", {"friendly_name": "Song"}),
        "sensor.next_alarm": (
            "2026-11-25T06:30:00+00:00",
            {"friendly_name": "Alarm", "device_class": "timestamp"},
        ),
        "event.bell": ("unknown", {"friendly_name": "Bell"}),
        "light.hall": ("unavailable", {"friendly_name": "Hall"}),
    }
    for entity_id, (state, attributes) in states.items():
        hass.states.async_set(entity_id, state, attributes)
    return [*states, "sensor.gone"]


def rows_of(mail: Received) -> list[list[str]]:
    """Return the cells of the table, without markup."""
    rows = re.findall(r"<tr.*?</tr>", html_of(mail), re.DOTALL)
    return [
        [
            re.sub(r"^<b>|</b>$", "", cell)
            for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)
        ]
        for row in rows
    ]


async def test_digest_is_a_table_of_the_entities(house: House) -> None:
    """At seven every day; names and states are escaped, translated and have their unit."""
    await house.hass.config.async_set_time_zone("UTC")
    house.freezer.move_to(datetime(2026, 11, 24, 5, 59, tzinfo=UTC))
    # States are translated with the texts of loaded components.
    assert await async_setup_component(house.hass, "binary_sensor", {})
    entities = show(house.hass)
    await house.automate("daily_digest", entities=entities, recipients=FAMILY)
    await house.pass_time(minutes=59)
    await house.mails(0)
    await house.pass_time(minutes=2)
    [mail] = await house.mails(1)

    assert mail.recipients == (ANNA, BERT)
    assert mail.message["Subject"] == "Digest of 2026-11-24"
    changed = "2026-11-24 05:59"
    assert rows_of(mail) == [
        ["Name", "State", "Last change"],
        ["Cellar", "21.456 °C", changed],
        ["Window &lt;script&gt;", "Open", changed],
        ["Song", "&lt;b&gt;Rock &amp; Roll&lt;/b&gt;", changed],
        ["Alarm", "2026-11-25 06:30", changed],
        ["Bell", "Unknown", changed],
        ["Hall", "Unavailable", changed],
        ["sensor.gone", "Unknown", "\N{EN DASH}"],
    ]
    assert "<script>" not in html_of(mail)
    assert html_of(mail).count("background-color") == 4
    assert not re.search(r"[;\"]color:", html_of(mail))
    assert "Cellar" in text_of(mail)
    assert "<b>Rock & Roll</b>" in text_of(mail)

    await house.pass_time(hours=23)
    await house.mails(1)
    await house.pass_time(hours=1)
    assert (await house.mails(2))[-1].message["Subject"] == "Digest of 2026-11-25"


async def test_digest_speaks_the_language_of_the_household(house: House) -> None:
    """The headings, and the words for what has no state, are those of the inputs."""
    show(house.hass)
    await house.automate(
        "daily_digest",
        entities=["light.hall", "sensor.gone"],
        recipients=FAMILY,
        title="Übersicht",
        heading_name="Name",
        heading_state="Zustand",
        heading_change="Zuletzt geändert",
        unavailable="Nicht verfügbar",
        unknown="Unbekannt",
    )
    await house.hass.services.async_call(
        "automation", "trigger", {"entity_id": "automation.test"}, blocking=True
    )
    [mail] = await house.mails(1)
    assert mail.message["Subject"] == "Übersicht"
    heading, hall, gone = rows_of(mail)
    assert heading == ["Name", "Zustand", "Zuletzt geändert"]
    assert [hall[1], gone[1]] == ["Nicht verfügbar", "Unbekannt"]


async def test_digest_on_its_days_with_all_inputs(house: House) -> None:
    """On Mondays and Fridays at the given time, with the given title, to the given people."""
    await house.hass.config.async_set_time_zone("UTC")
    house.freezer.move_to(datetime(2026, 11, 24, 20, 0, tzinfo=UTC))  # A Tuesday.
    await house.automate(
        "daily_digest",
        entities=show(house.hass)[:1],
        recipients=MYSELF,
        at="20:30:00",
        weekdays=["mon", "fri"],
        title="Cellar & <more>",
    )
    received = []
    for _ in range(7):
        await house.pass_time(minutes=31)
        received.append(len(house.fake_server.received))
        await house.pass_time(hours=23, minutes=29)
    assert received == [0, 0, 0, 1, 1, 1, 2]
    mail = (await house.mails(2))[0]
    assert mail.recipients == (ADDRESS,)
    assert mail.message["Subject"] == "Cellar & <more>"
    assert ">Cellar &amp; &lt;more&gt;</h2>" in html_of(mail)


# Now, or in the morning


class Slips(TodoListEntity):
    """A to-do list in memory."""

    _attr_name = "Email"
    _attr_supported_features = (
        TodoListEntityFeature.CREATE_TODO_ITEM
        | TodoListEntityFeature.DELETE_TODO_ITEM
        | TodoListEntityFeature.SET_DESCRIPTION_ON_ITEM
    )

    def __init__(self) -> None:
        """Set up an empty list."""
        self._attr_todo_items: list[TodoItem] = []

    @override
    async def async_create_todo_item(self, item: TodoItem) -> None:
        """Add an item."""
        number = len(self._attr_todo_items)
        self._attr_todo_items = [*self._attr_todo_items, replace(item, uid=f"uid-{number}")]
        self.async_write_ha_state()

    @override
    async def async_delete_todo_items(self, uids: list[str]) -> None:
        """Remove items."""
        self._attr_todo_items = [item for item in self._attr_todo_items if item.uid not in uids]
        self.async_write_ha_state()


@pytest.fixture
async def slips(hass: HomeAssistant) -> Slips:
    """Return a to-do list, `todo.email`."""
    assert await async_setup_component(hass, "todo", {})
    slips = Slips()
    await hass.data[TODO_LISTS].async_add_entities([slips])
    return slips


async def jot(house: House, item: str, description: str) -> None:
    """Add to the list as the example of the guide does."""
    text = example("todo.add_item").replace("Tumble dryer", item)
    await run(house.hass, text.replace("The clothes are dry.", description))
    await house.rest()


async def test_quiet_hours_end_with_one_email(house: House, slips: Slips) -> None:
    """By day, an item is emailed at once; by night, it waits for the morning with the others."""
    await house.hass.config.async_set_time_zone("UTC")
    house.freezer.move_to(datetime(2026, 11, 24, 21, 58, tzinfo=UTC))
    await house.automate("quiet_hours", list="todo.email", recipients=FAMILY)
    await house.hass.async_block_till_done()
    await jot(house, "Washing machine", "Done.")
    [mail] = await house.mails(1)
    assert mail.recipients == (ANNA, BERT)
    assert mail.message["Subject"] == "Washing machine"
    assert text_of(mail) == "Washing machine Done."
    assert slips.todo_items == []

    await house.pass_time(minutes=3)
    await jot(house, "Dryer <1>", "Done & dry.")
    await house.pass_time(hours=8)
    await jot(house, "Frost", "It is cold.")
    await house.mails(1)
    await house.pass_time(minutes=58)
    await house.mails(1)
    await house.pass_time(minutes=2)
    mail = (await house.mails(2))[-1]
    assert mail.message["Subject"] == "Dryer <1>, and 1 more"
    assert "<h3>Dryer &lt;1&gt;</h3>" in html_of(mail)
    assert text_of(mail) == "Dryer <1> Done & dry. Frost It is cold."
    assert slips.todo_items == []
    await house.pass_time(hours=24)
    await house.mails(2)


async def test_digest_of_the_night_is_kept_until_it_is_emailed(
    house: House, slips: Slips, fake_server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    """If the email is refused, nothing is removed; after a start by day, it is sent."""
    await house.hass.config.async_set_time_zone("UTC")
    house.freezer.move_to(datetime(2026, 11, 24, 23, 0, tzinfo=UTC))
    texts = {"title_one": "Eins", "title_several": "{{ count }} Meldungen"}
    await house.automate("quiet_hours", list="todo.email", recipients=FAMILY, **texts)
    await house.hass.async_block_till_done()
    for item in ("Frost", "Wind"):
        await jot(house, item, "")
    fake_server.script = Script(replies={Step.FINAL: REFUSAL})
    house.sends = -1
    await house.pass_time(hours=9)
    # The last of two records of the error.
    await until(lambda: "Error while executing automation automation.test" in caplog.text)
    assert len(slips.todo_items or ()) == 2
    assert "Not like this" in caplog.text
    caplog.clear()

    fake_server.script = Script()
    house.hass.bus.async_fire(EVENT_HOMEASSISTANT_STARTED)
    [mail] = await house.mails(1)
    assert mail.message["Subject"] == "2 Meldungen"
    assert slips.todo_items == []


# Trouble with mail

TROUBLE: Final = {
    "connection": CONNECTION,
    "outbox": "sensor.me_outlook_com_outbox",
    "delivery": "event.me_outlook_com_delivery",
}
SWITCHED_OFF: Final = "SMTP switched off for the organization"
PHONE: Final = {
    "action": "notify.mobile_app_phone",
    "data": {"title": "{{ title }}", "message": "{{ message }}", "data": {"tag": "{{ what }}"}},
}


def trouble_at_sign_in(fake_server: FakeServer) -> None:
    """Let the server refuse the sign-in."""
    row = next(row for row in CATALOGUE if row.name == "tenant_disabled")
    fake_server.mailboxes[ADDRESS].script = Script.for_row(row)


def told(calls: list[ServiceCall]) -> list[str]:
    """Return what the phone received, and check that nothing else was sent."""
    return [f"{call.data['data']['tag']}: {call.data['title']}" for call in calls]


@pytest.fixture
def phone(hass: HomeAssistant) -> list[ServiceCall]:
    """Return the notifications of a phone."""
    return async_mock_service(hass, "notify", "mobile_app_phone")


async def test_trouble_and_its_end_are_reported_once(
    house: House, fake_server: FakeServer, phone: list[ServiceCall]
) -> None:
    """After ten minutes, with the translated problem and the server's reply."""
    await house.automate("mail_trouble", **TROUBLE, tell=[PHONE])
    trouble_at_sign_in(fake_server)
    await house.pass_time(minutes=31)
    await until(lambda: house.hass.states.is_state(CONNECTION, "off"))
    await house.pass_time(minutes=9)
    assert phone == []
    for _ in range(5):
        await house.pass_time(minutes=1)
    assert told(phone) == ["off: Email does not work"]
    assert (
        phone[0].data["message"].startswith("SMTP switched off for the organization: 535 5.7.139")
    )
    await house.pass_time(minutes=5)
    assert len(phone) == 1

    fake_server.mailboxes[ADDRESS].script = Script()
    await house.pass_time(minutes=31)
    await until(lambda: house.hass.states.is_state(CONNECTION, "on"))
    await house.rest()
    assert told(phone) == ["off: Email does not work", "well: Email works again"]
    await house.pass_time(hours=1)
    assert len(phone) == 2
    assert state_of(house.hass, "automation.test").attributes["current"] == 0


async def test_trouble_speaks_the_language_of_the_household(
    house: House, fake_server: FakeServer, phone: list[ServiceCall]
) -> None:
    """The texts are those of the inputs, with the status and what the server said."""
    await house.automate(
        "mail_trouble",
        **TROUBLE,
        tell=[PHONE],
        title_off="E-Mail geht nicht",
        title_well="E-Mail geht wieder",
        title_failed="Nicht gesendet",
        title_refused="Abgelehnt",
        message_off="{{ status }} ({{ reply[:11] }})",
        message_failed="An {{ recipients }}: {{ reply }}",
        message_well="Nichts wartet mehr.",
    )
    fake_server.script = Script(replies={Step.FINAL: REFUSAL})
    with pytest.raises(HomeAssistantError, match="Not like this"):
        await mailer_of(house.account).send(outgoing())
    fake_server.script = Script()
    trouble_at_sign_in(fake_server)
    await house.pass_time(minutes=31)
    await until(lambda: house.hass.states.is_state(CONNECTION, "off"))
    for _ in range(11):
        await house.pass_time(minutes=1)
    fake_server.mailboxes[ADDRESS].script = Script()
    await house.pass_time(minutes=31)
    await until(lambda: house.hass.states.is_state(CONNECTION, "on"))
    await house.rest()
    assert [(call.data["title"], call.data["message"]) for call in phone] == [
        ("Abgelehnt", f"An {ANNA}: {REFUSAL}"),
        ("E-Mail geht nicht", f"{SWITCHED_OFF} (535 5.7.139)"),
        ("E-Mail geht wieder", "Nichts wartet mehr."),
    ]


async def test_short_trouble_is_not_reported(
    house: House, fake_server: FakeServer, phone: list[ServiceCall]
) -> None:
    """A problem that is over within the delay is never mentioned, nor is its end."""
    await house.automate("mail_trouble", **TROUBLE, tell=[PHONE], minutes_off=60)
    trouble_at_sign_in(fake_server)
    await house.pass_time(minutes=31)
    await until(lambda: house.hass.states.is_state(CONNECTION, "off"))
    fake_server.mailboxes[ADDRESS].script = Script()
    await house.pass_time(minutes=31)
    await until(lambda: house.hass.states.is_state(CONNECTION, "on"))
    await house.pass_time(hours=2)
    assert phone == []


async def test_waiting_mail_is_reported_with_one_end(
    house: House, fake_server: FakeServer, phone: list[ServiceCall]
) -> None:
    """Two problems that end together are one message, even though the account is reloaded."""
    await house.automate("mail_trouble", **TROUBLE, tell=[PHONE], minutes_off=5, minutes_waiting=20)
    trouble_at_sign_in(fake_server)
    await defer(house.account)
    await until(lambda: house.hass.states.is_state(CONNECTION, "off"))
    for _ in range(25):
        await house.pass_time(minutes=1)
    assert told(phone) == ["off: Email does not work", "waiting: Waiting emails: 1"]
    assert (
        phone[1].data["message"].startswith("SMTP switched off for the organization: 535 5.7.139")
    )
    assert state_of(house.hass, "automation.test").attributes["current"] == 1

    fake_server.mailboxes[ADDRESS].script = Script()
    assert await house.hass.config_entries.async_reload(house.account.entry_id)
    await until(lambda: house.hass.states.is_state(CONNECTION, "on"))
    await act(house.hass, "flush_outbox")
    await until_empty(house.account)
    await house.rest()
    assert told(phone)[2:] == ["well: Email works again"]
    await house.pass_time(hours=1)
    assert len(phone) == 3


async def test_refused_mail_is_reported_and_sent_mail_is_not(
    house: House, fake_server: FakeServer, phone: list[ServiceCall]
) -> None:
    """Each refusal is reported with the server's reply and the refused recipients."""
    await house.automate("mail_trouble", **TROUBLE, tell=[PHONE])
    await mailer_of(house.account).send(outgoing())
    fake_server.script = Script(replies={Step.FINAL: REFUSAL})
    for to in (ANNA, BERT):
        with pytest.raises(HomeAssistantError, match="Not like this"):
            await mailer_of(house.account).send(outgoing("Door", to))
    await house.rest()
    assert told(phone) == ["failed: An email was refused"] * 2
    for call, recipient in zip(phone, (ANNA, BERT), strict=True):
        assert call.data["message"].endswith(f"(to {recipient}): {REFUSAL}")
    fake_server.script = Script()
    assert await house.hass.config_entries.async_reload(house.account.entry_id)
    await house.pass_time(hours=1)
    assert len(phone) == 2


async def test_door_alarm_falls_back_to_the_phone_when_its_email_is_delayed(
    house: House, fake_server: FakeServer, phone: list[ServiceCall]
) -> None:
    """Each urgent email is reported, even two at the same moment, and no other one."""
    doors = [DOOR, "binary_sensor.gate"]
    for entity_id in doors:
        await house.happen(entity_id, "off")
    trouble = {**TROUBLE, "tell": [PHONE], "minutes_off": 600, "minutes_waiting": 600}
    alarm = {"doors": doors, "recipients": FAMILY, "interval": 600}
    await house.automate("mail_trouble", ("door_stays_open", alarm), **trouble)
    trouble_at_sign_in(fake_server)
    await act(house.hass, "send_message", to=ANNA, message="Not urgent")
    for entity_id in doors:
        await house.happen(entity_id, "on", entity_id.partition(".")[2])
    await house.pass_time(minutes=10, seconds=1)
    assert len(house.queue.waiting) == 3
    await house.pass_time(seconds=DELAYED_AFTER - 1)
    assert phone == []
    for _ in range(3):
        await house.pass_time(minutes=1)
    assert told(phone) == ["delayed: An urgent email is delayed"] * 2
    assert sorted(call.data["message"].partition(": 535")[0] for call in phone) == [
        f"front_door is open (to {ANNA}, {BERT})",
        f"gate is open (to {ANNA}, {BERT})",
    ]


async def test_expired_mail_is_reported_by_default_notification(
    house: House, fake_server: FakeServer
) -> None:
    """Without a phone, Home Assistant's notifications are used; the end is optional."""
    notifications = async_mock_service(house.hass, "persistent_notification", "create")
    await house.automate("mail_trouble", **TROUBLE, tell_well=False)
    trouble_at_sign_in(fake_server)
    await defer(house.account)
    await house.pass_time(hours=1)
    await house.pass_time(hours=48)
    await until(lambda: len(notifications) == 3)
    fake_server.mailboxes[ADDRESS].script = Script()
    await house.hass.services.async_call(
        "button", "press", {"entity_id": "button.me_outlook_com_check_now"}, blocking=True
    )
    await until(lambda: house.hass.states.is_state(CONNECTION, "on"))
    await house.rest()
    assert sorted(call.data["title"] for call in notifications) == [
        "An email could not be sent in time",
        "Email does not work",
        "Waiting emails: 1",
    ]


async def test_trouble_from_before_the_start_is_reported(
    house: House, fake_server: FakeServer, phone: list[ServiceCall]
) -> None:
    """An automation that finds mail not working reports it, though nothing changes."""
    trouble_at_sign_in(fake_server)
    await house.pass_time(minutes=31)
    await until(lambda: house.hass.states.is_state(CONNECTION, "off"))
    await house.automate("mail_trouble", **TROUBLE, tell=[PHONE])
    for _ in range(12):
        await house.pass_time(minutes=1)
    assert told(phone) == ["off: Email does not work"]


async def test_unloaded_account_is_reported(
    house: House, fake_server: FakeServer, phone: list[ServiceCall]
) -> None:
    """Neither a disabled account nor a failed one sends mail."""
    await house.automate("mail_trouble", **TROUBLE, tell=[PHONE])
    assert await house.hass.config_entries.async_unload(house.account.entry_id)
    for _ in range(12):
        await house.pass_time(minutes=1)
    assert told(phone) == ["off: Email does not work"]
    assert phone[0].data["message"] == "The account is not loaded."


async def test_trouble_can_be_run_manually(
    house: House, fake_server: FakeServer, phone: list[ServiceCall]
) -> None:
    """It reports the current state, as a test of the notification."""
    await house.automate("mail_trouble", **TROUBLE, tell=[PHONE])
    run = ("automation", "trigger", {"entity_id": "automation.test"})
    await house.hass.services.async_call(*run, blocking=True)
    trouble_at_sign_in(fake_server)
    await defer(house.account)
    await until(lambda: house.hass.states.is_state(CONNECTION, "off"))
    await house.hass.services.async_call(*run, blocking=True)
    assert told(phone) == ["test: Email works", "test: Email does not work"]
    assert "535 5.7.139" in phone[1].data["message"]
