"""A server echoes the credentials in every reply and in many forms: they are never shown."""

from base64 import b64encode, urlsafe_b64encode
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
import html
import json
import logging
from pathlib import Path
import time
from typing import Any
from urllib.parse import quote

from homeassistant.components.repairs import DOMAIN as REPAIRS
from homeassistant.components.trace.const import DATA_TRACE
from homeassistant.const import MATCH_ALL
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.json import JSONEncoder
from homeassistant.setup import async_setup_component
from hypothesis import given, settings, strategies as st
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.components.diagnostics import (
    get_diagnostics_for_config_entry,
)
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.outlook_smtp.auth.auth_error import AuthError, read_error
from custom_components.outlook_smtp.auth.endpoint import _masked, _parse, read_seconds
from custom_components.outlook_smtp.auth.tokens import read_address
from custom_components.outlook_smtp.const import CONF_ACCOUNT_KIND, DOMAIN
from custom_components.outlook_smtp.delivery.secrets import MASK, MAX_SECRETS, Secrets
from custom_components.outlook_smtp.outbox.schedule import RateLimiter
from tests.conftest import ADDRESS, PASSWORD, until
from tests.fake_microsoft import FakeGraph, FakeServer, Identity, Misstep, Script, Step
from tests.fake_microsoft.graph_rows import GraphAnswer
from tests.helpers import ANNA, BERT, act, ask, mailer_of, outgoing

TOKEN = "EwBIA8l6BAAUs5+an/access-token_that.nobody-may.see" + "0123456789abcdef" * 12
BEGINNING = 24  # Characters of a form that reveal enough.

type Forms = dict[str, str]


def forms_of(secret: str, address: str = ADDRESS) -> Forms:
    """Return the forms in which a server may echo a secret."""
    plain, bearer = f"\0{address}\0{secret}", f"user={address}\x01auth=Bearer {secret}\x01\x01"
    encoded = {
        name: b64encode(text.encode()).decode()
        for name, text in {"base64": secret, "plain": plain, "bearer": bearer}.items()
    }
    return {
        "raw": secret,
        "upper case": secret.upper() if secret.isascii() else secret,
        "url": quote(secret, safe=""),
        "url of base64": quote(encoded["plain"], safe=""),
        "url-safe": urlsafe_b64encode(plain.encode()).decode().rstrip("="),
        "hexadecimal": secret.encode().hex(),
        "html": html.escape(secret),
        "json": json.dumps(secret)[1:-1],
        "decoded": bearer,
        "command": f"AUTH PLAIN {encoded['plain']}",
        "cut": encoded["plain"][:-5],
        "cut behind": encoded["bearer"][-60:],
        "twice": b64encode(encoded["plain"].encode()).decode(),
        **encoded,
    }


