"""Fixtures: the fake identity platform, without Home Assistant."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import aiohttp
import pytest

from custom_components.outlook_smtp.auth import device_code, tokens
from custom_components.outlook_smtp.auth.application import Application
from custom_components.outlook_smtp.auth.clouds import CLOUDS, WORLDWIDE, Cloud, Resource
from custom_components.outlook_smtp.auth.endpoint import post
from custom_components.outlook_smtp.auth.tokens import Token, TokenManager
from tests.conftest import ADDRESS, PASSWORD
from tests.fake_microsoft import FakeServer, Identity

CALLERS = 20
SMTP, GRAPH = Resource.SMTP, Resource.GRAPH

type SignIn = Callable[[Resource], Awaitable[Token]]
type Start = Callable[[Token], TokenManager]


def cloud_at(authority: str) -> Cloud:
    """Return the worldwide cloud with another address for signing in."""
    return replace(CLOUDS[WORLDWIDE], authority=authority)


@pytest.fixture
def fake_server(socket_enabled: None) -> Iterator[FakeServer]:
    """Run a fake server with one mailbox."""
    with FakeServer() as server:
        server.add_mailbox(ADDRESS, PASSWORD)
        yield server


@pytest.fixture
def identity(fake_server: FakeServer) -> Iterator[Identity]:
    """Run the identity platform for the accounts of the fake server."""
    with Identity(fake_server) as platform:
        yield platform


@pytest.fixture
def application(identity: Identity) -> Application:
    """Return the app registration that the platform knows, without its secret."""
    return Application(identity.client_id, cloud=cloud_at(identity.authority))


@pytest.fixture
async def http(socket_enabled: None) -> AsyncIterator[aiohttp.ClientSession]:
    """Provide an HTTP session."""
    async with aiohttp.ClientSession() as session:
        yield session


class Pauses(list[float]):
    """Instant pauses between polls, and what happens during each."""

    def __init__(self) -> None:
        """Start with nothing to happen."""
        self.events: dict[int, Callable[[], None]] = {}

    async def sleep(self, seconds: float) -> None:
        """Record a pause, and run what should happen during it."""
        self.append(seconds)
        await asyncio.sleep(0)
        self.events.get(len(self), lambda: None)()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Pauses:
    """Make pauses between polls instant."""
    pauses = Pauses()
    fake = SimpleNamespace(sleep=pauses.sleep, timeout=asyncio.timeout)
    monkeypatch.setattr(device_code, "asyncio", fake)
    return pauses


class Clock:
    """The clock of a test."""

    def __init__(self) -> None:
        """Start on some day in 2026."""
        self.now = 1_790_000_000.0

    def time(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Let the test set the time."""
    clock = Clock()
    monkeypatch.setattr(tokens, "time", clock)
    return clock


class Disk:
    """Token storage that is fast, slow or broken."""

    def __init__(self) -> None:
        """Start empty, fast and working."""
        self.tokens: list[Token] = []
        self.error: Exception | None = None
        self.ready = asyncio.Event()
        self.ready.set()
        self.asked = asyncio.Event()

    async def store(self, token: Token) -> None:
        """Store a token as soon as the disk is ready."""
        self.asked.set()
        await self.ready.wait()
        if self.error:
            raise self.error
        self.tokens.append(token)


@pytest.fixture
def disk() -> Disk:
    """Return an empty disk."""
    return Disk()


async def sign_in(
    http: aiohttp.ClientSession,
    application: Application,
    identity: Identity,
    resource: Resource,
    address: str = ADDRESS,
) -> Token:
    """Let a person sign in for a resource with a code, without waiting."""
    code = await device_code.request_code(http, application, resource)
    identity.approve(code.user_code, address)
    form = {"grant_type": device_code.GRANT, "device_code": code.device_code}
    return Token.from_answer(await post(http, application, "token", form), resource=resource)


@pytest.fixture
def sign_in_for(
    http: aiohttp.ClientSession, application: Application, identity: Identity, clock: Clock
) -> SignIn:
    """Return what lets the person sign in for a resource."""
    return partial(sign_in, http, application, identity)


@pytest.fixture
async def token(sign_in_for: SignIn, identity: Identity) -> Token:
    """Sign in."""
    token = await sign_in_for(SMTP)
    identity.requests.clear()
    return token


@pytest.fixture
def start(http: aiohttp.ClientSession, application: Application, disk: Disk) -> Start:
    """Return what starts a manager with a token."""
    endpoint = partial(post, http, application, "token")
    return lambda token: TokenManager(token, endpoint, disk.store)


@pytest.fixture
def manager(token: Token, start: Start) -> TokenManager:
    """Return the manager of a new token."""
    return start(token)
