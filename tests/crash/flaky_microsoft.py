"""Both routes of one account, at fakes that fail at random, and where people sign in."""

from contextlib import ExitStack
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Final, Self

from homeassistant.const import (
    CONF_CLIENT_ID,
    CONF_EMAIL,
    CONF_HOST,
    CONF_PASSWORD,
    CONF_PORT,
    CONF_TOKEN,
)

from custom_components.outlook_smtp.auth.clouds import CLOUDS, WORLDWIDE, Resource
from custom_components.outlook_smtp.auth.tokens import Token
from custom_components.outlook_smtp.const import (
    CONF_ACCOUNT_KIND,
    CONF_ROUTE,
    CONF_SECURITY,
    CONF_TENANT,
)
from custom_components.outlook_smtp.smtp.settings import AccountKind, Security
from tests.conftest import ADDRESS, PASSWORD
from tests.fake_microsoft import Identity, Received
from tests.fake_microsoft.identity_device_flow import DEVICE_GRANT

from .flaky_graph import FlakyGraph
from .flaky_server import FlakyServer

TENANT: Final = "common"


class FlakyMicrosoft:
    """A submission server, Microsoft Graph and the identity platform, with one mailbox."""

    def __init__(self, chances: Random) -> None:
        """Start with normal behavior."""
        self.smtp = FlakyServer(Random(chances.random()))  # noqa: S311
        self.smtp.add_mailbox(ADDRESS, PASSWORD)
        self.identity = Identity(self.smtp)
        # A process that dies before it has stored a new refresh token must use the old one again:
        # Microsoft does not revoke it (https://learn.microsoft.com/entra/identity-platform/refresh-tokens).
        self.identity.strict_rotation = False
        owners = self.identity.access_tokens[Resource.GRAPH]
        self.graph = FlakyGraph(Random(chances.random()), owners)  # noqa: S311
        self._running = ExitStack()

    def __enter__(self) -> Self:
        """Start all."""
        for server in (self.smtp, self.identity, self.graph):
            self._running.enter_context(server)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop all."""
        self._running.close()

    @property
    def ca_file(self) -> Path:
        """Return the PEM file of their CA."""
        return self.smtp.ca_file

    @property
    def cloud(self) -> dict[str, str]:
        """Return the addresses that replace those of Microsoft's cloud."""
        return {"authority": self.identity.authority, "graph": self.graph.base_url}

    @property
    def received(self) -> list[Received]:
        """Return everything accepted, over any route, in order."""
        return sorted([*self.smtp.received, *self.graph.received], key=lambda mail: mail.at)

    def behave(self, trouble: float = 0.0, refuses: dict[str, str] | None = None) -> None:
        """Fail in this share of cases from now on, and refuse these recipients permanently."""
        for server in (self.smtp, self.graph):
            server.trouble, server.refuses = trouble, refuses

    def wait_for_silence(self) -> None:
        """Let nothing arrive anymore that a dead process has sent."""
        self.smtp.wait_for_silence()
        self.graph.wait_for_silence()

    def account(self, route: Resource, *, signed_in: bool) -> dict[str, Any]:
        """Return the data of a config entry that sends over a route."""
        credentials = self._sign_in() if signed_in else {CONF_PASSWORD: PASSWORD}
        return credentials | {
            CONF_ACCOUNT_KIND: AccountKind.PERSONAL.value,
            CONF_EMAIL: ADDRESS,
            CONF_HOST: "127.0.0.1",
            CONF_PORT: self.smtp.port,
            CONF_SECURITY: Security.STARTTLS.value,
            CONF_ROUTE: route.value,
        }

    def _sign_in(self) -> dict[str, Any]:
        """Sign in with a code for each resource, as moving to another route asks for a second."""
        client = {CONF_CLIENT_ID: self.identity.client_id}
        for resource in Resource:
            scope = {"scope": CLOUDS[WORLDWIDE].scope(resource)}
            code = self.identity.device_code(TENANT, client | scope)
            self.identity.approve(code["user_code"], ADDRESS)
            form = client | {"grant_type": DEVICE_GRANT, "device_code": code["device_code"]}
            answer = self.identity.token(TENANT, form, None)
            token = Token.from_answer(answer, resource=resource)
        return client | {CONF_TENANT: TENANT, CONF_TOKEN: token.as_dict()}