def traces_of(secret: str) -> Iterator[str]:
    """Return the texts that reveal a secret wherever they are found."""
    yield secret.lower()
    yield quote(secret, safe="").lower()
    yield secret.encode().hex()
    for before in ("", "a", "ab", f"\0{ADDRESS}\0", f"user={ADDRESS}\x01auth=Bearer "):
        size = len(before.encode())
        text = b64encode((before + secret).encode()).decode()
        own = text[-(-size * 8 // 6) : (size + len(secret)) * 8 // 6]
        yield own[:BEGINNING].lower()


@pytest.mark.parametrize("secret", [PASSWORD, TOKEN, "pässwörd&<\"'>+/ 7", "a+b/c=d%"])
def test_every_form_is_redacted(secret: str) -> None:
    """Alone, between other words, and inside a word; the words around it stay."""
    secrets = Secrets(secret, b64encode(f"\0{ADDRESS}\0{secret}".encode()).decode())
    for name, form in forms_of(secret).items():
        for text in (form, f"Unknown: {form}!", f"x\n{form}\ny", f"Go away '{form}'"):
            shown = secrets.mask(text)
            assert MASK in shown, name
            assert not [trace for trace in traces_of(secret) if trace in shown.lower()], name
        assert secrets.mask(f"Unknown: {form}").startswith("Unknown: ")


def test_ordinary_words_are_kept() -> None:
    """Words that a password has in common with them are not secret."""
    secrets = Secrets("right-password", "ok")
    text = "535 5.7.3 Wrong password for okapi, that is not right"
    assert secrets.mask(text) == text
    assert secrets.mask("250 2.0.0 ok <ok>") == f"250 2.0.0 {MASK} <{MASK}>"
    assert Secrets().mask(text) == text
    assert Secrets("", "").mask(text) == text


def test_latest_secrets_are_known() -> None:
    """Those from many hours ago are dropped, unless they are used again."""
    secrets = Secrets("the-first-one")
    for number in range(MAX_SECRETS):
        secrets.add(chr(ord("a") + number) * 12, "the-first-one")
    text = f"the-first-one {'a' * 12} {'b' * 12}"
    assert secrets.mask(text) == f"{MASK} {'a' * 12} {MASK}"


@settings(max_examples=300)
@given(st.text(min_size=4, max_size=60), st.text(max_size=30), st.text(max_size=30))
def test_any_secret_is_redacted_anywhere(secret: str, before: str, behind: str) -> None:
    """Whatever its characters, and whatever is next to it."""
    shown = Secrets(secret).mask(f"{before}\n{secret}\n{behind}")
    assert secret not in shown or secret in f"{before}\n{behind}{MASK}" or "*" in secret


@pytest.mark.parametrize("unit", ["a", "ab", TOKEN[:15] + "!", PASSWORD[:9], "\0", "="])
def test_redaction_takes_milliseconds(unit: str) -> None:
    """Whatever the text and the secret consist of."""
    for secrets in (Secrets(TOKEN, PASSWORD), Secrets(unit * (5000 // len(unit)))):
        secrets.mask("ready")
        text = unit * (100_000 // len(unit))
        times = []
        for _ in range(5):
            started = time.thread_time()
            secrets.mask(text)
            times.append(time.thread_time() - started)
        assert min(times) < 0.02


# Microsoft's identity platform


@pytest.mark.parametrize("name", ["error", "error_description"])
@pytest.mark.parametrize("field", ["refresh_token", "client_secret", "code", "device_code"])
def test_response_of_microsoft_is_redacted(name: str, field: str) -> None:
    """Neither what was sent, in whatever form, nor a token that comes with the refusal."""
    for form in (form for way, form in forms_of(TOKEN).items() if way != "twice"):
        error = read_error(_masked({name: f"What is {form}?"}, {field: TOKEN}))
        assert not [trace for trace in traces_of(TOKEN) if trace in str(error).lower()]
        assert MASK in f"{error.code} {error.description}"
    sent = _masked({name: f"No {TOKEN}", "access_token": TOKEN}, {})
    assert sent[name] == f"No {MASK}"


def test_invalid_json_from_microsoft_is_harmless() -> None:
    """Nested too deeply, or with numbers too large, it counts as invalid."""
    assert _parse(b"[" * 200_000) is None
    with pytest.raises(AuthError):
        read_seconds({"expires_in": 10**400}, "expires_in")
    deep = b64encode(b'{"a":' + b"[" * 100_000).decode().rstrip("=")
    with pytest.raises(AuthError):
        read_address({"id_token": f"e30.{deep}.x"})


# Home Assistant


class Reader:
    """Reads everything that Home Assistant writes, shows or responds."""

    def __init__(self, hass: HomeAssistant, folder: Path, log: pytest.LogCaptureFixture) -> None:
        """Listen to every event."""
        self._hass, self._folder, self._log = hass, folder, log
        self.read: list[str] = []
        hass.bus.async_listen(MATCH_ALL, self._note)

    @callback
    def _note(self, event: Event[Any]) -> None:
        """Read an event; changes of states and issues are events."""
        self.note(event.as_dict())

    def note(self, thing: object) -> None:
        """Read what is shown."""
        self.read.append(json.dumps(thing, cls=JSONEncoder, default=str, skipkeys=True))

    async def look_around(self, entry: MockConfigEntry, client: ClientSessionGenerator) -> None:
        """Read states, issues, diagnostics, traces, the outbox, REST responses and files."""
        hass = self._hass
        await hass.async_block_till_done(wait_background_tasks=True)
        self.note([state.as_dict() for state in hass.states.async_all()])
        for issue in ir.async_get(hass).issues.values():
            self.note([issue.translation_placeholders, issue.data])
        self.note(await get_diagnostics_for_config_entry(hass, client, entry))
        traces = list(hass.data[DATA_TRACE]["automation.door"].all_traces())
        assert len(traces) == KEPT_TRACES
        self.note([trace.as_extended_dict() for trace in traces])
        self.note(await ask(hass, "list_outbox"))
        self.read.append(await (await (await client()).get("/api/states")).text())
        for file in (self._folder / ".storage").rglob("*"):
            if file.is_file() and not file.name.endswith(".token") and "core." not in file.name:
                self.read.append(file.read_text(encoding="utf-8"))

    def assert_nothing_of(self, *secrets: str) -> None:
        """Check that nothing reveals a secret, and that something was read."""
        text = "\n".join((*self.read, self._log.text)).lower()
        assert "repeats" in text
        for secret in secrets:
            for trace in traces_of(secret):
                place = text.find(trace)
                assert place < 0, text[max(place - 200, 0) : place + 100]


@pytest.fixture
async def reader(hass: HomeAssistant, storage: Path, caplog: pytest.LogCaptureFixture) -> Reader:
    """Listen from the beginning, at debug level."""
    caplog.set_level(logging.DEBUG)
    for name in ("custom_components.outlook_smtp", "homeassistant", "aiosmtplib", "asyncio"):
        caplog.set_level(logging.DEBUG, name)
    for component in ("diagnostics", "api", REPAIRS, "automation"):
        assert await async_setup_component(hass, component, {"automation": [AUTOMATION]})
    return Reader(hass, storage.parent, caplog)


async def attempt(hass: HomeAssistant, reader: Reader, entry: MockConfigEntry) -> None:
    """Check the account and send in every way, and read the results."""
    await entry.runtime_data.coordinator.async_check_now()
    calls: list[Callable[[], Awaitable[Any]]] = [
        lambda: mailer_of(entry).send(outgoing("Door", ANNA, BERT)),
        lambda: act(hass, "send_message", to=ANNA, message="Hello"),
        lambda: hass.services.async_call("automation", "trigger", TRIGGER, blocking=True),
    ]
    for call in calls:
        try:
            reader.note(str(await call()))
        except HomeAssistantError as error:
            reader.note([str(error), repr(error), error.translation_placeholders])


KEPT_TRACES = 5  # For each automation, by Home Assistant.
TRIGGER = {"entity_id": "automation.door"}
AUTOMATION = {
    "alias": "Door",
    "id": "door",
    "triggers": [],
    "actions": [{"action": f"{DOMAIN}.send_message", "data": {"to": ANNA, "message": "Hello"}}],
}
ANSWERS = [
    (Step.GREETING, "554 5.3.2 repeats {}"),
    (Step.EHLO_TLS, "550 5.3.2 repeats {}"),
    (Step.EHLO_TLS, "250-x\n250-AUTH {0} LOGIN XOAUTH2\n250-repeats {0}\n250 SIZE {0}"),
    (Step.EHLO_TLS, "250-x\n250-repeats\n250 AUTH {}"),
    (Step.AUTH, "535 5.7.3 repeats {}"),
    (Step.AUTH, '500 5.5.2 Command unrecognized, repeats "{}"'),
    (Step.AUTH, "repeats {}"),
    (Step.AUTH, "451 4.7.0 repeats\n {}"),
    (Step.MAIL, "550 5.7.60 repeats {}"),
    (Step.RCPT, "550 5.1.1 repeats <{}@x.org>"),
    (Step.RCPT, "450 4.2.1 repeats {}"),
    (Step.FINAL, "250 2.0.0 repeats <{}@x.org>"),
    (Step.FINAL, "554 5.2.0 repeats\n554 5.2.0 {}"),
    (Step.FINAL, "what repeats {}"),
    (Step.IDLE, "250 2.0.0 repeats {}"),
]


async def repeat_everywhere(  # noqa: PLR0917 - Fixtures.
    hass: HomeAssistant,
    reader: Reader,
    fake_server: FakeServer,
    entry: MockConfigEntry,
    client: ClientSessionGenerator,
    forms: Forms,
) -> None:
    """Let the server echo one form of a secret after the other, in all of its replies."""
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    shown = [form for form in forms.values() if "\0" not in form]
    for number, (step, words) in enumerate(ANSWERS):
        mailer_of(entry).worker._schedule.rate_limiter = RateLimiter(per_minute=0)
        form = shown[number % len(shown)]
        fake_server.script = Script(replies={step: words.format(form)})
        await attempt(hass, reader, entry)
        await act(hass, "flush_outbox")
        await until(lambda: not mailer_of(entry).queue.under_way)
    await reader.look_around(entry, client)


async def test_password_is_never_shown(
    hass: HomeAssistant,
    reader: Reader,
    fake_server: FakeServer,
    entry: MockConfigEntry,
    hass_client: ClientSessionGenerator,
) -> None:
    """Neither the password nor its encoded forms."""
    await repeat_everywhere(hass, reader, fake_server, entry, hass_client, forms_of(PASSWORD))
    assert entry.data[CONF_ACCOUNT_KIND]
    reader.assert_nothing_of(PASSWORD)


async def test_token_is_never_shown(  # noqa: PLR0917 - Fixtures.
    hass: HomeAssistant,
    reader: Reader,
    fake_server: FakeServer,
    signed_in: MockConfigEntry,
    identity: Identity,
    hass_client: ClientSessionGenerator,
) -> None:
    """Neither the access token nor the refresh token, though Microsoft echoes them, too."""
    tokens = signed_in.data["token"]
    access, refresh = tokens["access_token"], tokens["refresh_token"]
    await repeat_everywhere(hass, reader, fake_server, signed_in, hass_client, forms_of(access))
    identity.expire_access_tokens(ADDRESS)
    for form in (refresh, quote(refresh, safe=""), b64encode(refresh.encode()).decode()):
        words = json.dumps({"error": f"x {form}", "error_description": f"repeats {form}"})
        identity.script.then("token", *[Misstep(body=words, status=400)] * 3)
        await attempt(hass, reader, signed_in)
    await reader.look_around(signed_in, hass_client)
    reader.assert_nothing_of(*identity.issued)


# Microsoft Graph

GRAPH_ANSWERS = [
    GraphAnswer(status=400, code="repeats{}", message="repeats {}"),
    GraphAnswer(status=400, code="ErrorInvalidRecipients", message="repeats {} anna@example.com"),
    GraphAnswer(status=401, code="InvalidAuthenticationToken", message="repeats {}"),
    GraphAnswer(status=403, code="ErrorAccessDenied", message="repeats {}"),
    GraphAnswer(status=403, code="Odd", message="x", inner={"code": "{}", "message": "repeats {}"}),
    GraphAnswer(status=429, code="ErrorExceededMessageLimit", message="repeats {}"),
    GraphAnswer(status=404, code="MailboxNotEnabledForRESTAPI", message="repeats {}"),
    GraphAnswer(status=302, headers={"Location": "https://127.0.0.1/repeats?{}"}),
    GraphAnswer(status=500, body="<p>repeats {}</p>", content_type="text/html"),
    GraphAnswer(status=200, body="repeats {}"),
    GraphAnswer(status=202, body="repeats {}", headers={"request-id": "repeats-{}"}, accepts=True),
]


def repeating(answer: GraphAnswer, form: str) -> GraphAnswer:
    """Return an answer that repeats a form of a secret in each of its parts."""
    return replace(
        answer,
        code=answer.code.replace("{}", form),
        message=answer.message.replace("{}", form),
        inner={name: text.replace("{}", form) for name, text in answer.inner.items()},
        headers={name: text.replace("{}", form) for name, text in answer.headers.items()},
        body=answer.body and answer.body.replace("{}", form),
    )


async def test_graph_never_shows_the_token(  # noqa: PLR0917 - Fixtures.
    hass: HomeAssistant,
    reader: Reader,
    graph_account: MockConfigEntry,
    graph: FakeGraph,
    identity: Identity,
    hass_client: ClientSessionGenerator,
) -> None:
    """In whatever part and form Microsoft Graph repeats it."""
    forms = [form for form in forms_of(graph.requests[-1].token).values() if "\0" not in form]
    lines = [form for form in forms if form.isprintable()]
    for number, answer in enumerate(GRAPH_ANSWERS):
        mailer_of(graph_account).worker._schedule.rate_limiter = RateLimiter(per_minute=0)
        graph.answers.extend([repeating(answer, lines[number % len(lines)])] * 12)
        await attempt(hass, reader, graph_account)
        await act(hass, "flush_outbox")
        await until(lambda: not mailer_of(graph_account).queue.under_way)
        graph.answers.clear()
    await reader.look_around(graph_account, hass_client)
    assert len({request.token for request in graph.requests}) > 1  # Some were renewed.
    reader.assert_nothing_of(*identity.issued)
