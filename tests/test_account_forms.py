"""Every field, problem and choice of the dialogs has its words."""

from enum import StrEnum
import json
from pathlib import Path
from typing import Any

import pytest
import voluptuous as vol

from custom_components import outlook_smtp
from custom_components.outlook_smtp import options_flow, recipient_flow
from custom_components.outlook_smtp.account_forms import (
    PASSWORD_FORM,
    REAUTH_FORM,
    RECONFIGURE_FORM,
    SERVER_FORM,
)
from custom_components.outlook_smtp.smtp.account import AccountKind, Security
from custom_components.outlook_smtp.smtp.faults import Problem, Stage

FORMS = {
    "config.step.password": PASSWORD_FORM,
    "config.step.reauth_confirm": REAUTH_FORM,
    "config.step.reconfigure": RECONFIGURE_FORM,
    "config.step.server": SERVER_FORM,
    "config_subentries.recipient.step.reconfigure": recipient_flow.FORM,
    "config_subentries.recipient.step.user": recipient_flow.FORM,
    "options.step.init": options_flow.FORM,
}
# An action meets neither: only a dialog tries the other port, and bugs are not caught there.
ONLY_IN_DIALOGS = {Problem.PORT_BLOCKED_OTHER_OPEN, Problem.UNKNOWN}


@pytest.fixture(scope="module")
def english() -> dict[str, Any]:
    """Return the texts that Home Assistant shows."""
    file = Path(outlook_smtp.__file__).parent / "translations" / "en.json"
    texts: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return texts


def look_up(texts: Any, path: str) -> Any:
    """Return what stands at a path."""
    for key in path.split("."):
        texts = texts[key]
    return texts


@pytest.mark.parametrize(("path", "form"), FORMS.items(), ids=FORMS)
def test_every_field_is_named_and_explained(
    english: dict[str, Any], path: str, form: vol.Schema
) -> None:
    """A form has a title, and its fields have a name and a description, and no others do."""
    texts = look_up(english, path)
    fields = {str(field) for field in form.schema}
    assert texts["title"]
    assert set(texts["data"]) == fields
    assert set(texts["data_description"]) == fields
    assert all(texts["data"].values())
    assert all(texts["data_description"].values())


@pytest.mark.parametrize("problem", Problem)
def test_every_problem_is_explained(english: dict[str, Any], problem: Problem) -> None:
    """A problem has a text in the dialog, as an action's error, and as the sensor's attribute."""
    assert look_up(english, f"config.error.{problem}")
    attribute = "entity.binary_sensor.connection.state_attributes.problem.state"
    assert look_up(english, f"{attribute}.{problem}")
    if problem not in ONLY_IN_DIALOGS:
        assert look_up(english, f"exceptions.{problem}.message")


@pytest.mark.parametrize(
    ("path", "choices"), [("account_kind", AccountKind), ("security", Security)]
)
def test_every_choice_has_a_label(
    english: dict[str, Any], path: str, choices: type[StrEnum]
) -> None:
    """What can be chosen is shown in words."""
    assert set(look_up(english, f"selector.{path}.options")) == set(choices)


def test_every_stage_of_a_check_is_shown_in_words(english: dict[str, Any]) -> None:
    """A check ends with the sign-in, and all stages up to there have a text."""
    assert set(look_up(english, "config.progress")) == set(Stage) - {
        Stage.MAIL,
        Stage.RCPT,
        Stage.DATA,
    }
