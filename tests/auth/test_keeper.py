"""The keeper of a token: one renewal for all, and nothing lost on the way."""

import asyncio
from collections.abc import Mapping
from functools import partial
import gc
from typing import Any

import aiohttp
import pytest

from custom_components.outlook_smtp.auth.application import SCOPES, Application
from custom_components.outlook_smtp.auth.device_code import GRANT
from custom_components.outlook_smtp.auth.endpoint import post
from custom_components.outlook_smtp.auth.errors import AuthError, AuthProblem
from custom_components.outlook_smtp.auth.tokens import Token, TokenKeeper
from tests.conftest import ADDRESS
from tests.standin import Endpoint, Identity, Misstep, StandIn, identity_script as script
from tests.standin.identity_wording import (
    CONSENT_REQUIRED,
    INTERACTION_REQUIRED,
    SCOPE_INVALID,
    SECRET_MISSING,
)

from .conftest import Clock

CALLERS = 20


class Disk:
    """Where tokens are stored, quickly or slowly or not at all."""

    def __init__(self) -> None:
        """Be empty, quick and in order."""
        self.tokens: list[Token] = []
        self.error: Exception | None = None
        self.ready = asyncio.Event()
        self.ready.set()
        self.asked = asyncio.Event()

    async def store(self, token: Token) -> None:
        """Store a token, once the disk is ready."""
        self.asked.set()
        await self.ready.wait()
        if self.error:
            raise self.error
        self.tokens.append(token)


@pytest.fixture
def disk() -> Disk:
    """Return an empty disk."""
    return Disk()


@pytest.fixture
async def token(
    http: aiohttp.ClientSession, application: Application, identity: Identity, clock: Clock
) -> Token:
    """Sign in."""
    code = await post(http, application, "devicecode", {"scope": " ".join(SCOPES)})
    identity.approve(code["user_code"], ADDRESS)
    form = {"grant_type": GRANT, "device_code": code["device_code"]}
    token = Token.from_answer(await post(http, application, "token", form))
    identity.requests.clear()
    return token


@pytest.fixture
def keeper(
    http: aiohttp.ClientSession, application: Application, token: Token, disk: Disk
) -> TokenKeeper:
    """Return the keeper of a new token."""
    return TokenKeeper(token, partial(post, http, application, "token"), disk.store)


async def failure(keeper: TokenKeeper) -> AuthError:
    """Return why there is no access token."""
    with pytest.raises(AuthError) as caught:
        await keeper.access_token()
    assert caught.value.__context__ is None
    return caught.value


async def test_while_it_is_good(
    keeper: TokenKeeper, token: Token, clock: Clock, identity: Identity
) -> None:
    """A token is handed out until some minutes before its end, without asking anybody."""
    clock.now = token.expires_at - 301
    assert await keeper.access_token() == token.access_token
    assert identity.count("token") == 0
    await keeper.settle()


async def test_rotation(
    keeper: TokenKeeper, token: Token, clock: Clock, disk: Disk, standin: StandIn
) -> None:
    """Every renewal brings a new refresh token, which is the one for the next."""
    seen = {token.refresh_token}
    for _ in range(3):
        clock.now += 3300
        access_token = await keeper.access_token()
        assert access_token == disk.tokens[-1].access_token
        assert standin.access_tokens[access_token] == ADDRESS
        seen.add(disk.tokens[-1].refresh_token)
    assert len(seen) == 4
    assert len(disk.tokens) == 3


async def test_stored_before_handed_out(
    keeper: TokenKeeper, token: Token, disk: Disk, identity: Identity
) -> None:
    """Nobody gets the new token while it is not on disk, not even who comes later."""
    disk.ready.clear()
    waiting = [asyncio.create_task(keeper.replace(token.access_token)) for _ in range(CALLERS)]
    await disk.asked.wait()
    late = [asyncio.create_task(keeper.access_token()) for _ in range(CALLERS)]
    done, _ = await asyncio.wait(waiting + late, timeout=0.01)
    assert not done
    disk.ready.set()
    assert set(await asyncio.gather(*waiting, *late)) == {disk.tokens[0].access_token}
    assert (len(disk.tokens), identity.count("token")) == (1, 1)


