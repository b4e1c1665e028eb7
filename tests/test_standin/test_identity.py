"""The look-alike of Microsoft's identity platform, as clients and people meet it."""

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator
import gc
import hashlib
import sys
import threading
from typing import Any

import aiohttp
from freezegun import freeze_time
import pytest
from yarl import URL

from tests.standin import Endpoint, Identity, Misstep, StandIn, identity_script as script
from tests.standin.__main__ import main
from tests.standin.identity_desk import DEVICE_GRANT

from .client import ALIAS, ALICE, PASSWORD, TOKEN, Wire, xoauth2

REDIRECT = "https://my.home-assistant.io/redirect/oauth"
SEND = "https://outlook.office.com/SMTP.Send"
SCOPE = f"{SEND} offline_access openid profile email"
WORKER = "worker@contoso.com"
VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode()[:-1]
type Answer = tuple[int, dict[str, Any]]


@pytest.fixture
def identity(standin: StandIn) -> Iterator[Identity]:
    """Run the identity platform for the accounts of a stand-in."""
    with Identity(standin) as platform:
        yield platform


class Client:
    """A client that sends what it is told."""

    def __init__(self, http: aiohttp.ClientSession, identity: Identity) -> None:
        """Get to know the platform."""
        self.http = http
        self.identity = identity
        self.tenant = "common"

    async def post(self, name: str, **form: str) -> Answer:
        """Post a form."""
        url = f"{self.identity.authority}/{self.tenant}/oauth2/v2.0/{name}"
        fields = {"client_id": self.identity.client_id, **form}
        async with self.http.post(url, data=fields) as response:
            return response.status, await response.json()

    async def ask_for_code(self, scope: str = SCOPE) -> dict[str, Any]:
        """Ask for a device code."""
        return (await self.post("devicecode", scope=scope))[1]

    async def poll(self, device_code: str, **form: str) -> Answer:
        """Try to redeem a device code."""
        return await self.post("token", grant_type=DEVICE_GRANT, device_code=device_code, **form)

    async def sign_in(self, address: str = ALICE, scope: str = SCOPE) -> dict[str, Any]:
        """Sign in with a device code."""
        code = await self.ask_for_code(scope)
        self.identity.approve(code["user_code"], address)
        return (await self.poll(code["device_code"]))[1]

    async def refresh(self, token: str, **form: str) -> Answer:
        """Renew tokens."""
        fields = {"grant_type": "refresh_token", "refresh_token": token, "scope": SCOPE, **form}
        return await self.post("token", **fields)

    async def browse(self, **query: str) -> URL | str:
        """Open the sign-in page, and return where it leads or what it shows."""
        asked = {
            "client_id": self.identity.client_id,
            "response_type": "code",
            "redirect_uri": REDIRECT,
            "scope": SCOPE,
            "state": "s & t",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **query,
        }
        url = URL(f"{self.identity.authority}/{self.tenant}/oauth2/v2.0/authorize")
        async with self.http.get(url.with_query(asked), allow_redirects=False) as response:
            location = response.headers.get("Location")
            return URL(location) if location else await response.text()

    async def code(self) -> str:
        """Sign in in the browser, and return the code that comes back."""
        target = await self.browse()
        assert isinstance(target, URL)
        return target.query["code"]

    async def redeem(self, code: str, **form: str) -> Answer:
        """Redeem the code that came by way of the browser."""
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT,
            "code_verifier": VERIFIER,
            "client_secret": self.identity.client_secret,
            **form,
        }
        return await self.post("token", **fields)


@pytest.fixture
async def client(identity: Identity) -> AsyncIterator[Client]:
    """Return a client of the platform."""
    async with aiohttp.ClientSession() as http:
        yield Client(http, identity)


def smtp_reply(standin: StandIn, token: str, name: str = ALICE) -> str:
    """Sign in to the server with an access token."""
    with Wire.secured(standin) as wire:
        return wire.ask(f"AUTH XOAUTH2 {xoauth2(name, token)}")


def failed(answer: Answer) -> tuple[str, str]:
    """Return the error code of a refusal and the first word of its description."""
    return answer[1]["error"], answer[1]["error_description"].partition(":")[0]


