"""What the demo shows: an account is added, emails are sent and received, the sensor is on."""

from collections.abc import Mapping
from typing import Any, Final

from tests.fake_microsoft import Received
from tests.live_home_assistant import LiveHomeAssistant

from .api import Api
from .console import DemoError, detail, show_email, show_state, step
from .dialogs import Dialogs, Step
from .fakes import ADDRESS, PASSWORD, Fakes

FAMILY: Final = ("anna@example.com", "Bert <bert@example.com>")
ANNA, BERT, CARL = "anna@example.com", "bert@example.com", "carl@example.com"

SENSOR: Final = "binary_sensor.demo_outlook_com_connection"
OUTBOX: Final = "sensor.demo_outlook_com_outbox"
TO_MYSELF: Final = "notify.demo_outlook_com"
TO_FAMILY: Final = "notify.family"


class Story:
    """Does what a new user would do, and checks the results."""

    def __init__(self, api: Api, home: LiveHomeAssistant, fakes: Fakes) -> None:
        """Use a running Home Assistant and listening servers."""
        self._api = api
        self._fakes = fakes
        self._server = fakes.receiver
        self._dialogs = Dialogs(api, home.folder)
        self._picture = home.folder / "media" / "front-door.jpg"

    def set_up(self) -> None:
        """Add the account, a recipient and a camera."""
        added = self._add_account()
        detail(f"Added: {added['title']}")
        step("Adding a recipient, which the dialog offers next")
        self._dialogs.add_recipient(added, "Family", FAMILY)
        detail(f"Added: Family, {', '.join(FAMILY)}")
        self._dialogs.add_camera("Front door", self._picture)
        self._api.wait_for_state(TO_FAMILY, "unknown")

    def _add_account(self) -> Step:
        """Add the account, with a password or with a code; without SMTP, Graph is offered."""
        if not (identity := self._fakes.identity):
            step("Adding the account, as the UI does")
            account = {"account_kind": "other", "email": ADDRESS, "password": PASSWORD}
            server = self._fakes.server
            place = {"host": server.host, "port": server.port, "security": "starttls"}
            return self._dialogs.add_account(account, place)

        def approve(code: str) -> None:
            """Sign in at Microsoft with a code."""
            identity.approve(code, ADDRESS)

        step("Adding the account with a code, as the UI does")
        added = self._dialogs.add_account_by_code(identity.client_id, approve)
        if self._fakes.graph:
            step("Taking Microsoft Graph, which the dialog offers because SMTP is switched off")
            added = self._dialogs.take_graph(added, approve)
        return added

    def send(self) -> None:
        """Send an email in each of the three ways, and check each received one."""
        step("Sending with notify.send_message, to the recipient")
        data: dict[str, Any] = {"title": "Washing machine", "message": "It is done. Grüße!"}
        email = self._sent("notify.send_message", data | {"entity_id": TO_FAMILY})
        _expect(email, (ANNA, BERT), "Washing machine", "Grüße!")

        step(f"Sending with {TO_MYSELF}, as older automations do")
        data = {"title": "Water", "message": "There is a leak.", "target": [CARL]}
        _expect(self._sent(TO_MYSELF, data), (CARL,), "Water", "There is a leak.")

        step("Sending with outlook_smtp.send_message: a camera's picture, a blind copy")
        camera = "media-source://camera/camera.front_door"
        data = {
            "entity_id": TO_FAMILY,
            "bcc": CARL,
            "title": "Front door",
            "html": '<h1>Somebody rang</h1><img src="cid:door" alt="Front door">',
            "attachments": [{"media_source": camera, "content_id": "door"}],
            "priority": "high",
        }
        email = self._sent("outlook_smtp.send_message", data, respond=True)
        _expect(email, (ANNA, BERT, CARL), "Front door", "Somebody rang")
        _expect_picture(email)

    def survive_outage(self) -> None:
        """Send while the server is down, and see the email arrive when it is back."""
        step("Stopping the server, and sending all the same")
        before = len(self._server.received)
        self._server.stop()
        data = {"entity_id": TO_FAMILY, "title": "Heating", "message": "It is getting cold."}
        response = self._api.call("outlook_smtp.send_message", data, respond=True)
        if response["status"] != "queued":
            raise DemoError(f"An email to a server that is away is not queued: {response}")
        detail(f"Response: {response['status']}, for {response['reply']}")
        show_state(self._api.wait_for_state(OUTBOX, "1"))

        step("Starting the server, and sending what waits")
        self._server.start()
        self._api.call("outlook_smtp.flush_outbox", {})
        [email] = self._server.wait_for_mail(before + 1)[before:]
        show_email(email)
        _expect(email, (ANNA, BERT), "Heating", "It is getting cold.")
        self._api.wait_for_state(OUTBOX, "0")

    def see_connection(self) -> None:
        """Wait until the sensor shows that email works, over the right route."""
        step("Reading the connection sensor")
        state = self._api.wait_for_state(SENSOR, "on")
        show_state(state)
        route = "graph" if self._fakes.graph else "smtp"
        if state["attributes"]["route"] != route:
            raise DemoError(f"The account does not send through {route}.")
        if self._fakes.identity:
            self._require_tokens()

    def _require_tokens(self) -> None:
        """Fail if anything but a token signed in, or SMTP took email although it is off."""
        server = self._fakes.server
        said = [line for session in server.sessions for by, line in session if by == "C"]
        ways = {line.split()[1] for line in said if line.startswith("AUTH ")}
        if ways != {"XOAUTH2"}:
            raise DemoError(f"Email was sent after signing in with {ways}, not with a token alone.")
        if self._fakes.graph and server.received:
            raise DemoError("Email was sent over SMTP, and not through Microsoft Graph.")
        detail("Every connection signed in with a token that the fake of Microsoft issued.")

    def _sent(self, action: str, data: Mapping[str, Any], *, respond: bool = False) -> Received:
        """Call an action, and return the one email that the server received."""
        before = len(self._server.received)
        response = self._api.call(action, data, respond=respond)
        emails = self._server.wait_for_mail(before + 1)[before:]
        show_email(emails[0])
        if response:
            detail(f"Response: {response}")
        if len(emails) != 1 or (response and response["status"] != "sent"):
            raise DemoError(f"{action} sent {len(emails)} emails and said: {response}")
        return emails[0]


def _expect(email: Received, recipients: tuple[str, ...], title: str, text: str) -> None:
    """Fail unless an email has the right recipients and text."""
    body = email.message.get_body(("plain",))
    found = (email.sender, email.recipients, email.message["Subject"], email.tls_version[:4])
    wanted = (ADDRESS, recipients, title, "TLSv")
    if found != wanted:
        raise DemoError(f"The email that arrived is not the one sent: {found}, not {wanted}.")
    if body is None or text not in body.get_content():
        raise DemoError(f"The email that arrived does not say “{text}”.")


def _expect_picture(email: Received) -> None:
    """Fail unless the picture is shown in the email and the blind copy is hidden."""
    pictures = [part for part in email.message.walk() if part.get_content_type() == "image/jpeg"]
    if [part["Content-ID"] for part in pictures] != ["<door>"]:
        raise DemoError("The camera's picture is not in the email.")
    if b"carl" in email.content:
        raise DemoError("The email names the recipient of a blind copy.")
