"""Shared fixtures: a fake of Microsoft's server, and an account on it."""

import asyncio
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
import gc
import inspect
import logging
import os
from pathlib import Path
import time
from types import MappingProxyType
from typing import Any

from homeassistant.config_entries import ConfigSubentry
from homeassistant.const import (
    CONF_CLIENT_ID,
    CONF_EMAIL,
    CONF_HOST,
    CONF_PASSWORD,
    CONF_PORT,
    CONF_TOKEN,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.storage import STORAGE_DIR
from homeassistant.util.ssl import get_default_context
from hypothesis import settings
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.outlook_smtp import token_store
from custom_components.outlook_smtp.auth.clouds import CLOUDS, WORLDWIDE, Resource
from custom_components.outlook_smtp.auth.device_code import await_sign_in, request_code
from custom_components.outlook_smtp.auth.tokens import Token
from custom_components.outlook_smtp.const import (
    CONF_ACCOUNT_KIND,
    CONF_RECIPIENTS,
    CONF_ROUTE,
    CONF_SECURITY,
    CONF_TENANT,
    DOMAIN,
    SUBENTRY_RECIPIENT,
)
from custom_components.outlook_smtp.outbox.schedule import RateLimiter
from custom_components.outlook_smtp.smtp.settings import SERVERS, AccountKind, Security, Server

from .fake_microsoft import FakeGraph, FakeServer, Identity
from .fake_microsoft.certificates import authority

ADDRESS = "me@outlook.com"
PASSWORD = "right-password"
LONG_FILES = {"test_crash.py", "test_sign_in_secrets.py", "test_whole.py"}
LONGEST_NAME = 200  # Of what one input contributes to the name of a test.

# An example takes as long as the machine is busy.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

collect_ignore = ["e2e"]  # These need a browser: scripts/e2e runs them, with their own fixtures.


def pytest_configure() -> None:
    """Keep Home Assistant from logging what it does: 50 records for each account cost 3 ms."""
    logging.getLogger("homeassistant").setLevel(logging.WARNING)


def pytest_xdist_auto_num_workers() -> int:
    """Start 50 % more workers than processors: tests wait for a third of the time."""
    return (os.process_cpu_count() or 1) * 3 // 2


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no worker is left alone with it in the end.

    The files of one long test come first, then those with the most tests.
    """
    tests = Counter(item.path for item in items)
    items.sort(key=lambda item: (item.path.name not in LONG_FILES, -tests[item.path]))


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a test by the length of a long input: a name of 10 MB costs seconds each time.

    Args:
        val: The input.
        argname: The name of the argument that it is for.
    """
    if isinstance(val, str | bytes) and len(val) > LONGEST_NAME:
        return f"{argname} of {len(val)}"
    return None


def pytest_collection_finish() -> None:
    """Exempt what exists before the first test from garbage collection, which the plugin forces."""
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Escape lone surrogates in log output: a worker cannot send them to its supervisor."""
    report = yield
    report.sections = [
        (name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections
    ]
    return report


async def until(condition: Callable[[], object]) -> None:
    """Wait in real time for the network or a thread, without blocking it."""
    for _ in range(10_000):
        if condition():
            return
        await asyncio.to_thread(time.sleep, 0.001)
    pytest.fail("The condition was not met within 10 s")


@pytest.fixture
async def loop_with_thread_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reduce asyncio's debug mode, which the plugin enables, to its thread check.

    The rest takes a stack trace for each future and callback: half of the total test time.
    """
    loop = asyncio.get_running_loop()

    def checked[**P, T](plan: Callable[P, T]) -> Callable[P, T]:
        """Reject calls from any other thread than the loop's."""

        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            """Schedule a callback."""
            loop._check_thread()  # type: ignore[attr-defined] # What debug mode calls, too.
            return plan(*args, **kwargs)

        return call

    for name in ("call_soon", "call_at"):
        monkeypatch.setattr(loop, name, checked(getattr(loop, name)))


def _has_home_assistant(request: pytest.FixtureRequest) -> bool:
    """Return whether a test starts Home Assistant."""
    return "hass" in request.fixturenames


def _has_event_loop(request: pytest.FixtureRequest) -> bool:
    """Return whether a test runs in an event loop, whose start costs more than most other tests."""
    return _has_home_assistant(request) or inspect.iscoroutinefunction(request.function)


def _only_if(
    needed: Callable[[pytest.FixtureRequest], bool], name: str, *, uses: str = ""
) -> Callable[..., None]:
    """Return an override of one of the plugin's autouse fixtures, for the tests that need it.

    Args:
        needed: Tells whether a test needs it.
        name: The name of the plugin's fixture.
        uses: The fixture to use instead.
    """

    def override(request: pytest.FixtureRequest) -> None:
        """Use the fixture if the test needs it."""
        if needed(request):
            request.getfixturevalue(uses or name)

    return pytest.fixture(autouse=True, name=name)(override)


_debug = _only_if(_has_event_loop, "enable_event_loop_debug", uses="loop_with_thread_check")
_loop = _only_if(_has_event_loop, "configure_event_loop")
_cleanup = _only_if(_has_event_loop, "verify_cleanup")
_no_server = _only_if(_has_home_assistant, "disable_http_server")
_no_scripts = _only_if(_has_home_assistant, "skip_stop_scripts")


@pytest.fixture(autouse=True, scope="session")
def _authority() -> None:
    """Create the test CA now: a certificate cannot be made while a test has frozen the time."""
    authority()


@pytest.fixture(autouse=True)
def _custom_integrations(request: pytest.FixtureRequest) -> None:
    """Let Home Assistant load the integration in tests that have one."""
    if _has_home_assistant(request):
        request.getfixturevalue("enable_custom_integrations")


@pytest.fixture
def fake_server(socket_enabled: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """Run a fake server with one mailbox in place of Microsoft's servers, and trust it."""
    with FakeServer() as server:
        server.add_mailbox(ADDRESS, PASSWORD)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server.ca_file))
        for kind in (AccountKind.PERSONAL, AccountKind.WORK):
            monkeypatch.setitem(SERVERS, kind, Server("127.0.0.1", server.port))
        yield server


