"""One Home Assistant and one browser for all tests, and accounts for each test."""

from collections.abc import Iterator
import json
import os
from pathlib import Path
import signal
import time
from typing import Any, Final

from playwright.sync_api import Browser, BrowserContext, Page, Playwright
import pytest

from tests.fake_microsoft import FakeGraph, FakeServer, Script
from tests.live_home_assistant import LiveHomeAssistant, complaints

from .accounts import (
    OTHER,
    OTHER_PASSWORD,
    OWN,
    OWN_PASSWORD,
    SMTP_OFF,
    WITHOUT_SMTP,
    IdentityPlatform,
    add_with_password,
)
from .api import START_TIMEOUT, Api, Tokens, make_user, until
from .page_checks import REPORT_REJECTIONS, PageChecks
from .screenshots import Screenshots
from .ui import Ui

DOCUMENTATION: Final = Path(__file__).parents[2] / "docs" / "pictures"
SUSPICION: Final = 5.0  # Seconds until a server that was down must be used again; usually a minute.
CHROMIUM_ARGUMENTS: Final = (
    "--no-sandbox",  # Chromium has no sandbox for root.
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Nothing comes from the internet. To block it in Playwright instead turns off the cache.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
# Painting the page behind a dialog darker is a quarter of all processor time here.
LIGHT_BACKDROP: Final = """{
  const style = new CSSStyleSheet();
  style.replaceSync("html { --ha-dialog-scrim-backdrop-filter: none !important; }");
  document.adoptedStyleSheets.push(style);
}"""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of scripts/e2e."""
    parser.addoption(
        "--pictures", action="store_true", help="take the documentation's pictures again"
    )


def pytest_configure() -> None:
    """End on every signal as on Ctrl-C, so that Home Assistant ends, too."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)


@pytest.fixture(scope="session")
def output(pytestconfig: pytest.Config, delete_output_dir: None) -> Path:
    """Return the folder that keeps everything until the next run."""
    return Path(pytestconfig.getoption("--output")).absolute()


# The servers


@pytest.fixture(scope="session")
def running_mail_server() -> Iterator[FakeServer]:
    """Run the submission server."""
    with FakeServer() as server:
        server.add_mailbox(OWN, OWN_PASSWORD)
        server.add_mailbox(OTHER, OTHER_PASSWORD)
        server.add_mailbox(WITHOUT_SMTP, OTHER_PASSWORD, script=SMTP_OFF)
        yield server


@pytest.fixture
def mail_server(running_mail_server: FakeServer) -> Iterator[FakeServer]:
    """Return the submission server, with normal behavior and no messages."""
    running_mail_server.received.clear()
    yield running_mail_server
    running_mail_server.script = Script()


@pytest.fixture(scope="session")
def identity(running_mail_server: FakeServer) -> Iterator[IdentityPlatform]:
    """Run the identity platform."""
    with IdentityPlatform(running_mail_server) as platform:
        platform.interval = 1
        yield platform


@pytest.fixture(scope="session")
def running_graph(identity: IdentityPlatform) -> Iterator[FakeGraph]:
    """Run Microsoft Graph for those who sign in with the identity platform."""
    with FakeGraph() as server:
        server.access_tokens = identity.access_tokens
        yield server


@pytest.fixture
def graph(running_graph: FakeGraph) -> FakeGraph:
    """Return Microsoft Graph, with no messages."""
    running_graph.received.clear()
    return running_graph


# Home Assistant


@pytest.fixture(scope="session")
def home_assistant(
    output: Path,
    running_mail_server: FakeServer,
    running_graph: FakeGraph,
    identity: IdentityPlatform,
) -> Iterator[LiveHomeAssistant]:
    """Run Home Assistant; at the end, its log must be clean."""
    home = LiveHomeAssistant(
        output / "home",
        running_mail_server.ca_file,
        authority=identity.address,
        smtp_port=running_mail_server.port,
        graph=running_graph.base_url,
        repeat_after=SUSPICION,
    )
    home.write_configuration()
    home.start()
    yield home
    home.stop()
    assert complaints(home.log.read_text()) == []


@pytest.fixture(scope="session")
def tokens(playwright: Playwright, home_assistant: LiveHomeAssistant) -> Tokens:
    """Create the user, and sign in."""
    return make_user(playwright, home_assistant.url, "demo")


@pytest.fixture(scope="session")
def api(playwright: Playwright, base_url: str, tokens: Tokens) -> Api:
    """Return the API of a Home Assistant that has started completely."""
    signed_in = {"Authorization": f"Bearer {tokens['access_token']}"}
    api = Api(
        playwright.request.new_context(
            base_url=base_url, extra_http_headers=signed_in, fail_on_status_code=True
        )
    )
    until(
        lambda: api.get("/api/config")["state"] == "RUNNING",
        lambda: "Home Assistant does not come up.",
        START_TIMEOUT,
    )
    return api


@pytest.fixture(autouse=True)
def clean_log(home_assistant: LiveHomeAssistant) -> Iterator[None]:
    """Fail a test if Home Assistant logs an error or ends during it."""
    before = len(complaints(home_assistant.log.read_text()))
    yield
    assert complaints(home_assistant.log.read_text())[before:] == []
    assert home_assistant.is_running, f"Home Assistant ended. Its log: {home_assistant.log}"


# Accounts


@pytest.fixture(autouse=True)
def no_accounts(api: Api, mail_server: FakeServer) -> Iterator[None]:
    """Remove the accounts that a test leaves."""
    yield
    api.remove_accounts()


@pytest.fixture
def account(api: Api, mail_server: FakeServer, no_accounts: None) -> str:
    """Add the dashboard's account, with a password, and return its entry ID."""
    return add_with_password(api, mail_server)


@pytest.fixture(scope="session")
def camera(api: Api, home_assistant: LiveHomeAssistant) -> None:
    """Add the dashboard's camera, named after its file."""
    picture = home_assistant.folder / "media" / "front-door.jpg"
    step = api.start_flow("local_file", {"file_path": str(picture)})
    assert step["type"] == "create_entry", step
    api.wait_for_state("camera.front_door", "idle")


# The browser


@pytest.fixture(scope="session")
def base_url(home_assistant: LiveHomeAssistant) -> str:
    """Return Home Assistant's URL."""
    return home_assistant.url


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Use the browser that scripts/e2e found."""
    return browser_type_launch_args | {
        "executable_path": os.environ["CHROMIUM"],
        "args": CHROMIUM_ARGUMENTS,
    }


@pytest.fixture(scope="session")
def browser_context_args(
    browser_context_args: dict[str, Any],
    base_url: str,
    tokens: Tokens,
    pytestconfig: pytest.Config,
) -> dict[str, Any]:
    """Open pages that are signed in and independent of the machine."""
    expires = (time.time() + tokens["expires_in"]) * 1000
    stored = json.dumps(tokens | {"expires": expires})
    return browser_context_args | {
        # Wide enough for the sidebar, high enough for the longest dialog.
        "viewport": {"width": 1100, "height": 1000},
        "device_scale_factor": 2 if pytestconfig.getoption("--pictures") else 1,
        "color_scheme": "light",
        "reduced_motion": "reduce",
        "locale": "en-GB",
        "timezone_id": "Europe/London",
        "service_workers": "block",
        "storage_state": {
            "cookies": [],
            "origins": [
                {"origin": base_url, "localStorage": [{"name": "hassTokens", "value": stored}]}
            ],
        },
    }


@pytest.fixture(scope="session")
def signed_in_context(
    browser: Browser, browser_context_args: dict[str, Any]
) -> Iterator[BrowserContext]:
    """Open one context for all tests: each new one would load and compile the whole UI again."""
    with browser.new_context(**browser_context_args) as context:
        context.add_init_script(REPORT_REJECTIONS)
        context.add_init_script(LIGHT_BACKDROP)
        yield context


@pytest.fixture
def context(
    request: pytest.FixtureRequest, signed_in_context: BrowserContext, output_path: str
) -> Iterator[BrowserContext]:
    """Take a screenshot of a failed test, record a trace with --tracing, and close its page.

    The plugin would also record every test on video, which takes 50 % longer.
    """
    tracing = signed_in_context.tracing
    is_traced = request.config.getoption("--tracing") != "off"
    if is_traced:
        tracing.start(snapshots=True, sources=True)
    yield signed_in_context
    call = getattr(request.node, "rep_call", None)  # The plugin's; missing if the set-up failed.
    has_failed = not call or call.failed
    for page in signed_in_context.pages if has_failed else ():
        page.screenshot(path=Path(output_path) / "failed.png")
        page.close()
    if is_traced:
        tracing.stop(path=Path(output_path) / "trace.zip" if has_failed else None)


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """Continue with the page of the previous test: a new one would load the whole UI again."""
    return context.pages[0] if context.pages else context.new_page()


@pytest.fixture
def ui(page: Page, api: Api, base_url: str) -> Iterator[Ui]:
    """Return a page of Home Assistant, with a final check after the test."""
    with PageChecks(page, base_url).watching() as checks:
        yield Ui(page, checks)
        checks.require_none()


@pytest.fixture
def screenshots(
    page: Page, mail_server: FakeServer, output: Path, pytestconfig: pytest.Config
) -> Screenshots:
    """Return the folders for screenshots."""
    documentation = DOCUMENTATION if pytestconfig.getoption("--pictures") else None
    names = {mail_server.host: "smtp-mail.outlook.com"}
    return Screenshots(page, output / "pictures", names, documentation)
