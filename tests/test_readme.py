"""The examples of the README and the guide work as they are."""

import asyncio
from datetime import timedelta
import logging
from pathlib import Path
import re
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant import components
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.script import Script as Sequence
from homeassistant.setup import async_setup_component
from homeassistant.util.yaml import parse_yaml
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_mock_service,
)

from .cameras import PICTURE, add_camera
from .conftest import until
from .fake_microsoft import CATALOGUE, FakeServer, Received, Script, Step
from .helpers import run_due_timers, until_empty
from .readme import EXAMPLES, column, example
from .run_example import run

ANNA, BERT = "anna@example.com", "bert@example.com"


async def mail_of(hass: HomeAssistant, fake_server: FakeServer, words: str) -> Received:
    """Run the example that contains a text, and return the one email that results."""
    await run(hass, example(words))
    [mail] = fake_server.received
    return mail


def config(words: str) -> dict[str, Any]:
    """Return the one example for configuration.yaml that contains a text."""
    parsed = parse_yaml(example(words))
    assert isinstance(parsed, dict)
    return parsed


async def look_at_the_front_door(hass: HomeAssistant) -> None:
    """Add the camera of the examples."""
    assert await async_setup_component(hass, "media_source", {})
    await add_camera(hass, "Front door")


def pictures(mail: Received) -> dict[str, Any]:
    """Return the contents of an email's pictures by content ID."""
    parts = [part for part in mail.message.walk() if part["Content-ID"]]
    return {part["Content-ID"]: part.get_payload(decode=True) for part in parts}


def attached(mail: Received) -> dict[str | None, Any]:
    """Return the contents of an email's files by name."""
    parts = [part for part in mail.message.walk() if part.get_filename()]
    return {part.get_filename(): part.get_payload(decode=True) for part in parts}


def test_every_example_has_a_test() -> None:
    """No example is added without a test."""
    assert len(set(EXAMPLES)) == 13


@pytest.mark.usefixtures("account")
async def test_usual_action_reaches_the_recipient(
    hass: HomeAssistant, fake_server: FakeServer
) -> None:
    """The first example reaches all addresses of the recipient."""
    mail = await mail_of(hass, fake_server, "Washing machine")

    assert mail.recipients == (ANNA, BERT)
    assert mail.message["Subject"] == "Washing machine"
    assert mail.message.get_content().strip() == "The laundry is done."


@pytest.mark.usefixtures("account")
async def test_camera_picture_is_in_the_html(hass: HomeAssistant, fake_server: FakeServer) -> None:
    """The picture is where the HTML puts it."""
    await look_at_the_front_door(hass)
    mail = await mail_of(hass, fake_server, "html: >-")

    assert mail.recipients == (ANNA, BERT)
    assert pictures(mail) == {"<door>": PICTURE}


@pytest.mark.usefixtures("account")
async def test_all_fields_work(
    hass: HomeAssistant, fake_server: FakeServer, tmp_path: Path
) -> None:
    """Copies, a file, headers and the response are as in the example."""
    hass.config.allowlist_external_dirs = {str(tmp_path)}
    (tmp_path / "report.pdf").write_bytes(b"%PDF")
    text = example("response_variable").replace("/media/", f"{tmp_path}/")
    variables = await run(hass, text)

    [mail] = fake_server.received
    message = mail.message
    assert mail.recipients == ("carl@example.com", ANNA, BERT, "archive@example.com")
    assert message["To"] == "Carl <carl@example.com>, anna@example.com, Bert <bert@example.com>"
    assert message["Cc"] == BERT
    assert message["From"] == "Our house <me@outlook.com>"
    assert message["Reply-To"] == "me@example.com"
    assert message["X-Priority"] == "2 (High)"
    assert message["Subject"].startswith("Report of 20")
    assert attached(mail) == {"Report.pdf": b"%PDF"}
    assert variables["mail"]["status"] == "sent"


