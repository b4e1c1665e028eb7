"""Everything that the example dashboard shows and calls exists."""

from collections.abc import Iterator
from pathlib import Path
import re
from typing import Any, Final

from homeassistant.core import HomeAssistant
from homeassistant.helpers.template import Template
from homeassistant.util.yaml import parse_yaml
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from .conftest import ADDRESS
from .fake_microsoft import CATALOGUE, FakeServer, Script
from .helpers import defer, state_of

TEXT: Final = (Path(__file__).parent.parent / "docs" / "dashboard.yaml").read_text("utf-8")
# https://www.home-assistant.io/dashboards/cards/
BUILT_IN: Final = {"button", "gauge", "heading", "history-graph", "logbook", "markdown", "tile"}


def view() -> dict[str, Any]:
    """Return the view."""
    parsed = parse_yaml(TEXT)
    assert isinstance(parsed, dict)
    return parsed


def cards() -> list[dict[str, Any]]:
    """Return the cards of all sections."""
    return [card for section in view()["sections"] for card in section["cards"]]


def values(part: Any, key: str) -> Iterator[Any]:
    """Yield all values of a key, at any depth."""
    if isinstance(part, dict):
        for name, value in part.items():
            if name == key:
                yield value
            yield from values(value, key)
    elif isinstance(part, list):
        for item in part:
            yield from values(item, key)


def texts(hass: HomeAssistant) -> str:
    """Return the current text of the markdown cards."""
    return "\n".join(
        Template(card["content"], hass).async_render(parse_result=False)
        for card in cards()
        if card["type"] == "markdown"
    )


def test_view_is_of_sections_with_built_in_cards() -> None:
    """It can be pasted into any dashboard, without custom cards."""
    assert view()["type"] == "sections"
    assert {card["type"] for card in cards()} == BUILT_IN


@pytest.mark.usefixtures("account")
async def test_every_entity_exists(hass: HomeAssistant) -> None:
    """No card refers to a missing entity, anywhere."""
    named = set(
        re.findall(r"\b(?:binary_sensor|button|event|notify|sensor)\.\w+_outlook_com\w*", TEXT)
    )
    entities = set(values(view(), "entity"))

    assert entities <= named
    assert {entity for entity in named if hass.states.get(entity) is None} == set()


@pytest.mark.usefixtures("account")
async def test_every_shown_attribute_exists(hass: HomeAssistant) -> None:
    """The tiles show attributes that their entities have once there is something to show."""
    for card in cards():
        shown = set(card.get("state_content", ())) - {"state", "last_changed", "event_type"}
        assert not shown or shown <= state_of(hass, card["entity"]).attributes.keys()


@pytest.mark.usefixtures("account")
async def test_every_action_exists(hass: HomeAssistant) -> None:
    """The actions of the buttons exist, including the outbox and the two buttons."""
    actions = set(values(view(), "perform_action"))

    assert {action for action in actions if not hass.services.has_service(*action.split("."))} == (
        set()
    )
    assert actions == {"button.press", "outlook_smtp.flush_outbox", "outlook_smtp.retry_failed"}


@pytest.mark.usefixtures("account")
async def test_gauge_ends_at_the_limit(hass: HomeAssistant) -> None:
    """The needle is at the end when Microsoft's limit is reached."""
    [gauge] = [card for card in cards() if card["type"] == "gauge"]

    assert gauge["max"] == state_of(hass, gauge["entity"]).attributes["daily_limit"]


async def test_texts_explain_what_waits(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """They say nothing about problems that do not exist, and quote the server about others."""
    assert "failed in the last week" not in texts(hass)

    row = next(row for row in CATALOGUE if row.name == "tenant_disabled")
    fake_server.mailboxes[ADDRESS].script = Script.for_row(row)
    await defer(account)
    await hass.async_block_till_done()
    assert "1 messages" in texts(hass)
    assert texts(hass).count("SMTP switched off for the organization") == 2
    assert texts(hass).count("535 5.7.139") == 2
