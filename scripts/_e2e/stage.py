"""What the scenes play on: the browser's page, Home Assistant, and Microsoft's stand-ins."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, override

from scripts._demo.api import LOOK_EVERY, Api
from scripts._demo.console import DemoError
from scripts._demo.home import Home
from tests.standin import CATALOGUE, Identity, Received, Script, StandIn

from .pictures import Album
from .screen import Screen

INTEGRATION: Final = "/config/integrations/integration/outlook_smtp"
ADD: Final = "/config/integrations/dashboard/add?domain=outlook_smtp"
TOOLS: Final = "/config/tools/action?service="
DASHBOARD: Final = "/mail-demo/0"
PATIENCE: Final = 20.0  # Seconds until something that is awaited has to have happened.
# Long enough to see the dialog sign in; Microsoft's is five.
REFUSAL_DELAY: Final = 2.0  # Seconds.

OWN: Final = "demo@outlook.com"  # The account that the dashboard shows; it begins with a password.
OWN_PASSWORD: Final = "app-password"
OTHER: Final = "alex@outlook.com"  # The account that signs in with a code from the beginning.

_ROWS: Final = {row.name: row for row in CATALOGUE}


class FrontDoor(Identity):
    """A stand-in for Microsoft's sign-in that leads people to the page that is Microsoft's.

    Nobody goes there: the scenes approve the codes themselves.
    """

    @property
    @override
    def authority(self) -> str:
        """Return the address that people read."""
        return "https://login.microsoft.com"

    @property
    def address(self) -> str:
        """Return the address that programs use."""
        return super().authority


@dataclass(frozen=True, kw_only=True)
class Stage:
    """All that a scene uses."""

    screen: Screen
    album: Album
    api: Api
    home: Home
    standin: StandIn
    identity: FrontDoor

    def behave(self, row: str | None = None) -> None:
        """Let the mail server refuse in the words of a row of the catalogue, or behave again."""
        if row is None:
            self.standin.script = Script()
            return
        replies = {_ROWS[row].step: _ROWS[row].reply}
        self.standin.script = Script(replies=replies, refusal_delay=REFUSAL_DELAY)

    async def receive(self, before: int) -> Received:
        """Return the mail that is the first after so many."""
        return (await self.standin.async_wait_for_mail(before + 1, PATIENCE))[before]

    async def approve(self, address: str) -> None:
        """Sign in on Microsoft's page, with the code that a dialog shows."""
        [code] = self.identity.user_codes
        await self.screen.see(code)
        self.identity.approve(code, address)

    async def wait_for_state(self, entity_id: str, wanted: str | None) -> None:
        """Wait until an entity has a state, or none because it is gone."""
        state = None

        async def is_so() -> bool:
            """Ask Home Assistant."""
            nonlocal state
            states = {
                item["entity_id"]: item["state"] for item in await self.api.get("/api/states")
            }
            state = states.get(entity_id)
            return state == wanted

        await self.wait_until(
            is_so, lambda: f"{entity_id} does not become {wanted}, but is {state}."
        )

    async def wait_until(self, is_so: Callable[[], object], complaint: Callable[[], str]) -> None:
        """Wait until something is so, and complain if it does not become so."""
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    answer = is_so()
                    if await answer if asyncio.iscoroutine(answer) else answer:
                        return
                    await asyncio.sleep(LOOK_EVERY)
        except TimeoutError:
            raise DemoError(complaint()) from None


def expect_mail(mail: Received, sender: str, recipients: tuple[str, ...], title: str) -> None:
    """Complain unless a mail comes from and goes to the right people under the right title."""
    found = (mail.sender, mail.recipients, mail.message["Subject"])
    wanted = (sender, recipients, title)
    if found != wanted:
        raise DemoError(f"The mail that arrived is not the one sent: {found}, not {wanted}.")