@pytest.mark.usefixtures("account")
async def test_markdown_is_rendered(hass: HomeAssistant, fake_server: FakeServer) -> None:
    """The table becomes a table with the picture below it, and the text stays readable."""
    await look_at_the_front_door(hass)
    hass.states.async_set("sensor.bedroom_temperature", "18.5")
    hass.states.async_set("sensor.bathroom_temperature", "21")
    example_text = example("markdown: true")
    sequence = cv.SCRIPT_SCHEMA(cv.ensure_list(parse_yaml(example_text)))
    await Sequence(hass, sequence, "README", "test").async_run(context=Context())
    [mail] = fake_server.received
    html = mail.message.get_body(("html",))
    text = mail.message.get_body(("plain",))
    assert html
    assert text
    assert "<table" in html.get_content()
    assert "18.5 °C" in html.get_content()
    assert 'src="cid:door"' in html.get_content()
    assert pictures(mail) == {"<door>": PICTURE}
    assert "| Bathroom | 21 °C |" in text.get_content()


@pytest.mark.usefixtures("account")
async def test_legacy_action_works(
    hass: HomeAssistant, fake_server: FakeServer, tmp_path: Path
) -> None:
    """The legacy notifier reaches its target, with the picture."""
    hass.config.allowlist_external_dirs = {str(tmp_path)}
    (tmp_path / "basement.jpg").write_bytes(PICTURE)
    await run(hass, example("images:").replace("/media/", f"{tmp_path}/"))

    [mail] = fake_server.received
    assert mail.recipients == (ANNA,)
    assert attached(mail) == {"basement.jpg": PICTURE}


@pytest.mark.usefixtures("account")
async def test_alert_sends_email(hass: HomeAssistant, fake_server: FakeServer) -> None:
    """The alert sends an email when it triggers."""
    assert await async_setup_component(hass, "alert", config("alert:"))
    hass.states.async_set("binary_sensor.basement_leak", "on")
    [mail] = await fake_server.async_wait_for_mail()
    hass.states.async_set("binary_sensor.basement_leak", "off")
    await hass.async_block_till_done()

    assert mail.recipients == (ANNA, BERT)
    assert "There is a leak in the basement" in mail.message.get_content()


@pytest.mark.usefixtures("account")
async def test_automation_on_the_sensor_is_valid(hass: HomeAssistant) -> None:
    """The automation is valid and waits for an existing sensor."""
    words = "Notify me when email stops working"
    assert await async_setup_component(hass, "automation", config(words))
    assert hass.states.is_state("automation.notify_me_when_email_stops_working", "on")
    sensor = hass.states.get("binary_sensor.me_outlook_com_connection")

    assert sensor
    assert sensor.entity_id in example(words)
    assert set(column("## The connection sensor")) == sensor.attributes.keys() - {
        "device_class",
        "friendly_name",
    }


@pytest.mark.usefixtures("account")
async def test_phone_is_notified_of_waiting_and_refused_mail(
    hass: HomeAssistant, fake_server: FakeServer, freezer: FrozenDateTimeFactory
) -> None:
    """It says how many wait and why, and which recipients the server refused and how."""
    calls = async_mock_service(hass, "notify", "mobile_app_phone")
    assert await async_setup_component(
        hass, "automation", config("Notify me when email is waiting")
    )
    fake_server.script = Script(replies={Step.FINAL: "554 5.6.0 Not like this"})
    with pytest.raises(HomeAssistantError, match="Not like this"):
        await run(hass, example("Washing machine"))
    await hass.async_block_till_done()
    [refused] = calls
    assert refused.data["message"] == (
        f"Washing machine (to {ANNA}, {BERT}): 554 5.6.0 Not like this"
    )

    row = next(row for row in CATALOGUE if row.name == "tenant_disabled")
    fake_server.script = Script.for_row(row)
    await asyncio.to_thread(fake_server.hang_up)  # Now it must sign in again.
    await run(hass, example("Washing machine"))
    freezer.tick(timedelta(minutes=16))
    run_due_timers(hass)
    await hass.async_block_till_done()
    assert calls[-1].data["title"] == "Waiting emails: 1"
    assert (
        calls[-1].data["message"].startswith("SMTP switched off for the organization: 535 5.7.139")
    )
    assert len(calls) == 2


@pytest.mark.usefixtures("account")
async def test_chart_of_a_camera_is_in_the_html(
    hass: HomeAssistant, fake_server: FakeServer
) -> None:
    """A picture that something else has drawn is where the HTML puts it."""
    assert await async_setup_component(hass, "media_source", {})
    camera = await add_camera(hass, "Temperatures")
    camera.content_type = "image/png"
    mail = await mail_of(hass, fake_server, "camera.temperatures")

    assert pictures(mail) == {"<chart>": PICTURE}
    assert attached(mail) == {"temperatures.png": PICTURE}


