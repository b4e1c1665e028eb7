"""Every field, problem and choice of the dialogs has a text."""

import json
from pathlib import Path
import re
from typing import Any

import pytest
import voluptuous as vol

from custom_components import outlook_smtp
from custom_components.outlook_smtp.auth.clouds import CLOUDS
from custom_components.outlook_smtp.auth.error_codes import CATALOGUE
from custom_components.outlook_smtp.delivery.faults import Fault, Kind, Problem, Stage
from custom_components.outlook_smtp.errors import fault_placeholders
from custom_components.outlook_smtp.flows import options, recipient, sign_in
from custom_components.outlook_smtp.flows.account_forms import (
    CHANGE_PASSWORD_FORM,
    OTHER_SERVER_FORM,
    PASSWORD_FORM,
    REAUTH_FORM,
    WORKS_FORM,
)
from custom_components.outlook_smtp.flows.password import PASSWORD_STEPS
from custom_components.outlook_smtp.message.problems import MessageProblem
from custom_components.outlook_smtp.smtp.settings import AccountKind, Security

FORMS = {
    "config.step.password": PASSWORD_FORM,
    "config.step.reauth_confirm": REAUTH_FORM,
    "config.step.change_password": CHANGE_PASSWORD_FORM,
    "config.step.browser.sections.advanced": vol.Schema(sign_in._TENANT | sign_in._CLOUD),
    "config.step.works": WORKS_FORM,
    "config.step.code.sections.advanced": vol.Schema(sign_in._TENANT | sign_in._CLOUD),
    "config.step.server": OTHER_SERVER_FORM,
    "config_subentries.recipient.step.reconfigure": recipient.FORM,
    "config_subentries.recipient.step.user": recipient.FORM,
    "options.step.init": options.FORM,
}
# These never happen in actions: only a dialog tries the other port, and bugs are not caught there.
ONLY_IN_DIALOGS = {Problem.PORT_BLOCKED_OTHER_OPEN, Problem.UNFORESEEN}
RECIPIENT_PROBLEMS = set(MessageProblem) - {
    MessageProblem.DUPLICATE_CONTENT_ID,
    MessageProblem.INVALID_CONTENT_ID,
    MessageProblem.TEXT_TOO_LONG,
}
KEYS = {
    "config.abort": {
        "already_configured",
        # Errors of Home Assistant's part of the browser sign-in.
        "authorize_url_timeout",
        "missing_configuration",
        "missing_credentials",
        "no_url_available",
        "oauth_implementation_unavailable",
        "reauth_successful",
        "reconfigure_successful",
    },
    "config.error": {
        *Problem,
        # Of Microsoft Graph.
        "connection_refused_graph",
        "wrong_security_graph",
        "invalid_client_id",
        "invalid_email",
        "invalid_host",
        "invalid_tenant",
        "line_break",
        "no_password",
        "personal_only_worldwide",
        "test_not_confirmed",
        "wrong_account",
        "wrong_mailbox",
    },
    "config.progress": {*Stage, "wait_for_sign_in"} - {Stage.MAIL, Stage.RCPT},
    "config.step.passwords_refused.menu_options": {
        *("code", "browser"),
        *PASSWORD_STEPS.values(),
    },
    "config.step.reauth_sign_in.menu_options": {"code", "browser"},
    "config.step.reconfigure.menu_options": {
        *("code", "browser", "graph", "smtp", "change_password", "server")
    },
    "config.step.sign_in_first.menu_options": {"code", "browser"},
    "config.step.smtp_off_mailbox.menu_options": {"graph", "check", "password"},
    "config.step.smtp_off_personal.menu_options": {"graph", "check", "password"},
    "config.step.smtp_off_tenant.menu_options": {"graph", "check", "password"},
    "config.step.user.menu_options": {"code", "browser", "password"},
    "config_subentries.recipient.error": {*RECIPIENT_PROBLEMS, "name_taken", "no_name"},
    "options.error": RECIPIENT_PROBLEMS - {MessageProblem.NO_RECIPIENT},
    "selector.account_kind.options": set(AccountKind),
    "selector.cloud.options": set(CLOUDS),
    "selector.security.options": set(Security),
}