def test_life(standin: StandIn) -> None:
    """The platform can be stopped and started again on its port, and leaves nothing behind."""
    before = threading.active_count()
    identity = Identity(standin)
    identity.stop()
    with identity:
        port = identity.port
        with pytest.raises(RuntimeError):
            identity.start()
        with pytest.raises(OSError, match=r"(?i)address already in use"):
            Identity(standin, port).start()
    with identity:
        assert identity.port == port
    assert threading.active_count() == before
    gc.collect()


async def test_stopping_in_the_middle(client: Client) -> None:
    """A client that is never answered is hung up on."""
    client.identity.script.then("token", script.HANG)
    waiting = asyncio.create_task(client.poll("x"))
    while not client.identity.count("token"):
        await asyncio.sleep(0.001)
    await asyncio.to_thread(client.identity.stop)
    with pytest.raises(aiohttp.ClientError):
        await waiting


async def test_device_code(client: Client, standin: StandIn) -> None:
    """A person types the code under any name, and the tokens open the mailbox."""
    code = await client.ask_for_code()
    assert code["verification_uri"] == f"{client.identity.authority}/device"
    assert client.identity.user_codes == [code["user_code"]]
    assert failed(await client.poll(code["device_code"])) == (
        "authorization_pending",
        "AADSTS70016",
    )
    client.identity.approve(f" {code['user_code'].lower()} ", ALIAS)
    status, answer = await client.poll(code["device_code"])
    assert (status, answer["expires_in"]) == (200, 3599)
    assert answer["scope"] == "openid profile email https://outlook.office365.com/SMTP.Send"
    assert smtp_reply(standin, answer["access_token"]).startswith("235 ")
    assert smtp_reply(standin, TOKEN).startswith("235 ")
    assert smtp_reply(standin, answer["access_token"], ALIAS).startswith("535 5.7.3 ")
    assert failed(await client.poll(code["device_code"]))[0] == "bad_verification_code"
    secrets = {code["device_code"], *(answer[f"{kind}_token"] for kind in ("access", "refresh"))}
    assert secrets | {answer["id_token"]} <= client.identity.issued
    assert client.identity.grant_types == [DEVICE_GRANT] * 3
    assert code["device_code"] not in str(client.identity.requests)


async def test_device_code_ends(client: Client) -> None:
    """A code is declined, runs out or was never issued."""
    declined, expired = await client.ask_for_code(), await client.ask_for_code()
    client.identity.decline(declined["user_code"])
    client.identity.expire(expired["user_code"])
    assert client.identity.user_codes == []
    assert failed(await client.poll(declined["device_code"]))[0] == "authorization_declined"
    assert failed(await client.poll(expired["device_code"]))[0] == "expired_token"
    assert failed(await client.poll("invented"))[0] == "bad_verification_code"


async def test_refresh(client: Client, standin: StandIn) -> None:
    """Refresh tokens rotate, and a used one is refused, unless that is forgiven."""
    first = await client.sign_in()
    status, second = await client.refresh(first["refresh_token"])
    assert status == 200
    assert smtp_reply(standin, second["access_token"]).startswith("235 ")
    invalid = ("invalid_grant", "AADSTS70000")
    assert failed(await client.refresh(first["refresh_token"])) == invalid
    assert failed(await client.refresh("invented")) == invalid
    client.identity.strict_rotation = False
    assert (await client.refresh(first["refresh_token"]))[0] == 200
    client.identity.revoke(ALIAS)
    revoked = ("invalid_grant", "AADSTS50173")
    assert failed(await client.refresh(second["refresh_token"])) == revoked
    assert smtp_reply(standin, second["access_token"]).startswith("535 5.7.3 ")


async def test_time(client: Client, standin: StandIn) -> None:
    """Tokens end by the clock that a test may freeze."""
    with freeze_time("2026-12-24", tick=False) as clock:
        answer = await client.sign_in()
        assert smtp_reply(standin, answer["access_token"]).startswith("235 ")
        clock.tick(3599)
        assert smtp_reply(standin, answer["access_token"]).startswith("535 5.7.3 ")
        assert answer["access_token"] not in standin.access_tokens
        clock.tick(90 * 24 * 3600)
        stale = ("invalid_grant", "AADSTS700082")
        assert failed(await client.refresh(answer["refresh_token"])) == stale


