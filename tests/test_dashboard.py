"""Everything that the example dashboard shows and calls exists."""

import asyncio
from pathlib import Path
import re
from typing import Any, Final

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.template import Template
from homeassistant.util.yaml import parse_yaml
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from .conftest import ADDRESS
from .fake_microsoft import CATALOGUE, FakeServer, Script, Step
from .helpers import ANNA, defer, mailer_of, outgoing, state_of, values_of

TEXT: Final = (Path(__file__).parent.parent / "docs" / "dashboard.yaml").read_text("utf-8")
# https://www.home-assistant.io/dashboards/cards/
BUILT_IN: Final = {"heading", "history-graph", "logbook", "markdown", "tile"}


def view() -> dict[str, Any]:
    """Return the one view."""
    parsed = parse_yaml(TEXT)
    assert isinstance(parsed, dict)
    [only] = parsed["views"]
    assert isinstance(only, dict)
    return only


def cards() -> list[dict[str, Any]]:
    """Return the cards of all sections."""
    return [card for section in view()["sections"] for card in section["cards"]]


def texts(hass: HomeAssistant) -> str:
    """Return the current text of the markdown cards."""
    return "\n".join(
        Template(card["content"], hass).async_render(parse_result=False)
        for card in cards()
        if card["type"] == "markdown"
    )


def test_file_is_a_whole_dashboard() -> None:
    """It is pasted as it is, and needs no custom cards."""
    assert TEXT.startswith("views:\n")
    assert view()["type"] == "sections"
    assert {card["type"] for card in cards()} == BUILT_IN


@pytest.mark.usefixtures("account")
async def test_every_entity_exists(hass: HomeAssistant) -> None:
    """No card refers to a missing entity, anywhere."""
    named = set(
        re.findall(r"\b(?:binary_sensor|button|event|notify|sensor)\.\w+_outlook_com\w*", TEXT)
    )
    entities = set(values_of(view(), "entity"))

    assert entities <= named
    assert {entity for entity in named if hass.states.get(entity) is None} == set()


@pytest.mark.usefixtures("account")
async def test_every_shown_attribute_exists(hass: HomeAssistant) -> None:
    """The tiles show attributes that their entities have once there is something to show."""
    for card in cards():
        shown = set(card.get("state_content", ())) - {"state", "last_changed", "event_type"}
        assert not shown or shown <= state_of(hass, card["entity"]).attributes.keys()


@pytest.mark.usefixtures("account")
def test_buttons_belong_to_the_account(hass: HomeAssistant) -> None:
    """Each presses an entity of the account, so it works beside another account."""
    pressed = [card["tap_action"] for card in cards() if "tap_action" in card]

    assert {action["perform_action"] for action in pressed} == {"button.press"}
    assert {action["target"]["entity_id"] for action in pressed} == {
        state.entity_id for state in hass.states.async_all("button")
    }


@pytest.mark.usefixtures("account")
def test_bar_ends_at_the_limit(hass: HomeAssistant) -> None:
    """The bar is full when Microsoft's limit is reached."""
    [tile] = [card for card in cards() if "features" in card]

    assert tile["features"] == [
        {
            "type": "bar-gauge",
            "min": 0,
            "max": state_of(hass, tile["entity"]).attributes["daily_limit"],
        }
    ]


async def test_texts_explain_what_happened(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """They name the recipients of the last email, and quote the server only about problems."""
    assert "No email yet" in texts(hass)
    await mailer_of(account).send(outgoing())
    await hass.async_block_till_done()
    assert f"To {ANNA}" in texts(hass).replace("\\", "")
    assert "2.0.0" not in texts(hass)

    row = next(row for row in CATALOGUE if row.name == "tenant_disabled")
    await asyncio.to_thread(fake_server.hang_up)  # Now it must sign in again.
    fake_server.mailboxes[ADDRESS].script = Script.for_row(row)
    await defer(account)
    await hass.async_block_till_done()
    assert "**SMTP switched off for the organization**" in texts(hass)
    assert "**Queued**" in texts(hass)
    assert "535 5.7.139" in texts(hass)


async def test_texts_of_strangers_stay_text(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """What a server says is no link and no HTML in a Markdown card."""
    fake_server.script = Script(replies={Step.FINAL: "554 5.6.0 [No](http://x.example) <b>"})
    with pytest.raises(HomeAssistantError):
        await mailer_of(account).send(outgoing())
    await hass.async_block_till_done()
    assert r"\[No\](http\://x.example) \<b\>" in texts(hass)