async def test_many_refused(keeper: TokenKeeper, token: Token, identity: Identity) -> None:
    """Many whose token was refused, one after the other, make one renewal."""
    renewed = await keeper.replace(token.access_token)
    assert renewed != token.access_token
    assert {await keeper.replace(token.access_token) for _ in range(CALLERS)} == {renewed}
    assert identity.count("token") == 1
    assert await keeper.replace(renewed) != renewed
    assert identity.count("token") == 2


async def test_failure_is_shared(
    keeper: TokenKeeper, clock: Clock, token: Token, identity: Identity
) -> None:
    """Many who wait for the same renewal share its failure, and the next one asks again."""
    clock.now = token.expires_at
    identity.script.then("token", script.SERVER_ERROR)
    results = await asyncio.gather(
        *(keeper.access_token() for _ in range(CALLERS)), return_exceptions=True
    )
    assert {str(result) for result in results} == {
        "identity_unreachable: server_error HTTP 500",
    }
    assert identity.count("token") == 1
    assert await keeper.access_token()


@pytest.mark.parametrize("misstep", [script.GATEWAY_DOWN, script.RESET, script.UNAVAILABLE])
async def test_out_of_reach(
    keeper: TokenKeeper, token: Token, clock: Clock, identity: Identity, misstep: Misstep
) -> None:
    """While the old token is still good, an outage does not show."""
    identity.script.always[Endpoint.TOKEN] = misstep
    clock.now = token.expires_at - 1
    assert await keeper.access_token() == token.access_token
    clock.now = token.expires_at
    assert (await failure(keeper)).problem is AuthProblem.IDENTITY_UNREACHABLE
    clock.now = token.expires_at + 7 * 24 * 3600
    identity.script.always.clear()
    assert await keeper.access_token() != token.access_token


async def test_refused_in_an_outage(keeper: TokenKeeper, token: Token, identity: Identity) -> None:
    """A token that was refused is never handed out again."""
    identity.script.always[Endpoint.TOKEN] = script.SERVER_ERROR
    with pytest.raises(AuthError, match="identity_unreachable"):
        await keeper.replace(token.access_token)
    with pytest.raises(AuthError, match="identity_unreachable"):
        await keeper.replace("one of long ago")
    assert (await failure(keeper)).problem is AuthProblem.IDENTITY_UNREACHABLE


@pytest.mark.parametrize("refusal", [None, INTERACTION_REQUIRED, CONSENT_REQUIRED])
async def test_sign_in_required(
    keeper: TokenKeeper, token: Token, identity: Identity, clock: Clock, refusal: Any
) -> None:
    """A refresh token that is refused is not tried again, and the reason stays the same."""
    if refusal:
        identity.script.then("token", refusal)
    else:
        identity.revoke(ADDRESS)
    clock.now = token.renew_at
    errors = [await failure(keeper) for _ in range(3)]
    assert {error.problem for error in errors} == {AuthProblem.SIGN_IN_REQUIRED}
    assert {error.description.partition(":")[0] for error in errors} <= {
        "AADSTS50173",
        "AADSTS50076",
        "AADSTS65001",
    }
    assert identity.count("token") == 1


@pytest.mark.parametrize("refusal", [SECRET_MISSING, SCOPE_INVALID])
async def test_application_refused(
    keeper: TokenKeeper, token: Token, identity: Identity, clock: Clock, refusal: Any
) -> None:
    """A registration that was mended is noticed."""
    clock.now = token.renew_at
    identity.script.then("token", refusal)
    assert (await failure(keeper)).problem is AuthProblem.APPLICATION_REFUSED
    assert await keeper.access_token() != token.access_token