async def test_browser(client: Client, standin: StandIn) -> None:
    """Somebody signs in in the browser, and the code is good for one time."""
    client.identity.sign_in_as = ALIAS
    target = await client.browse()
    assert isinstance(target, URL)
    assert (str(target.with_query(None)), target.query["state"]) == (REDIRECT, "s & t")
    status, answer = await client.redeem(target.query["code"])
    assert status == 200
    assert smtp_reply(standin, answer["access_token"]).startswith("235 ")
    redeemed = ("invalid_grant", "AADSTS54005")
    assert failed(await client.redeem(target.query["code"])) == redeemed
    assert {target.query["code"], VERIFIER} <= client.identity.issued
    refreshed = await client.refresh(answer["refresh_token"])
    assert failed(refreshed) == ("invalid_client", "AADSTS7000218")
    secret = client.identity.client_secret
    assert (await client.refresh(answer["refresh_token"], client_secret=secret))[0] == 200


@pytest.mark.parametrize(
    ("form", "number"),
    [
        ({"code": "invented"}, "AADSTS70000"),
        ({"code_verifier": "w" * 64}, "AADSTS501481"),
        ({"code_verifier": ""}, "AADSTS50148"),
        ({"redirect_uri": "https://example.com"}, "AADSTS500112"),
        ({"client_secret": ""}, "AADSTS7000218"),
        ({"client_secret": "wrong"}, "AADSTS7000215"),
        ({"client_id": "other"}, "AADSTS700016"),
        ({"client_id": ""}, "AADSTS900144"),
        ({"grant_type": "password"}, "AADSTS70003"),
    ],
)
async def test_code_refused(client: Client, form: dict[str, str], number: str) -> None:
    """Whatever does not belong to the code is refused, and the code stays good."""
    client.identity.sign_in_as = ALICE
    code = await client.code()
    assert failed(await client.redeem(**{"code": code} | form))[1] == number
    assert (await client.redeem(code))[0] == 200


async def test_code_expires(client: Client) -> None:
    """A code that nobody redeems in time is void."""
    client.identity.sign_in_as = ALICE
    client.identity.code_lifetime = 0
    assert failed(await client.redeem(await client.code()))[1] == "AADSTS70008"


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"scope": "SMTP.Send"}, "invalid_scope"),
        ({"account": ""}, "access_denied"),
        ({"account": WORKER}, None),
    ],
)
async def test_sent_back(client: Client, query: dict[str, str], error: str | None) -> None:
    """The application hears of a refusal in the browser."""
    client.identity.sign_in_as = ALICE
    target = await client.browse(**query)
    assert isinstance(target, URL)
    assert target.query.get("error") == error
    assert target.query["state"] == "s & t"


@pytest.mark.parametrize("query", [{"redirect_uri": "https://evil.example"}, {"client_id": "x"}])
async def test_not_sent_back(client: Client, query: dict[str, str]) -> None:
    """Nobody is sent to an application that is not known."""
    page = await client.browse(**query)
    assert "having trouble signing you in" in str(page)


async def test_client_rules(client: Client) -> None:
    """Device codes are for public clients, and those have no secret."""
    secret = client.identity.client_secret
    code = (await client.ask_for_code())["device_code"]
    unwanted = ("invalid_client", "AADSTS700025")
    assert failed(await client.poll(code, client_secret=secret)) == unwanted
    answer = await client.sign_in()
    refreshed = await client.refresh(answer["refresh_token"], client_secret=secret)
    assert failed(refreshed) == unwanted
    client.identity.public_client_flows = False
    assert failed(await client.poll(code)) == ("invalid_client", "AADSTS7000218")


