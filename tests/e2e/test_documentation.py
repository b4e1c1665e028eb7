"""What the documentation shows: the example dashboard, and the email of the README's example."""

from base64 import b64encode
from email.message import EmailMessage
import re
from typing import Any

from playwright.sync_api import Page
import pytest

from tests.fake_microsoft import FakeServer
from tests.readme import actions

from .accounts import FAMILY, OTHER, OWN, IdentityPlatform, about, add_with_code, away, receive
from .api import Api
from .overflow import cut_off
from .screenshots import WIDTH, Screenshots
from .ui import EXAMPLE, Ui
from .user_texts import text


@pytest.mark.usefixtures("account")
def test_example_dashboard(
    ui: Ui,
    api: Api,
    mail_server: FakeServer,
    identity: IdentityPlatform,
    screenshots: Screenshots,
) -> None:
    """Beside another account, it shows the last delivery and what waits, and its buttons work."""
    add_with_code(api, identity, OTHER)
    send(api, "Front door")
    assert about(receive(mail_server)) == (OWN, FAMILY, "Front door")
    ui.open(EXAMPLE)
    ui.see("Connected")
    ui.see(", ".join(FAMILY))
    ui.tap("Test email")
    assert about(receive(mail_server, 2))[:2] == (OWN, (OWN,))
    with screenshots.on_high_page():
        screenshots.take("example-dashboard", ui.page.locator("hui-section"), margin=8)

    with away(mail_server):
        send(api, "Water")
        ui.tap("Check now")
        ui.see(text("entity.sensor.status.state.connection_refused"))
        screenshots.take_page("example-dashboard", lambda: require_all_legible(ui.page))
    ui.tap("Send waiting email now")
    assert about(receive(mail_server, 3)) == (OWN, FAMILY, "Water")
    ui.see("Connected")


def require_all_legible(page: Page) -> None:
    """Fail if a text of the dashboard is cut off."""
    assert cut_off(page.locator("hui-sections-view")) == []


@pytest.mark.usefixtures("account", "camera")
def test_example_email(ui: Ui, api: Api, mail_server: FakeServer, screenshots: Screenshots) -> None:
    """The README's example arrives, and this is what it looks like."""
    for room, temperature in (("bedroom", "18.5"), ("bathroom", "21.0")):
        api.post(f"/api/states/sensor.{room}_temperature", {"state": temperature})
    [action] = actions("markdown: true")
    data = action["target"] | action["data"]
    api.call(action["action"], data | {"message": api.render(data["message"])})
    mail = receive(mail_server)

    assert about(mail) == (OWN, FAMILY, "The house tonight")
    page = ui.page.context.new_page()
    page.set_viewport_size({"width": WIDTH, "height": 600})
    page.set_content(shown(mail.message))
    assert page.get_by_role("cell", name="21.0 °C").is_visible()
    height: int = page.evaluate("document.documentElement.scrollHeight")
    page.set_viewport_size({"width": WIDTH, "height": height})
    screenshots.of(page).take("email", page.locator("html"))
    page.close()


def send(api: Api, title: str) -> None:
    """Email the family."""
    api.call("notify.send_message", {"entity_id": "notify.family", "title": title, "message": "!"})


def shown(message: EmailMessage) -> str:
    """Return the HTML of an email, with its pictures in it."""
    body: Any = message.get_body(("html",))
    html: str = body.get_content()
    for part in message.walk():
        if name := part["Content-ID"]:
            picture = b64encode(part.get_payload(decode=True)).decode()  # type: ignore[arg-type]
            data = f"data:{part.get_content_type()};base64,{picture}"
            html = html.replace(f"cid:{name.strip('<>')}", data)
    assert not re.search("cid:", html)
    return html