async def test_permission_taken_away(
    keeper: TokenKeeper, token: Token, identity: Identity, clock: Clock
) -> None:
    """A renewal that lets nobody send is no renewal."""
    clock.now = token.renew_at
    identity.script.then("token", script.NO_SEND_SCOPE)
    assert (await failure(keeper)).problem is AuthProblem.NO_SEND_PERMISSION


async def test_no_new_refresh_token(
    keeper: TokenKeeper, token: Token, disk: Disk, identity: Identity
) -> None:
    """Without a new refresh token the old one is kept."""
    identity.script.then("token", script.NO_REFRESH_TOKEN)
    await keeper.replace(token.access_token)
    assert disk.tokens[0].refresh_token == token.refresh_token


async def test_cancelled(
    keeper: TokenKeeper, token: Token, disk: Disk, identity: Identity, clock: Clock
) -> None:
    """Whoever gives up does not take the renewal along: the old token is void by now."""
    disk.ready.clear()
    clock.now = token.renew_at
    waiting = asyncio.create_task(keeper.access_token())
    await disk.asked.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    disk.ready.set()
    await keeper.settle()
    assert await keeper.access_token() == disk.tokens[0].access_token
    assert identity.count("token") == 1


async def test_nobody_hears_the_failure(
    keeper: TokenKeeper,
    token: Token,
    disk: Disk,
    identity: Identity,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A failure that nobody waits for any more is no error of the program."""
    clock.now = token.renew_at
    identity.script.then("token", script.SERVER_ERROR)
    waiting = asyncio.create_task(keeper.access_token())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    await keeper.settle()
    await asyncio.sleep(0)
    gc.collect()
    assert caplog.text == ""
    assert disk.tokens == []


async def test_renewal_cancelled(token: Token, disk: Disk, clock: Clock) -> None:
    """A renewal that the end of the program cancels ends those who wait."""

    async def cancelled(form: Mapping[str, str]) -> dict[str, Any]:
        """Be cancelled."""
        raise asyncio.CancelledError

    clock.now = token.renew_at
    with pytest.raises(asyncio.CancelledError):
        await TokenKeeper(token, cancelled, disk.store).access_token()


async def test_disk_full(
    keeper: TokenKeeper,
    token: Token,
    disk: Disk,
    identity: Identity,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A token that cannot be stored is used all the same, and stored as soon as it can be."""
    disk.error = OSError(28, "No space left on device")
    renewed = await keeper.replace(token.access_token)
    assert await keeper.access_token() == renewed != token.access_token
    assert disk.tokens == []
    assert (
        caplog.messages
        == ["The renewed sign-in could not be stored: [Errno 28] No space left on device"] * 2
    )
    disk.error = None
    assert await keeper.access_token() == renewed
    assert [stored.access_token for stored in disk.tokens] == [renewed]
    assert await keeper.access_token() == renewed
    assert len(disk.tokens) == identity.count("token") == 1


async def test_store_broken(keeper: TokenKeeper, token: Token, disk: Disk) -> None:
    """A fault of the program is told, and the token is not lost."""
    disk.error = RuntimeError("a fault of the program")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="a fault of the program"):
            await keeper.replace(token.access_token)
    disk.error = None
    renewed = await keeper.access_token()
    assert disk.tokens[0].access_token == renewed != token.access_token


async def test_lost_answer(
    keeper: TokenKeeper, token: Token, identity: Identity, clock: Clock
) -> None:
    """Where the answer got lost the old refresh token may be void: somebody has to sign in."""
    clock.now = token.expires_at
    identity.script.then("token", script.LOST_ANSWER)
    assert (await failure(keeper)).problem is AuthProblem.IDENTITY_UNREACHABLE
    assert (await failure(keeper)).problem is AuthProblem.SIGN_IN_REQUIRED


async def test_lost_answer_forgiven(
    keeper: TokenKeeper, token: Token, identity: Identity, clock: Clock
) -> None:
    """Mostly Microsoft takes the old refresh token for some time more."""
    identity.strict_rotation = False
    clock.now = token.expires_at
    identity.script.then("token", script.LOST_ANSWER)
    await failure(keeper)
    assert await keeper.access_token()
