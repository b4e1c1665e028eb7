"""Errors: whatever goes wrong on the way, the caller reads why in plain words."""

from collections.abc import Callable
import json
from pathlib import Path
import re
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.outlook_smtp import exceptions
from custom_components.outlook_smtp.const import DOMAIN
from custom_components.outlook_smtp.message.problems import LetterProblem
from custom_components.outlook_smtp.smtp.account import Server
from custom_components.outlook_smtp.smtp.faults import Fault, Kind, Problem

from .conftest import ADDRESS
from .standin import CATALOGUE, Script, StandIn, Step

# Only the staged check of the config flow finds this.
CHECK_ONLY = {Problem.PORT_BLOCKED_OTHER_OPEN}


async def send(hass: HomeAssistant) -> None:
    """Send a mail to oneself."""
    await hass.services.async_call(
        "notify",
        "send_message",
        {"entity_id": "notify.me_outlook_com", "message": "Hello"},
        blocking=True,
    )


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("step", sorted({row.step for row in CATALOGUE}))
async def test_every_refusal_of_microsofts_is_explained_and_quoted(
    hass: HomeAssistant, standin: StandIn, step: Step
) -> None:
    """The error has a text of its own, and quotes what the server said, without its marks."""
    for row in (row for row in CATALOGUE if row.step is step):
        standin.script = Script.for_row(row)
        with pytest.raises(HomeAssistantError) as caught:
            await send(hass)
        error = caught.value
        assert not isinstance(error, ServiceValidationError), row.name
        assert error.translation_domain == DOMAIN, row.name
        code, enhanced, words = row.reply.split(" ", 2)
        assert f"{code} {enhanced} {words[:12]}" in str(error), row.name
        assert "Hostname=" not in str(error), row.name
        assert "PROD.OUTLOOK.COM" not in str(error), row.name
        assert len(str(error)) < 700, row.name
    assert standin.received == []


def next_connection(**script: Any) -> Callable[[StandIn], None]:
    """Return what makes the next connection go wrong."""
    return lambda standin: standin.script_next(Script(**script))


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    ("spoil", "key", "words"),
    [
        (StandIn.stop, "connection_refused", "refuses connections on port"),
        (next_connection(drop=Step.GREETING), "connection_lost", "closed the connection"),
        (next_connection(drop=Step.RCPT), "connection_lost", "closed the connection"),
        (next_connection(drop=Step.FINAL), "answer_lost", "may or may not have been delivered"),
        (next_connection(offer_starttls=False), "starttls_not_offered", "password was not sent"),
        (lambda standin: standin.mailboxes.clear(), "invalid_credentials", "535 5.7.139"),
        (lambda standin: standin.add_mailbox(ADDRESS, "new"), "invalid_credentials", "535 5.7.139"),
    ],
)
async def test_trouble_on_the_way_is_explained(
    hass: HomeAssistant, standin: StandIn, spoil: Callable[[StandIn], Any], key: str, words: str
) -> None:
    """The error says what is wrong, and the next mail goes out as soon as it no longer is."""
    spoil(standin)
    with pytest.raises(HomeAssistantError, match=re.escape(words)) as caught:
        await send(hass)
    assert caught.value.translation_key == key
    assert standin.received == []


async def test_sending_works_again_after_the_server_comes_back(
    hass: HomeAssistant, account: MockConfigEntry, standin: StandIn
) -> None:
    """Nothing has to be reloaded."""
    standin.stop()
    with pytest.raises(HomeAssistantError, match="refuses connections"):
        await send(hass)
    standin.start()
    await send(hass)
    assert len(standin.received) == 1


def test_every_problem_has_a_text_whose_placeholders_are_filled() -> None:
    """There is none that a user would read as a key, or with a brace in it."""
    integration = Path(exceptions.__file__).parent
    texts = json.loads((integration / "translations" / "en.json").read_text("utf-8"))["exceptions"]
    problems = {problem.value for problem in Problem if problem not in CHECK_ONLY}
    assert texts.keys() >= problems | {problem.value for problem in LetterProblem}
    fault = Fault(Kind.TRANSIENT, Problem.TIMEOUT, 421, "4.4.1", "Too slow", "a hint")
    filled = exceptions.fault_placeholders(fault, ADDRESS, Server("smtp.example.com", 587))
    for problem in problems:
        message = texts[problem]["message"].format(**filled)
        assert "{" not in message
    for problem in LetterProblem:
        assert texts[problem]["message"].format(field="to", value="x").startswith("to: ")
    # Each text exists because the code names it.
    code = "".join(path.read_text("utf-8") for path in integration.glob("*.py"))
    for key in texts.keys() - problems - {problem.value for problem in LetterProblem}:
        assert f'"{key}"' in code
