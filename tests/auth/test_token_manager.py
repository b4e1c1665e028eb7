"""The token manager: one renewal for all who wait, and what its failures mean."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from custom_components.outlook_smtp.auth.errors import AuthError
from custom_components.outlook_smtp.auth.tokens import Token, TokenManager
from custom_components.outlook_smtp.delivery.faults import Problem
from tests.conftest import ADDRESS
from tests.fake_microsoft import Endpoint, FakeServer, Identity, Misstep, identity_script as script
from tests.fake_microsoft.identity_wording import (
    CONSENT_REQUIRED,
    INTERACTION_REQUIRED,
    SCOPE_INVALID,
    SECRET_MISSING,
)

from .conftest import CALLERS, Clock, Disk


async def failure(manager: TokenManager) -> AuthError:
    """Return why there is no access token."""
    with pytest.raises(AuthError) as caught:
        await manager.access_token()
    assert caught.value.__context__ is None
    return caught.value


async def test_while_it_is_good(
    manager: TokenManager, token: Token, clock: Clock, identity: Identity
) -> None:
    """A token is handed out until some minutes before its end, without asking anybody."""
    clock.now = token.expires_at - 301
    assert await manager.access_token() == token.access_token
    assert identity.count("token") == 0
    await manager.settle()


async def test_rotation(
    manager: TokenManager, token: Token, clock: Clock, disk: Disk, fake_server: FakeServer
) -> None:
    """Every renewal brings a new refresh token, which is the one for the next."""
    seen = {token.refresh_token}
    for _ in range(3):
        clock.now += 3300
        access_token = await manager.access_token()
        assert access_token == disk.tokens[-1].access_token
        assert fake_server.access_tokens[access_token] == ADDRESS
        seen.add(disk.tokens[-1].refresh_token)
    assert len(seen) == 4
    assert len(disk.tokens) == 3


async def test_many_refused(manager: TokenManager, token: Token, identity: Identity) -> None:
    """Many whose token was refused, one after the other, make one renewal."""
    renewed = await manager.replace(token.access_token)
    assert renewed != token.access_token
    assert {await manager.replace(token.access_token) for _ in range(CALLERS)} == {renewed}
    assert identity.count("token") == 1
    assert await manager.replace(renewed) != renewed
    assert identity.count("token") == 2


async def test_failure_is_shared(
    manager: TokenManager, clock: Clock, token: Token, identity: Identity
) -> None:
    """Many who wait for the same renewal share its failure, and the next one asks again."""
    clock.now = token.expires_at
    identity.script.then("token", script.SERVER_ERROR)
    results = await asyncio.gather(
        *(manager.access_token() for _ in range(CALLERS)), return_exceptions=True
    )
    assert {str(result) for result in results} == {
        "identity_unreachable: server_error HTTP 500",
    }
    assert identity.count("token") == 1
    assert await manager.access_token()


@pytest.mark.parametrize("misstep", [script.GATEWAY_DOWN, script.RESET, script.UNAVAILABLE])
async def test_out_of_reach(
    manager: TokenManager, token: Token, clock: Clock, identity: Identity, misstep: Misstep
) -> None:
    """While the old token is still good, an outage does not show."""
    identity.script.always[Endpoint.TOKEN] = misstep
    clock.now = token.expires_at - 1
    assert await manager.access_token() == token.access_token
    clock.now = token.expires_at
    assert (await failure(manager)).problem is Problem.IDENTITY_UNREACHABLE
    clock.now = token.expires_at + 7 * 24 * 3600
    identity.script.always.clear()
    assert await manager.access_token() != token.access_token


async def test_refused_in_an_outage(
    manager: TokenManager, token: Token, identity: Identity
) -> None:
    """A token that was refused is never handed out again."""
    identity.script.always[Endpoint.TOKEN] = script.SERVER_ERROR
    with pytest.raises(AuthError, match="identity_unreachable"):
        await manager.replace(token.access_token)
    with pytest.raises(AuthError, match="identity_unreachable"):
        await manager.replace("one of long ago")
    assert (await failure(manager)).problem is Problem.IDENTITY_UNREACHABLE


@pytest.mark.parametrize("refusal", [None, INTERACTION_REQUIRED, CONSENT_REQUIRED])
async def test_sign_in_required(
    manager: TokenManager, token: Token, identity: Identity, clock: Clock, refusal: Any
) -> None:
    """A refresh token that is refused is not tried again, and the reason stays the same."""
    if refusal:
        identity.script.then("token", refusal)
    else:
        identity.revoke(ADDRESS)
    clock.now = token.renew_at
    errors = [await failure(manager) for _ in range(3)]
    assert {error.problem for error in errors} == {Problem.SIGN_IN_REQUIRED}
    assert {error.description.partition(":")[0] for error in errors} <= {
        "AADSTS50173",
        "AADSTS50076",
        "AADSTS65001",
    }
    assert identity.count("token") == 1


@pytest.mark.parametrize("refusal", [SECRET_MISSING, SCOPE_INVALID])
async def test_application_refused(
    manager: TokenManager, token: Token, identity: Identity, clock: Clock, refusal: Any
) -> None:
    """A token that is still good is used up, and a registration that was mended is noticed."""
    clock.now = token.renew_at
    identity.script.then("token", refusal, refusal)
    assert await manager.access_token() == token.access_token
    clock.now = token.expires_at
    assert (await failure(manager)).problem is Problem.APPLICATION_REFUSED
    assert await manager.access_token() != token.access_token


async def test_permission_taken_away(
    manager: TokenManager, token: Token, identity: Identity, clock: Clock
) -> None:
    """A renewal that lets nobody send is no renewal; the refresh token in it is the one to use."""
    identity.strict_rotation = True
    clock.now = token.expires_at
    identity.script.then("token", script.NO_SEND_SCOPE)
    assert (await failure(manager)).problem is Problem.NO_SEND_PERMISSION
    assert await manager.access_token() != token.access_token


async def test_no_new_refresh_token(
    manager: TokenManager, token: Token, disk: Disk, identity: Identity
) -> None:
    """Without a new refresh token the old one is kept."""
    identity.script.then("token", script.NO_REFRESH_TOKEN)
    await manager.replace(token.access_token)
    assert disk.tokens[0].refresh_token == token.refresh_token


async def test_same_token_again(token: Token, disk: Disk) -> None:
    """Whoever is given the refused token again does not ask a third time."""
    asked: list[str] = []

    async def endpoint(form: Mapping[str, str]) -> dict[str, Any]:
        """Issue the same token for ever."""
        asked.append(form["refresh_token"])
        return {"access_token": token.access_token, "expires_in": 3599}

    manager = TokenManager(token, endpoint, disk.store)
    assert await manager.replace(token.access_token) == token.access_token
    assert await manager.access_token() == token.access_token
    assert asked == [token.refresh_token]


async def test_lost_answer(
    manager: TokenManager, token: Token, identity: Identity, clock: Clock
) -> None:
    """Where the answer got lost the old refresh token may be void: somebody has to sign in."""
    clock.now = token.expires_at
    identity.script.then("token", script.LOST_ANSWER)
    assert (await failure(manager)).problem is Problem.IDENTITY_UNREACHABLE
    assert (await failure(manager)).problem is Problem.SIGN_IN_REQUIRED


async def test_lost_answer_forgiven(
    manager: TokenManager, token: Token, identity: Identity, clock: Clock
) -> None:
    """Mostly Microsoft takes the old refresh token for some time more."""
    identity.strict_rotation = False
    clock.now = token.expires_at
    identity.script.then("token", script.LOST_ANSWER)
    await failure(manager)
    assert await manager.access_token()
