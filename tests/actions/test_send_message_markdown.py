"""A message in Markdown becomes an email with text and HTML, for every action."""

from typing import Any, Final

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from ..fake_microsoft import FakeServer
from ..helpers import ANNA, act

MESSAGE = "## Battery low\n\n| Sensor | Left |\n|---|--:|\n| Cellar | 4 % |"


def parts(fake_server: FakeServer) -> tuple[str, str | None]:
    """Return the text and the HTML of the one received email."""
    (mail,) = fake_server.received
    text, html = mail.message.get_body(("plain",)), mail.message.get_body(("html",))
    assert text
    return text.get_content().replace("\r\n", "\n"), html.get_content() if html else None


async def test_send_message_renders_markdown(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """The text part is the message as written, the HTML part is rendered from it."""
    await act(hass, "send_message", to=ANNA, message=MESSAGE, markdown=True)
    text, html = parts(fake_server)
    assert text.strip() == MESSAGE
    assert html
    assert ">Battery low</h2>" in html
    assert ">4 %</td>" in html


@pytest.mark.parametrize("fields", [{}, {"markdown": False}])
async def test_without_markdown_nothing_changes(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, fields: dict[str, Any]
) -> None:
    """A message is plain text unless markdown is enabled."""
    await act(hass, "send_message", to=ANNA, message=MESSAGE, **fields)
    assert parts(fake_server) == (f"{MESSAGE}\n", None)


async def test_legacy_notify_renders_markdown(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """Alerts and groups can enable it in their data; HTML in the message is shown as text."""
    await hass.services.async_call(
        "notify",
        "me_outlook_com",
        {"message": "**Low**: <b>{{ x }}</b>", "data": {"markdown": "yes"}},
        blocking=True,
    )
    text, html = parts(fake_server)
    assert text == "**Low**: <b>{{ x }}</b>\n"
    assert html
    assert "<strong>Low</strong>: &lt;b&gt;{{ x }}&lt;/b&gt;" in html


CONTRADICTIONS: Final[tuple[tuple[dict[str, Any], str], ...]] = (
    ({"message": "Hello", "html": "<p>Hello</p>"}, "markdown_and_html"),
    ({"html": "<p>Hello</p>"}, "markdown_and_html"),
    ({"message": " \n", "attachments": [{"path": "/x"}]}, "markdown_without_message"),
    ({"attachments": [{"path": "/x"}]}, "markdown_without_message"),
)


@pytest.mark.usefixtures("account")
async def test_contradictory_fields_are_rejected(
    hass: HomeAssistant, fake_server: FakeServer, subtests: pytest.Subtests
) -> None:
    """The error names the field and the remedy, and nothing is sent."""
    for fields, key in CONTRADICTIONS:
        with subtests.test(str(fields)):
            with pytest.raises(ServiceValidationError) as caught:
                await act(hass, "send_message", to=ANNA, markdown=True, **fields)
            assert caught.value.translation_key == key
            assert str(caught.value).startswith("markdown: ")
            assert "turn off markdown" in str(caught.value)
            assert not fake_server.received
