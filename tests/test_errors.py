"""Errors: whatever goes wrong, the caller gets the reason in plain language."""

from collections.abc import Callable
import json
from pathlib import Path
from typing import Any, Final

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
import voluptuous as vol

from custom_components.outlook_smtp import errors
from custom_components.outlook_smtp.const import DOMAIN
from custom_components.outlook_smtp.delivery.faults import Fault, Kind, Problem
from custom_components.outlook_smtp.message.problems import MessageProblem

from .conftest import ADDRESS, PASSWORD, until
from .fake_microsoft import CATALOGUE, FakeServer, Script, Step
from .helpers import mailer_of, until_empty

# Only the connection check of the config flow finds this.
CHECK_ONLY = {Problem.PORT_BLOCKED_OTHER_OPEN}


async def send(hass: HomeAssistant) -> dict[str, Any]:
    """Send an email to oneself, and return the result."""
    response = await hass.services.async_call(
        DOMAIN,
        "send_message",
        {"to": ADDRESS, "message": "Hello"},
        blocking=True,
        return_response=True,
    )
    assert response
    return response


async def start_afresh(account: MockConfigEntry, fake_server: FakeServer) -> None:
    """Leave an account that nothing holds, an empty outbox and no connection."""
    fake_server.script = Script()
    await mailer_of(account).worker.flush()
    await until_empty(account)
    fake_server.received.clear()
    fake_server.hang_up()
    await until(lambda: not fake_server.open_connections)


@pytest.mark.usefixtures("no_pace")
async def test_every_refusal_of_microsoft_is_quoted(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """A refused message raises an error with its own text; any other problem is retried."""
    for row in CATALOGUE:
        fake_server.script = Script.for_row(row)
        if row.kind == "message":
            with pytest.raises(HomeAssistantError) as caught:
                await send(hass)
            assert not isinstance(caught.value, ServiceValidationError), row.name
            assert caught.value.translation_domain == DOMAIN, row.name
            said = str(caught.value)
        else:
            response = await send(hass)
            assert (response["status"], response["waiting"]) == ("queued", [ADDRESS]), row.name
            assert response["problem"] in set(Problem), row.name
            said = response["reply"]
        code, enhanced, words = row.reply.split(" ", 2)
        assert f"{code} {enhanced} {words[:12]}" in said, row.name
        assert "Hostname=" not in said, row.name
        assert "PROD.OUTLOOK.COM" not in said, row.name
        assert len(said) < 700, row.name
        assert fake_server.received == [], row.name
        await start_afresh(account, fake_server)


def broken(**script: Any) -> Callable[[FakeServer], None]:
    """Return a function that breaks the connections, the one opened ahead as well."""
    return lambda fake_server: setattr(fake_server, "script", Script(**script))


BROKEN: Final[tuple[tuple[Callable[[FakeServer], Any], str], ...]] = (
    (broken(drop=Step.GREETING), "connection_lost"),
    (broken(drop=Step.RCPT), "connection_lost"),
    (broken(drop=Step.FINAL), "answer_lost"),
    (broken(offer_starttls=False), "starttls_not_offered"),
    (lambda fake_server: fake_server.mailboxes.clear(), "invalid_credentials"),
    (lambda fake_server: fake_server.add_mailbox(ADDRESS, "new"), "invalid_credentials"),
    (FakeServer.stop, "connection_refused"),
)


@pytest.mark.usefixtures("no_pace")
async def test_network_problems_are_reported(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    subtests: pytest.Subtests,
) -> None:
    """The caller learns that the message is queued, and why."""
    for number, (spoil, problem) in enumerate(BROKEN):
        with subtests.test(problem, number=number):
            fake_server.add_mailbox(ADDRESS, PASSWORD)
            await start_afresh(account, fake_server)
            spoil(fake_server)
            response = await send(hass)
            assert (response["status"], response["problem"]) == ("queued", problem)
            assert fake_server.received == []


async def test_new_message_is_tried_with_all_waiting_ones(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """When the server is back, nothing must be reloaded, and the order is kept."""
    fake_server.stop()
    first = await send(hass)
    assert (first["status"], first["problem"]) == ("queued", "connection_refused")
    fake_server.start()
    second = await send(hass)
    assert second["status"] == "sent"
    sent = [mail.message["Message-ID"] for mail in fake_server.received]
    assert sent == [first["message_id"], second["message_id"]]


@pytest.mark.usefixtures("account")
def test_text_of_another_integration_has_no_halves_of_characters(hass: HomeAssistant) -> None:
    """It is logged and shown as it is otherwise."""
    error = HomeAssistantError("The camera\ud83d is off")
    assert errors.public_text(hass, error, "en") == "The camera\ufffd is off"


async def test_call_whose_data_is_a_list_is_refused(
    hass: HomeAssistant, account: MockConfigEntry
) -> None:
    """As the REST API allows it."""
    data: Any = [ADDRESS]
    with pytest.raises(vol.Invalid, match=r"expected a (dictionary|mapping)"):
        await hass.services.async_call(DOMAIN, "send_message", data, blocking=True)


def test_every_problem_has_a_text_whose_placeholders_are_filled() -> None:
    """No text is shown as a key, or with an unfilled placeholder."""
    integration = Path(errors.__file__).parent
    texts = json.loads((integration / "translations" / "en.json").read_text("utf-8"))["exceptions"]
    problems = {problem.value for problem in Problem if problem not in CHECK_ONLY}
    assert texts.keys() >= problems | {problem.value for problem in MessageProblem}
    fault = Fault(Kind.TRANSIENT, Problem.TIMEOUT, 421, "4.4.1", "Too slow", "a hint")
    filled = errors.fault_placeholders(fault, ADDRESS, "smtp.example.com", 587)
    for problem in problems:
        message = texts[problem]["message"].format(**filled)
        assert "{" not in message
    for problem in MessageProblem:
        assert texts[problem]["message"].format(field="to", value="x").startswith("to: ")
    # Each text exists because the code uses it.
    code = "".join(path.read_text("utf-8") for path in integration.rglob("*.py"))
    for key in texts.keys() - problems - {problem.value for problem in MessageProblem}:
        assert f'"{key}"' in code