async def test_scopes_and_tenants(client: Client) -> None:
    """Personal accounts know one form of the scope, and each tenant its kind of account."""
    other = f"https://outlook.office365.com/SMTP.Send {SCOPE.partition(' ')[2]}"
    invalid = ("invalid_scope", "AADSTS70011")
    wrong_kind = ("invalid_grant", "AADSTS50020")
    client.identity.scope_prefix = ""
    assert (await client.sign_in(WORKER, other))["scope"] == "openid profile email SMTP.Send"
    assert failed((400, await client.sign_in(ALICE, other))) == invalid
    assert failed((400, await client.ask_for_code("Mail.Read"))) == invalid
    assert failed((400, await client.ask_for_code("")))[1] == "AADSTS900144"
    bare = await client.sign_in(ALICE, "https://outlook.office.com/SMTP.Send")
    assert not {"refresh_token", "id_token"} & bare.keys()
    client.tenant = "consumers"
    assert failed((400, await client.ask_for_code("SMTP.Send"))) == invalid
    assert failed((400, await client.sign_in(WORKER))) == wrong_kind
    client.tenant = "organizations"
    assert failed((400, await client.sign_in(ALICE))) == wrong_kind
    client.tenant = "nowhere.example"
    assert failed((400, await client.ask_for_code())) == ("invalid_request", "AADSTS90002")


async def test_script(client: Client) -> None:
    """Refusals come at once, and flaws wait for a good answer."""
    then = client.identity.script.then
    then("token", script.UNAVAILABLE, script.NO_REFRESH_TOKEN, script.NO_SEND_SCOPE)
    then(Endpoint.DEVICECODE, script.SERVER_ERROR)
    assert (await client.post("devicecode", scope=SCOPE))[0] == 500
    code = await client.ask_for_code()
    assert (await client.poll(code["device_code"]))[0] == 503
    assert (await client.poll(code["device_code"]))[1]["error"] == "authorization_pending"
    assert "refresh_token" not in await client.sign_in()
    assert "SMTP.Send" not in (await client.sign_in())["scope"]
    assert "SMTP.Send" in (await client.sign_in())["scope"]
    client.identity.script.always[Endpoint.TOKEN] = script.NO_ID_TOKEN
    assert ["id_token" in await client.sign_in() for _ in range(2)] == [False, False]
    client.identity.sign_in_as = ALICE
    then("authorize", script.wording.CONSENT_REQUIRED, script.GATEWAY_DOWN)
    target = await client.browse()
    assert isinstance(target, URL)
    assert target.query["error"] == "consent_required"
    assert await client.browse() == script.GATEWAY_PAGE


async def test_lost_answer(client: Client) -> None:
    """A connection breaks, after all was done."""
    answer = await client.sign_in()
    client.identity.script.then("token", script.RESET, script.LOST_ANSWER)
    for _ in range(2):
        with pytest.raises(aiohttp.ClientError):
            await client.refresh(answer["refresh_token"])
    assert failed(await client.refresh(answer["refresh_token"]))[1] == "AADSTS70000"
    client.identity.script.then("token", Misstep(body="", headers={"Retry-After": "7"}))
    url = f"{client.identity.authority}/common/oauth2/v2.0/token"
    async with client.http.post(url) as response:
        assert (response.headers["Retry-After"], await response.read()) == ("7", b"")


async def test_pages(client: Client, standin: StandIn) -> None:
    """A person can type a code, cancel, and pick an account in the browser."""
    standin.add_mailbox("<b>@x.example", PASSWORD)
    page = f"{client.identity.authority}/device"
    codes = [(await client.ask_for_code())["user_code"] for _ in range(2)]
    async with client.http.get(page) as response:
        assert f"<option>{ALICE}</option><option>&lt;b&gt;@x.example" in await response.text()
    for code, answer, title in (
        ("WRONG", "approve", "That code didn&#x27;t work"),
        (codes[0].lower(), "approve", "You have signed in"),
        (codes[1], "decline", "You cancelled"),
    ):
        form = {"code": code, "answer": answer, "account": ALICE}
        async with client.http.post(page, data=form) as response:
            assert f"<h1>{title}</h1>" in await response.text()
    assert client.identity.user_codes == []
    asked = await client.browse()
    assert "account=alice@outlook.com" in str(asked)
    assert "<b>" not in str(asked)


def test_run_by_hand(
    standin: StandIn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The platform runs beside the server until Ctrl-C, and says where."""

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "argv", ["standin", "--port", "0", "--identity", "0"])
    monkeypatch.setattr("tests.standin.__main__.time.sleep", interrupt)
    main()
    output = capsys.readouterr().out
    assert "Sign-in at http://127.0.0.1:" in output
    assert "Client id: " in output