OFF_FOR = ("mailbox", "tenant")
MENUS = {
    *(f"config.{step}" for step in ("passwords_refused", "reauth_sign_in", "reconfigure", "user")),
    *("config.sign_in_first", "config.smtp_off_mailbox"),
    *("config.smtp_off_personal", "config.smtp_off_tenant"),
    *("basic_auth_disabled.init", "messages_failed.init", "messages_failed.many"),
    *("outbox_full.init", "security_defaults.init"),
    *("basic_auth_disabled.still_refused", "security_defaults.still_refused"),
    *(f"smtp_disabled_{of}.{step}" for of in OFF_FOR for step in ("init", "still_refused")),
}


@pytest.fixture(scope="module")
def english() -> dict[str, Any]:
    """Return the texts that Home Assistant shows."""
    file = Path(outlook_smtp.__file__).parent / "translations" / "en.json"
    texts: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return texts


def look_up(texts: Any, path: str) -> Any:
    """Return the text at a path."""
    for key in path.split("."):
        texts = texts[key]
    return texts


@pytest.mark.parametrize(("path", "form"), FORMS.items(), ids=FORMS)
def test_every_field_is_named_and_explained(
    english: dict[str, Any], path: str, form: vol.Schema
) -> None:
    """A form or a section has a title, and exactly its fields have a name and a description."""
    texts = look_up(english, path)
    fields = {str(field) for field in form.schema}
    assert texts["name" if "sections" in path else "title"]
    assert set(texts["data"]) == fields
    assert set(texts["data_description"]) == fields
    assert all(texts["data"].values())
    assert all(texts["data_description"].values())


@pytest.mark.parametrize("problem", Problem)
def test_every_problem_is_explained(english: dict[str, Any], problem: Problem) -> None:
    """A problem has a text in the dialog, as an action's error, and as the sensor's attribute."""
    named = set(re.findall(r"{(\w+)}", look_up(english, f"config.error.{problem}")))
    assert named <= set(fault_placeholders(Fault(Kind.SETUP, problem), "", "", 0))
    attribute = "entity.binary_sensor.connection.state_attributes.problem.state"
    assert look_up(english, f"{attribute}.{problem}")
    if problem not in ONLY_IN_DIALOGS:
        assert look_up(english, f"exceptions.{problem}.message")


@pytest.mark.parametrize(("path", "keys"), KEYS.items(), ids=KEYS)
def test_every_dialog_text_exists(english: dict[str, Any], path: str, keys: set[str]) -> None:
    """Everything that a dialog can show has a text, and there are no others."""
    texts = look_up(english, path)
    assert set(texts) == keys
    assert all(texts.values())


def test_every_choice_of_every_menu_is_explained(english: dict[str, Any]) -> None:
    """A line explains each choice in the dialogs and under Repairs."""
    flows = {
        key: issue["fix_flow"] for key, issue in english["issues"].items() if "fix_flow" in issue
    }
    steps = {
        f"{flow}.{step}": texts
        for flow, found in ({"config": english["config"]} | flows).items()
        for step, texts in found["step"].items()
    }
    menus = {path: texts for path, texts in steps.items() if "menu_options" in texts}
    assert set(menus) == MENUS
    for path, texts in menus.items():
        explained = texts["menu_option_descriptions"]
        assert list(explained) == list(texts["menu_options"]), path
        assert all(line.endswith(".") and "\n" not in line for line in explained.values()), path


def test_no_text_is_interpreted_as_markup(english: dict[str, Any]) -> None:
    """The frontend interprets an angle bracket as a tag, and shows an error instead of the text."""
    assert "<" not in json.dumps(english)


def test_check_and_its_end_have_texts(english: dict[str, Any]) -> None:
    """The progress has a title, and the end says how to continue."""
    assert look_up(english, "config.step.check.title")
    assert look_up(english, "config.create_entry.default")


@pytest.mark.parametrize(
    "problem",
    [
        *sorted({problem for problem, _ in CATALOGUE.values()}),
        Problem.APPLICATION_REFUSED,
        Problem.UNEXPECTED_ANSWER,
        Problem.NO_SEND_PERMISSION,
        Problem.NO_REFRESH_TOKEN,
        Problem.NO_ADDRESS,
    ],
)
def test_refusal_texts_do_not_need_the_address(english: dict[str, Any], problem: Problem) -> None:
    """While an account is added, its address is unknown: the text would have a gap."""
    named = set(re.findall(r"{(\w+)}", look_up(english, f"config.error.{problem}")))
    assert named <= {"reply"}
