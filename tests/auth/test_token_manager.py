"""The token manager: one renewal for all callers, and what its failures mean."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from custom_components.outlook_smtp.auth.auth_error import AuthError
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

from .conftest import CALLERS, SMTP, Clock, Disk


async def failure(manager: TokenManager) -> AuthError:
    """Return the error instead of an access token."""
    with pytest.raises(AuthError) as caught:
        await manager.access_token(SMTP)
    assert caught.value.__context__ is None
    return caught.value


async def test_valid_token_is_returned_without_a_request(
    manager: TokenManager, token: Token, clock: Clock, identity: Identity
) -> None:
    """A token is returned until shortly before it expires, without a request."""
    clock.now = token.expires_at - 301
    assert await manager.access_token(SMTP) == token.access_token
    assert identity.count("token") == 0
    await manager.settle()


async def test_refresh_token_rotates(
    manager: TokenManager, token: Token, clock: Clock, disk: Disk, fake_server: FakeServer
) -> None:
    """Every renewal returns a new refresh token, which is used for the next one."""
    seen = {token.refresh_token}
    for _ in range(3):
        clock.now += 3300
        access_token = await manager.access_token(SMTP)
        assert access_token == disk.tokens[-1].access_token
        assert fake_server.access_tokens[access_token] == ADDRESS
        seen.add(disk.tokens[-1].refresh_token)
    assert len(seen) == 4
    assert len(disk.tokens) == 3


async def test_several_refused_tokens_cause_one_renewal(
    manager: TokenManager, token: Token, identity: Identity
) -> None:
    """Several callers whose token was refused cause one renewal."""
    renewed = await manager.replace(SMTP, token.access_token)
    assert renewed != token.access_token
    assert {await manager.replace(SMTP, token.access_token) for _ in range(CALLERS)} == {renewed}
    assert identity.count("token") == 1
    assert await manager.replace(SMTP, renewed) != renewed
    assert identity.count("token") == 2


async def test_failure_is_shared(
    manager: TokenManager, clock: Clock, token: Token, identity: Identity
) -> None:
    """Callers waiting for one renewal share its failure, and the next caller tries again."""
    clock.now = token.expires_at
    identity.script.then("token", script.SERVER_ERROR)
    results = await asyncio.gather(
        *(manager.access_token(SMTP) for _ in range(CALLERS)), return_exceptions=True
    )
    assert {str(result) for result in results} == {
        "identity_unreachable: server_error HTTP 500",
    }
    assert identity.count("token") == 1
    assert await manager.access_token(SMTP)


@pytest.mark.parametrize("misstep", [script.GATEWAY_DOWN, script.RESET, script.UNAVAILABLE])
async def test_outage_has_no_effect_while_the_token_is_valid(
    manager: TokenManager, token: Token, clock: Clock, identity: Identity, misstep: Misstep
) -> None:
    """While the old token is still valid, an outage has no effect."""
    identity.script.always[Endpoint.TOKEN] = misstep
    clock.now = token.expires_at - 1
    assert await manager.access_token(SMTP) == token.access_token
    clock.now = token.expires_at
    assert (await failure(manager)).problem is Problem.IDENTITY_UNREACHABLE
    clock.now = token.expires_at + 7 * 24 * 3600
    identity.script.always.clear()
    assert await manager.access_token(SMTP) != token.access_token


async def test_refused_token_is_not_returned_in_an_outage(
    manager: TokenManager, token: Token, identity: Identity
) -> None:
    """A refused token is never returned again."""
    identity.script.always[Endpoint.TOKEN] = script.SERVER_ERROR
    with pytest.raises(AuthError, match="identity_unreachable"):
        await manager.replace(SMTP, token.access_token)
    with pytest.raises(AuthError, match="identity_unreachable"):
        await manager.replace(SMTP, "one of long ago")
    assert (await failure(manager)).problem is Problem.IDENTITY_UNREACHABLE


@pytest.mark.parametrize("refusal", [None, INTERACTION_REQUIRED, CONSENT_REQUIRED])
async def test_refused_refresh_token_requires_a_sign_in(
    manager: TokenManager, token: Token, identity: Identity, clock: Clock, refusal: Any
) -> None:
    """A refused refresh token is not tried again, and the reason stays the same."""
    if refusal:
        identity.script.then("token", refusal)
    else:
        identity.revoke(ADDRESS)
    clock.now = token.renew_at
    errors = [await failure(manager) for _ in range(3)]
    assert {error.needs_sign_in for error in errors} == {True}
    assert {error.description.partition(":")[0] for error in errors} <= {
        "AADSTS50173",
        "AADSTS50076",
        "AADSTS65001",
    }
    assert identity.count("token") == 1


@pytest.mark.parametrize("refusal", [SECRET_MISSING, SCOPE_INVALID])
async def test_refused_application_leaves_a_valid_token(
    manager: TokenManager, token: Token, identity: Identity, clock: Clock, refusal: Any
) -> None:
    """A valid token is used until it expires, and a fixed registration is noticed."""
    clock.now = token.renew_at
    identity.script.then("token", refusal, refusal)
    assert await manager.access_token(SMTP) == token.access_token
    clock.now = token.expires_at
    error = await failure(manager)
    assert error.problem in (Problem.PUBLIC_CLIENT_OFF, Problem.PERMISSION_MISSING)
    assert not error.needs_sign_in
    assert await manager.access_token(SMTP) != token.access_token


async def test_renewal_without_permission_fails(
    manager: TokenManager, token: Token, identity: Identity, clock: Clock
) -> None:
    """A renewal without permission to send fails; its refresh token is used from then on."""
    identity.strict_rotation = True
    clock.now = token.expires_at
    identity.script.then("token", script.NO_SEND_SCOPE)
    assert (await failure(manager)).problem is Problem.NO_SEND_PERMISSION
    assert await manager.access_token(SMTP) != token.access_token


async def test_old_refresh_token_is_kept_without_a_new_one(
    manager: TokenManager, token: Token, disk: Disk, identity: Identity
) -> None:
    """Without a new refresh token, the old one is kept."""
    identity.script.then("token", script.NO_REFRESH_TOKEN)
    await manager.replace(SMTP, token.access_token)
    assert disk.tokens[0].refresh_token == token.refresh_token


async def test_refused_token_is_not_renewed_twice(token: Token, disk: Disk) -> None:
    """A caller that gets the refused token again does not cause a third request."""
    asked: list[str] = []

    async def endpoint(form: Mapping[str, str]) -> dict[str, Any]:
        """Issue the same token forever."""
        asked.append(form["refresh_token"])
        return {"access_token": token.access_token, "expires_in": 3599}

    manager = TokenManager(token, endpoint, disk.store)
    assert await manager.replace(SMTP, token.access_token) == token.access_token
    assert await manager.access_token(SMTP) == token.access_token
    assert asked == [token.refresh_token]


async def test_lost_response_requires_a_sign_in(
    manager: TokenManager, token: Token, identity: Identity, clock: Clock
) -> None:
    """If the response was lost, the old refresh token may be void: the user must sign in."""
    clock.now = token.expires_at
    identity.script.then("token", script.LOST_ANSWER)
    assert (await failure(manager)).problem is Problem.IDENTITY_UNREACHABLE
    assert (await failure(manager)).problem is Problem.SIGN_IN_REQUIRED


async def test_old_refresh_token_may_work_after_a_lost_response(
    manager: TokenManager, token: Token, identity: Identity, clock: Clock
) -> None:
    """Microsoft usually accepts the old refresh token for a while."""
    identity.strict_rotation = False
    clock.now = token.expires_at
    identity.script.then("token", script.LOST_ANSWER)
    await failure(manager)
    assert await manager.access_token(SMTP)