@pytest.fixture
def account_data(fake_server: FakeServer) -> dict[str, Any]:
    """Return the data of a config entry for the fake server's mailbox."""
    return {
        CONF_ACCOUNT_KIND: AccountKind.PERSONAL.value,
        CONF_EMAIL: ADDRESS,
        CONF_PASSWORD: PASSWORD,
        CONF_HOST: "127.0.0.1",
        CONF_PORT: fake_server.port,
        CONF_SECURITY: Security.STARTTLS.value,
    }


@pytest.fixture
def entry(hass: HomeAssistant, storage: Path, account_data: dict[str, Any]) -> MockConfigEntry:
    """Return a config entry, not yet set up, with one recipient with two addresses."""
    entry = MockConfigEntry(
        domain=DOMAIN,
        title=ADDRESS,
        unique_id=ADDRESS,
        data=account_data,
        subentries_data=[
            ConfigSubentry(
                data=MappingProxyType(
                    {CONF_RECIPIENTS: ["anna@example.com", "Bert <bert@example.com>"]}
                ),
                subentry_type=SUBENTRY_RECIPIENT,
                title="Family",
                unique_id=None,
            ).as_dict()
        ],
    )
    entry.add_to_hass(hass)
    return entry


@pytest.fixture
def no_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let any number of messages go in a minute: one account serves many examples in a test."""
    monkeypatch.setattr(RateLimiter, "take", lambda _rate_limiter, _now: None)


@pytest.fixture
async def account(hass: HomeAssistant, entry: MockConfigEntry) -> MockConfigEntry:
    """Return a config entry that is set up and has completed its first check."""
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    return entry


@pytest.fixture
def storage(hass: HomeAssistant, tmp_path: Path) -> Path:
    """Return Home Assistant's storage folder for this test."""
    hass.config.config_dir = str(tmp_path)
    folder = tmp_path / STORAGE_DIR
    folder.mkdir()
    return folder


@pytest.fixture
def identity(
    fake_server: FakeServer, storage: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Identity]:
    """Run the identity platform for the fake server's mailboxes in place of Microsoft's."""
    with Identity(fake_server) as platform:
        platform.interval = 0.01
        cloud = replace(CLOUDS[WORLDWIDE], authority=platform.authority)
        monkeypatch.setitem(CLOUDS, WORLDWIDE, cloud)
        yield platform


@pytest.fixture
def graph(identity: Identity, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGraph]:
    """Run Microsoft Graph for the accounts of the identity platform, in all of Microsoft's clouds.

    Home Assistant trusts it for as long as this process runs: its HTTP session may exist already.
    """
    get_default_context().load_verify_locations(identity.fake_server.ca_file)
    with FakeGraph() as server:
        server.access_tokens = identity.access_tokens
        for name, cloud in CLOUDS.items():
            monkeypatch.setitem(
                CLOUDS,
                name,
                replace(
                    cloud,
                    authority=identity.authority,
                    graph=server.base_url,
                    smtp_host="127.0.0.1",
                ),
            )
        yield server


async def new_token(
    hass: HomeAssistant,
    identity: Identity,
    address: str = ADDRESS,
    *,
    resource: Resource = Resource.SMTP,
) -> Token:
    """Sign in with a code, and return the token."""
    http = async_get_clientsession(hass)
    application = token_store.build_application(identity.client_id, "common")
    code = await request_code(http, application, resource)
    identity.approve(code.user_code, address)
    return Token.from_answer(await await_sign_in(http, application, code), resource=resource)


@pytest.fixture
async def signed_in(
    hass: HomeAssistant, entry: MockConfigEntry, identity: Identity
) -> MockConfigEntry:
    """Return the config entry, not yet set up, after a sign-in with a code."""
    data = {key: value for key, value in entry.data.items() if key != CONF_PASSWORD} | {
        CONF_CLIENT_ID: identity.client_id,
        CONF_TENANT: "common",
        CONF_TOKEN: (await new_token(hass, identity)).as_dict(),
    }
    hass.config_entries.async_update_entry(entry, data=data)
    identity.requests.clear()
    return entry


@pytest.fixture
async def graph_account(
    hass: HomeAssistant, signed_in: MockConfigEntry, identity: Identity, graph: FakeGraph
) -> MockConfigEntry:
    """Return a config entry that sends through Microsoft Graph, and is set up."""
    token = await new_token(hass, identity, resource=Resource.GRAPH)
    data = {**signed_in.data, CONF_ROUTE: Resource.GRAPH.value, CONF_TOKEN: token.as_dict()}
    hass.config_entries.async_update_entry(signed_in, data=data)
    identity.requests.clear()
    assert await hass.config_entries.async_setup(signed_in.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    return signed_in


@pytest.fixture
async def signed_in_account(hass: HomeAssistant, signed_in: MockConfigEntry) -> MockConfigEntry:
    """Return a config entry that signed in, is set up, and has completed its first check."""
    assert await hass.config_entries.async_setup(signed_in.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    return signed_in
