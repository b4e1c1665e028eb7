"""What the demo shows: an account is added, mail is sent and received, the sensor is on."""

import asyncio
from typing import Any, Final

from tests.standin import Identity, Received, StandIn

from . import dialogs
from .api import LOOK_EVERY, Api
from .console import DemoError, detail, show_mail, show_state, step
from .home import Home

ADDRESS: Final = "demo@outlook.com"
PASSWORD: Final = "app-password"
FAMILY: Final = ("anna@example.com", "Bert <bert@example.com>")
STATE_TIMEOUT: Final = 60.0  # Seconds.

SENSOR: Final = "binary_sensor.demo_outlook_com_connection"
OUTBOX: Final = "sensor.demo_outlook_com_outbox"
TO_MYSELF: Final = "notify.demo_outlook_com"
TO_FAMILY: Final = "notify.family"


class Tour:
    """Walks through what a newcomer would do, and checks what comes of it."""

    def __init__(self, api: Api, home: Home, standin: StandIn) -> None:
        """Use a Home Assistant that is up and a stand-in that listens."""
        self._api = api
        self._home = home
        self._standin = standin

    async def add_account(self) -> None:
        """Add the account, a recipient and a camera through their dialogs."""
        step("Adding the account, as the UI does")
        added = await dialogs.add_account(
            self._api,
            {"account_kind": "other", "email": ADDRESS, "password": PASSWORD},
            {"host": self._standin.host, "port": self._standin.port, "security": "starttls"},
            detail,
        )
        await self._furnish(added)

    async def sign_in(self, identity: Identity) -> None:
        """Add the account by signing in with a code, a recipient and a camera."""
        step("Adding the account with a code, as the UI does")
        added = await dialogs.add_account_by_code(
            self._api,
            identity.client_id,
            lambda code: identity.approve(code, ADDRESS),
            detail,
        )
        await self._furnish(added)

    def require_tokens(self) -> None:
        """Complain if anybody signed in at the mail server with something else than a token."""
        said = [line for session in self._standin.sessions for by, line in session if by == "C"]
        ways = {line.split()[1] for line in said if line.startswith("AUTH ")}
        if ways != {"XOAUTH2"}:
            raise DemoError(f"Mail was sent after signing in with {ways}, not with a token alone.")
        detail("Every connection signed in with a token that Microsoft's stand-in issued.")

    async def _furnish(self, added: dialogs.Step) -> None:
        """Add what goes with the account that was added."""
        detail(f"Added: {added['title']}")
        step("Adding a recipient, which the dialog offers next")
        flow_id = added["next_flow"][1]
        await dialogs.add_recipient(
            self._api, flow_id, {"name": "Family", "recipients": list(FAMILY)}
        )
        detail(f"Added: Family, {', '.join(FAMILY)}")
        picture = self._home.folder / "media" / "front-door.jpg"
        await dialogs.add_camera(self._api, "Front door", str(picture))
        await self._wait_for_state(TO_FAMILY, "unknown")

    async def send(self) -> None:
        """Send a mail in each of the three ways, and check each one that arrives."""
        step("Sending with notify.send_message, to the recipient")
        mail = await self._sent(
            "notify.send_message",
            {"entity_id": TO_FAMILY, "title": "Washing machine", "message": "It is done. Grüße!"},
        )
        _expect(mail, ("anna@example.com", "bert@example.com"), "Washing machine", "Grüße!")

        step(f"Sending with {TO_MYSELF}, as old automations do")
        mail = await self._sent(
            TO_MYSELF,
            {"title": "Water", "message": "There is a leak.", "target": ["carl@example.com"]},
        )
        _expect(mail, ("carl@example.com",), "Water", "There is a leak.")

        step("Sending with outlook_smtp.send_message: a camera's picture, a blind copy")
        mail = await self._sent(
            "outlook_smtp.send_message",
            {
                "entity_id": TO_FAMILY,
                "bcc": "carl@example.com",
                "title": "Front door",
                "html": '<h1>Somebody rang</h1><img src="cid:door" alt="Front door">',
                "attachments": [
                    {
                        "media_source": "media-source://camera/camera.front_door",
                        "content_id": "door",
                    }
                ],
                "priority": "high",
            },
            respond=True,
        )
        everybody = ("anna@example.com", "bert@example.com", "carl@example.com")
        _expect(mail, everybody, "Front door", "Somebody rang")
        _expect_picture(mail)

    async def survive_outage(self) -> None:
        """Send while the server is away, and see the mail arrive when it is back."""
        step("Stopping the mail server, and sending all the same")
        before = len(self._standin.received)
        await asyncio.to_thread(self._standin.stop)
        response = await self._api.call(
            "outlook_smtp.send_message",
            {"entity_id": TO_FAMILY, "title": "Heating", "message": "It is getting cold."},
            respond=True,
        )
        if response["status"] != "queued":
            raise DemoError(f"A mail to a server that is away is not queued: {response}")
        detail(f"Response: {response['status']}, for {response['reply']}")
        show_state(await self._wait_for_state(OUTBOX, "1"))

        step("Starting the mail server, and sending what waits")
        await asyncio.to_thread(self._standin.start)
        await self._api.call("outlook_smtp.flush_outbox", {})
        [mail] = (await self._standin.async_wait_for_mail(before + 1))[before:]
        show_mail(mail)
        _expect(mail, ("anna@example.com", "bert@example.com"), "Heating", "It is getting cold.")
        await self._wait_for_state(OUTBOX, "0")

    async def see_connection(self) -> None:
        """Wait until the sensor says that mail works."""
        step("Reading the connection sensor")
        show_state(await self._wait_for_state(SENSOR, "on"))

    async def _sent(self, action: str, data: dict[str, Any], *, respond: bool = False) -> Received:
        """Call an action, and return the one mail that it makes the stand-in receive."""
        before = len(self._standin.received)
        response = await self._api.call(action, data, respond=respond)
        mails = (await self._standin.async_wait_for_mail(before + 1))[before:]
        show_mail(mails[0])
        if response:
            detail(f"Response: {response}")
        if len(mails) != 1 or (response and response["status"] != "sent"):
            raise DemoError(f"{action} sent {len(mails)} mails and said: {response}")
        return mails[0]

    async def _wait_for_state(self, entity_id: str, wanted: str) -> dict[str, Any]:
        """Wait until an entity has a state."""
        state: dict[str, Any] | None = None
        try:
            async with asyncio.timeout(STATE_TIMEOUT):
                while state is None or state["state"] != wanted:
                    states = {
                        item["entity_id"]: item for item in await self._api.get("/api/states")
                    }
                    state = states.get(entity_id)
                    await asyncio.sleep(LOOK_EVERY)
        except TimeoutError:
            raise DemoError(f"{entity_id} does not become {wanted}: {state}") from None
        return state


def _expect(mail: Received, recipients: tuple[str, ...], title: str, text: str) -> None:
    """Complain unless a mail goes to the right people and says the right thing."""
    body = mail.message.get_body(("plain",))
    found = (mail.sender, mail.recipients, mail.message["Subject"], mail.tls_version[:4])
    wanted = (ADDRESS, recipients, title, "TLSv")
    if found != wanted:
        raise DemoError(f"The mail that arrived is not the one sent: {found}, not {wanted}.")
    if body is None or text not in body.get_content():
        raise DemoError(f"The mail that arrived does not say “{text}”.")


def _expect_picture(mail: Received) -> None:
    """Complain unless the picture is shown in the mail and the blind copy stayed blind."""
    pictures = [part for part in mail.message.walk() if part.get_content_type() == "image/jpeg"]
    if [part["Content-ID"] for part in pictures] != ["<door>"]:
        raise DemoError("The camera's picture is not in the mail.")
    if b"carl" in mail.content:
        raise DemoError("The mail names the recipient of a blind copy.")
