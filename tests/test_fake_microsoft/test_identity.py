"""The fake of Microsoft's identity platform, as used by clients."""

import asyncio
from collections.abc import AsyncIterator
import gc
import sys
import threading

import aiohttp
from freezegun import freeze_time
import pytest
from yarl import URL

from tests.conftest import until
from tests.fake_microsoft import Endpoint, FakeServer, Identity, Misstep, identity_script as script
from tests.fake_microsoft.__main__ import main
from tests.fake_microsoft.identity_device_flow import DEVICE_GRANT
from tests.fake_microsoft.identity_wording import CONSENT_REQUIRED

from .client import ALIAS, ALICE, TOKEN
from .identity_client import SCOPE, WORKER, Client, failed, smtp_reply


@pytest.fixture
async def client(fake_server: FakeServer) -> AsyncIterator[Client]:
    """Run the identity platform for the accounts of a fake server, and return a client of it."""
    async with Client.running(fake_server) as client:
        yield client


def test_platform_can_be_restarted(fake_server: FakeServer) -> None:
    """The platform can be stopped and restarted on its port, and leaves nothing behind."""
    before = threading.active_count()
    identity = Identity(fake_server)
    identity.stop()
    with identity:
        port = identity.port
        with pytest.raises(RuntimeError):
            identity.start()
        with pytest.raises(OSError, match=r"(?i)address already in use"):
            Identity(fake_server, port).start()
    with identity:
        assert identity.port == port
    assert threading.active_count() == before
    gc.collect()


async def test_stopping_disconnects_clients(client: Client) -> None:
    """A client without a response is disconnected."""
    client.identity.script.then("token", script.HANG)
    waiting = asyncio.create_task(client.poll("x"))
    await until(lambda: client.identity.count("token") == 1)
    await asyncio.to_thread(client.identity.stop)
    with pytest.raises(aiohttp.ClientError):
        await waiting


async def test_device_code_signs_in(client: Client, fake_server: FakeServer) -> None:
    """A person enters the code under any name, and the tokens give access to the mailbox."""
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
    assert smtp_reply(fake_server, answer["access_token"]).startswith("235 ")
    assert smtp_reply(fake_server, TOKEN).startswith("235 ")
    assert smtp_reply(fake_server, answer["access_token"], ALIAS).startswith("535 5.7.3 ")
    assert failed(await client.poll(code["device_code"]))[0] == "bad_verification_code"
    secrets = {code["device_code"], *(answer[f"{kind}_token"] for kind in ("access", "refresh"))}
    assert secrets | {answer["id_token"]} <= client.identity.issued
    assert client.identity.grant_types == [DEVICE_GRANT] * 3
    assert code["device_code"] not in str(client.identity.requests)


async def test_device_codes_end(client: Client) -> None:
    """A code is declined, expires or was never issued."""
    declined, expired = await client.ask_for_code(), await client.ask_for_code()
    client.identity.decline(declined["user_code"])
    client.identity.expire(expired["user_code"])
    assert client.identity.user_codes == []
    with pytest.raises(LookupError):
        client.identity.approve("WRONG", ALICE)
    assert failed(await client.poll(declined["device_code"]))[0] == "authorization_declined"
    assert failed(await client.poll(expired["device_code"]))[0] == "expired_token"
    assert failed(await client.poll("invented"))[0] == "bad_verification_code"


async def test_refresh_tokens_rotate(client: Client, fake_server: FakeServer) -> None:
    """Refresh tokens rotate, and a used one is refused, unless that is tolerated."""
    first = await client.sign_in()
    status, second = await client.refresh(first["refresh_token"])
    assert status == 200
    assert smtp_reply(fake_server, second["access_token"]).startswith("235 ")
    invalid = ("invalid_grant", "AADSTS70000")
    assert failed(await client.refresh(first["refresh_token"])) == invalid
    assert failed(await client.refresh("invented")) == invalid
    client.identity.strict_rotation = False
    assert (await client.refresh(first["refresh_token"]))[0] == 200
    other = await client.sign_in(WORKER)
    client.identity.revoke(ALIAS)
    assert (await client.refresh(other["refresh_token"]))[0] == 200
    assert fake_server.access_tokens[other["access_token"]] == WORKER
    revoked = ("invalid_grant", "AADSTS50173")
    assert failed(await client.refresh(second["refresh_token"])) == revoked
    assert smtp_reply(fake_server, second["access_token"]).startswith("535 5.7.3 ")


async def test_tokens_expire_with_frozen_time(client: Client, fake_server: FakeServer) -> None:
    """Tokens expire by the clock that a test may freeze."""
    with freeze_time("2026-12-24", tick=False) as clock:
        answer = await client.sign_in()
        assert smtp_reply(fake_server, answer["access_token"]).startswith("235 ")
        clock.tick(3599)
        assert smtp_reply(fake_server, answer["access_token"]).startswith("535 5.7.3 ")
        assert answer["access_token"] not in fake_server.access_tokens
        clock.tick(90 * 24 * 3600)
        stale = ("invalid_grant", "AADSTS700082")
        assert failed(await client.refresh(answer["refresh_token"])) == stale


async def test_clients_follow_the_rules(client: Client) -> None:
    """Device codes are for public clients, which have no secret."""
    secret = client.identity.client_secret
    code = (await client.ask_for_code())["device_code"]
    unwanted = ("invalid_client", "AADSTS700025")
    assert failed(await client.poll(code, client_secret=secret)) == unwanted
    answer = await client.sign_in()
    refreshed = await client.refresh(answer["refresh_token"], client_secret=secret)
    assert failed(refreshed) == unwanted
    client.identity.public_client_flows = False
    assert failed(await client.poll(code)) == ("invalid_client", "AADSTS7000218")


async def test_scopes_and_tenants_are_checked(client: Client) -> None:
    """Personal accounts accept one form of the scope, and each tenant its kind of account."""
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


async def test_script_controls_responses(client: Client) -> None:
    """Refusals come at once, and modifications wait for a good response."""
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
    then("authorize", CONSENT_REQUIRED, script.GATEWAY_DOWN)
    target = await client.browse()
    assert isinstance(target, URL)
    assert target.query["error"] == "consent_required"
    assert await client.browse() == script.GATEWAY_PAGE


async def test_response_can_be_lost(client: Client) -> None:
    """A connection breaks after the request was processed."""
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


def test_platform_can_be_run_manually(
    fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The platform runs next to the server until Ctrl-C, and prints its URL."""

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "argv", ["fake_server", "--port", "0", "--identity", "0"])
    monkeypatch.setattr("tests.fake_microsoft.__main__.time.sleep", interrupt)
    main()
    output = capsys.readouterr().out
    assert "Sign-in at http://127.0.0.1:" in output
    assert "Client id: " in output