async def automate(hass: HomeAssistant, words: str, tmp_path: Path) -> None:
    """Set up the automation of an example, with files in a folder of this test."""
    found = parse_yaml(example(words).replace("/config", str(tmp_path)))
    assert isinstance(found, dict)
    core = found.get("homeassistant", {})
    hass.config.allowlist_external_dirs = set(core.get("allowlist_external_dirs", ()))
    for domain in ("system_log", "automation"):
        if domain in found:
            assert await async_setup_component(hass, domain, found)
    await hass.async_block_till_done()


async def test_error_is_emailed_with_the_log(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    freezer: FrozenDateTimeFactory,
    tmp_path: Path,
) -> None:
    """At most once an hour, not about email itself, and without the log if there is none."""
    (tmp_path / "home-assistant.log").write_text("Everything that happened")
    await automate(hass, "system_log_event", tmp_path)
    for name in ("custom_components.outlook_smtp", "homeassistant.fridge", "homeassistant.oven"):
        logging.getLogger(name).error("It is %s", "warm")
    [mail] = await fake_server.async_wait_for_mail()
    assert mail.recipients == ("me@outlook.com",)
    assert mail.message["Subject"] == "Error: homeassistant.fridge"
    assert attached(mail) == {"home-assistant.log": b"Everything that happened"}
    body = mail.message.get_body(("plain",))
    assert body
    assert body.get_content().strip() == "It is warm"

    await until_empty(account)
    for _ in range(50):  # The automation now waits for an hour.
        await asyncio.sleep(0)
    freezer.tick(timedelta(hours=1, seconds=1))
    run_due_timers(hass)
    await until(lambda: hass.states.async_all("automation")[0].attributes["current"] == 0)
    (tmp_path / "home-assistant.log").unlink()
    logging.getLogger("homeassistant.oven").critical("On fire")
    mail = (await fake_server.async_wait_for_mail(2))[-1]
    assert len(fake_server.received) == 2
    assert mail.message["Subject"] == "Error: homeassistant.oven"
    assert "Missing attachments" in mail.message.get_content()
    await turn_off(hass)


async def turn_off(hass: HomeAssistant) -> None:
    """Stop the automations."""
    every = {"entity_id": hass.states.async_entity_ids("automation")}
    await hass.services.async_call("automation", "turn_off", every, blocking=True)


def imap_event(**values: Any) -> dict[str, Any]:
    """Return the data of an event of Home Assistant's IMAP integration, with its own keys."""
    source = Path(components.__path__[0], "imap", "coordinator.py").read_text("utf-8")
    assert 'EVENT_IMAP = "imap_content"' in source
    keys = set(re.findall(r'^ {16}"(\w+)": ', source, re.MULTILINE))
    assert keys >= values.keys()
    return dict.fromkeys(keys) | values


@pytest.mark.usefixtures("account")
async def test_email_is_answered(
    hass: HomeAssistant, fake_server: FakeServer, tmp_path: Path
) -> None:
    """Only the sender and the subject of the example are answered, once, and marked as seen."""
    seen = async_mock_service(hass, "imap", "seen")
    await automate(hass, "imap_content", tmp_path)
    hass.states.async_set("sensor.hall_temperature", "21.5", {"unit_of_measurement": "°C"})
    mails = (
        {"sender": BERT, "subject": "Temperature", "initial": True},
        {"sender": ANNA, "subject": "Automatic reply: Re: Temperature", "initial": True},
        {"sender": ANNA, "subject": "Temperature", "initial": False},
        {"sender": ANNA, "subject": "Temperature", "initial": True, "uid": "7", "entry_id": "x"},
    )
    for values in mails:
        hass.bus.async_fire("imap_content", imap_event(**values))
    [mail] = await fake_server.async_wait_for_mail()
    await hass.async_block_till_done()

    assert len(fake_server.received) == 1
    assert mail.recipients == (ANNA,)
    assert mail.message["Subject"] == "Re: Temperature"
    assert mail.message.get_content().strip() == "It is 21.5 °C in the hall."
    assert [call.data for call in seen] == [{"entry": "x", "uid": 7}]
