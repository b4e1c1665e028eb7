"""The example dashboard: what it shows and does is there."""

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
    """Yield what stands under a key, at any depth."""
    if isinstance(part, dict):
        for name, value in part.items():
            if name == key:
                yield value
            yield from values(value, key)
    elif isinstance(part, list):
        for item in part:
            yield from values(item, key)


def texts(hass: HomeAssistant) -> str:
    """Return what the markdown cards say at the moment."""
    return "\n".join(
        Template(card["content"], hass).async_render(parse_result=False)
        for card in cards()
        if card["type"] == "markdown"
    )


def test_view_is_of_sections_with_built_in_cards() -> None:
    """It can be pasted into any dashboard, without a card that has to be downloaded."""
    assert view()["type"] == "sections"
    assert {card["type"] for card in cards()} == BUILT_IN


@pytest.mark.usefixtures("account")
async def test_every_entity_exists(hass: HomeAssistant) -> None:
    """No card shows an entity that is not there, in whatever place it is named."""
    named = set(
        re.findall(r"\b(?:binary_sensor|button|event|notify|sensor)\.\w+_outlook_com\w*", TEXT)
    )
    entities = set(values(view(), "entity"))

    assert entities <= named
    assert {entity for entity in named if hass.states.get(entity) is None} == set()


@pytest.mark.usefixtures("account")
async def test_every_shown_attribute_exists(hass: HomeAssistant) -> None:
    """The tiles show attributes that their entities have, once there is something to show."""
    for card in cards():
        shown = set(card.get("state_content", ())) - {"state", "last_changed", "event_type"}
        assert not shown or shown <= state_of(hass, card["entity"]).attributes.keys()


@pytest.mark.usefixtures("account")
async def test_every_action_exists(hass: HomeAssistant) -> None:
    """What the buttons call is there, and the outbox and the two buttons are among it."""
    actions = set(values(view(), "perform_action"))

    assert {action for action in actions if not hass.services.has_service(*action.split("."))} == (
        set()
    )
    assert actions == {"button.press", "outlook_smtp.flush_outbox", "outlook_smtp.retry_failed"}


@pytest.mark.usefixtures("account")
async def test_gauge_ends_at_the_limit(hass: HomeAssistant) -> None:
    """The needle is at the end when Microsoft takes no more."""
    [gauge] = [card for card in cards() if card["type"] == "gauge"]

    assert gauge["max"] == state_of(hass, gauge["entity"]).attributes["daily_limit"]


async def test_texts_tell_what_waits_and_why(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """They are silent of troubles that there are not, and quote the server when there are."""
    assert "failed in the last week" not in texts(hass)

    row = next(row for row in CATALOGUE if row.name == "tenant_disabled")
    fake_server.mailboxes[ADDRESS].script = Script.for_row(row)
    await defer(account)
    await hass.async_block_till_done()
    assert "1 messages" in texts(hass)
    assert texts(hass).count("SMTP switched off for the organization") == 2
    assert texts(hass).count("535 5.7.139") == 2
