"""One sign-in, two resources: separate access tokens and refusals, one shared refresh token."""

import asyncio
from dataclasses import replace
from functools import partial

import aiohttp
import pytest

from custom_components.outlook_smtp.auth.application import Application
from custom_components.outlook_smtp.auth.auth_error import AuthError
from custom_components.outlook_smtp.auth.clouds import CLOUDS, GCC_HIGH, Resource
from custom_components.outlook_smtp.auth.endpoint import post
from custom_components.outlook_smtp.auth.tokens import Token, TokenManager
from custom_components.outlook_smtp.delivery.access_tokens import AccessTokens
from custom_components.outlook_smtp.delivery.faults import Kind, Problem, SubmissionError
from tests.conftest import ADDRESS
from tests.fake_microsoft import Endpoint, Identity, Misstep, identity_script as script
from tests.fake_microsoft.identity_grants import WORK_DIRECTORY
from tests.fake_microsoft.identity_wording import INTERACTION_REQUIRED

from .conftest import GRAPH, SMTP, Clock, Disk, SignIn, Start, sign_in

CROWD = 100
WORKER = "worker@contoso.com"

type Pair = tuple[Resource, Resource]
either_way = pytest.mark.parametrize("pair", [(SMTP, GRAPH), (GRAPH, SMTP)])


@pytest.fixture
def consent(identity: Identity, token: Token) -> None:
    """Give the account's consent to both resources; its token is for SMTP."""
    identity.consents[ADDRESS] = set(Resource)


def scopes(identity: Identity) -> list[str]:
    """Return the first scope of each token request."""
    return [request.form["scope"].partition(" ")[0] for request in identity.requests]


async def refusal(manager: TokenManager, resource: Resource) -> AuthError:
    """Return why there is no access token for a resource."""
    with pytest.raises(AuthError) as caught:
        await manager.access_token(resource)
    return caught.value


@pytest.mark.usefixtures("consent")
async def test_each_resource_has_its_own_token(
    manager: TokenManager, token: Token, identity: Identity
) -> None:
    """The one for Graph is requested when first needed, and does not replace the one for SMTP."""
    graph = [await manager.access_token(GRAPH) for _ in range(3)]
    assert await manager.access_token(SMTP) == token.access_token
    assert identity.access_tokens[GRAPH] == {graph[0]: ADDRESS}
    assert identity.access_tokens[SMTP] == {token.access_token: ADDRESS}
    assert graph == [graph[0]] * 3
    assert scopes(identity) == ["https://graph.microsoft.com/Mail.Send"]
    assert {token.access_token, graph[0]} < set(manager.secrets)


@pytest.mark.usefixtures("consent")
async def test_the_refresh_token_rotates_for_both_resources(
    manager: TokenManager, disk: Disk, clock: Clock, identity: Identity
) -> None:
    """A renewal for one resource returns the refresh token that renews the other."""
    assert identity.strict_rotation
    for resource in (GRAPH, SMTP, SMTP, GRAPH):
        clock.now += 3600
        await manager.access_token(resource)
    assert [stored.resource for stored in disk.tokens] == [GRAPH, SMTP, SMTP, GRAPH]
    assert len({stored.refresh_token for stored in disk.tokens}) == 4
    assert manager.secrets[-1] == disk.tokens[-1].refresh_token


@pytest.mark.usefixtures("consent")
async def test_concurrent_callers_share_one_renewal_per_resource(
    manager: TokenManager, clock: Clock, token: Token, disk: Disk, identity: Identity
) -> None:
    """A hundred callers at the same time cause two requests, one after the other."""
    clock.now = token.expires_at
    asked = [SMTP, GRAPH] * (CROWD // 2)
    got = await asyncio.gather(*(manager.access_token(resource) for resource in asked))
    assert {resource: set(got[index::2]) for index, resource in enumerate(asked[:2])} == {
        stored.resource: {stored.access_token} for stored in disk.tokens
    }
    assert sorted(scopes(identity)) == [
        "https://graph.microsoft.com/Mail.Send",
        "https://outlook.office.com/SMTP.Send",
    ]


@pytest.mark.usefixtures("consent")
async def test_a_valid_token_does_not_wait_for_another_renewal(
    manager: TokenManager, token: Token, identity: Identity
) -> None:
    """It is returned while Microsoft leaves a request for the other resource unanswered."""
    identity.script.then("token", script.HANG)
    waiting = asyncio.create_task(manager.access_token(GRAPH))
    await asyncio.sleep(0)
    assert await manager.access_token(SMTP) == token.access_token
    assert not waiting.done()
    await asyncio.to_thread(identity.stop)
    with pytest.raises(AuthError, match="identity_unreachable"):
        await waiting
    await manager.settle()


@either_way
async def test_a_refusal_affects_only_its_resource(
    start: Start, sign_in_for: SignIn, identity: Identity, clock: Clock, pair: Pair
) -> None:
    """A resource without consent is requested once; the other one can still be renewed."""
    granted, refused = pair
    token = await sign_in_for(granted)
    manager = start(token)
    identity.requests.clear()
    errors = [await refusal(manager, refused) for _ in range(3)]
    assert {error.problem for error in errors} == {Problem.SIGN_IN_REQUIRED}
    assert "AADSTS70000: The request was denied" in errors[-1].description
    assert identity.count("token") == 1
    assert await manager.access_token(granted) == token.access_token
    for _ in range(2):
        clock.now += 3600
        assert await manager.access_token(granted) in identity.access_tokens[granted]
        assert (await refusal(manager, refused)).description == errors[0].description
    assert identity.count("token") == 3


@either_way
@pytest.mark.usefixtures("consent")
async def test_withdrawn_consent_affects_only_its_resource(
    manager: TokenManager, disk: Disk, clock: Clock, identity: Identity, pair: Pair
) -> None:
    """The other resource keeps its token, and can still be renewed."""
    kept, lost = pair
    tokens = {resource: await manager.access_token(resource) for resource in pair}
    identity.withdraw(ADDRESS, lost)
    with pytest.raises(AuthError, match="AADSTS70000"):
        await manager.replace(lost, tokens[lost])
    assert await manager.access_token(kept) == tokens[kept]
    assert await manager.replace(kept, tokens[kept]) == disk.tokens[-1].access_token
    clock.now += 3600
    assert await manager.access_token(kept) == disk.tokens[-1].access_token
    assert disk.tokens[-1].resource is kept


@either_way
async def test_a_refusal_ends_with_a_sign_in_for_its_resource(
    start: Start, sign_in_for: SignIn, identity: Identity, pair: Pair
) -> None:
    """The new refresh token is valid for both resources."""
    first, second = pair
    await refusal(start(await sign_in_for(first)), second)
    token = await sign_in_for(second)
    manager = start(token)
    assert await manager.access_token(second) == token.access_token
    assert await manager.access_token(first) in identity.access_tokens[first]


@pytest.mark.usefixtures("consent")
async def test_a_temporary_failure_is_not_a_refusal(
    manager: TokenManager, identity: Identity
) -> None:
    """If Microsoft is unreachable, the next use requests a token again."""
    identity.script.then("token", script.UNAVAILABLE, script.GATEWAY_DOWN)
    for _ in range(2):
        assert (await refusal(manager, GRAPH)).problem is Problem.IDENTITY_UNREACHABLE
    assert await manager.access_token(GRAPH)


@pytest.mark.usefixtures("consent")
async def test_a_refused_token_stays_refused(
    manager: TokenManager, token: Token, identity: Identity
) -> None:
    """A renewal for the other resource does not restore it."""
    identity.script.then("token", script.UNAVAILABLE)
    with pytest.raises(AuthError, match="identity_unreachable"):
        await manager.replace(SMTP, token.access_token)
    await manager.access_token(GRAPH)
    assert await manager.access_token(SMTP) != token.access_token


@either_way
@pytest.mark.usefixtures("consent")
async def test_a_crash_before_a_renewed_token_is_stored_loses_nothing(
    start: Start, disk: Disk, token: Token, identity: Identity, pair: Pair
) -> None:
    """No one has used the token that was not stored; the stored one works for both resources.

    Microsoft usually accepts the previous refresh token for some time.
    """
    identity.strict_rotation = False
    manager = start(token)
    disk.ready.clear()
    asked = [asyncio.create_task(manager.access_token(GRAPH))]
    await disk.asked.wait()
    asked += [asyncio.create_task(manager.replace(SMTP, token.access_token)) for _ in range(3)]
    done, _ = await asyncio.wait(asked, timeout=0.01)
    assert not done
    for task in (*asked, *asyncio.all_tasks() - {asyncio.current_task()}):
        task.cancel()
    await asyncio.wait(asked)
    assert disk.tokens == []
    disk.ready.set()
    again = start(token)
    for resource in pair:
        stored = await again.replace(resource, token.access_token)
        assert disk.tokens[-1].access_token == stored
        assert stored in identity.access_tokens[resource]


@pytest.mark.usefixtures("consent")
async def test_a_crash_after_a_renewed_token_is_stored_loses_nothing(
    start: Start, manager: TokenManager, disk: Disk, identity: Identity
) -> None:
    """The last stored token is enough for both resources, even if the previous one is void."""
    await manager.access_token(GRAPH)
    stored = Token.from_dict(disk.tokens[-1].as_dict())
    again = start(stored)
    assert await again.access_token(GRAPH) == stored.access_token
    assert await again.access_token(SMTP) in identity.access_tokens[SMTP]
    assert identity.strict_rotation


@pytest.mark.usefixtures("consent")
async def test_a_response_without_permission_to_send_keeps_its_refresh_token(
    manager: TokenManager, token: Token, disk: Disk, identity: Identity
) -> None:
    """Nothing else of the response is kept."""
    identity.script.then("token", script.NO_SEND_SCOPE)
    assert (await refusal(manager, GRAPH)).problem is Problem.NO_SEND_PERMISSION
    assert disk.tokens[0].resource is SMTP
    assert disk.tokens[0].access_token == token.access_token
    assert disk.tokens[0].refresh_token != token.refresh_token
    assert await manager.access_token(GRAPH) in identity.access_tokens[GRAPH]


@pytest.mark.parametrize(
    "scope",
    [
        "https://outlook.office.com/Mail.Send",
        "Mail.Send openid",
        "https://outlook.office.com/SMTP.Send https://graph.microsoft.com/mail.send",
    ],
)
@pytest.mark.usefixtures("consent")
async def test_a_token_is_for_the_requested_resource(
    manager: TokenManager, token: Token, disk: Disk, identity: Identity, scope: str
) -> None:
    """The scope in the response only decides whether the token permits sending."""
    identity.script.then("token", Misstep(scope=scope))
    graph = await manager.access_token(GRAPH)
    assert (disk.tokens[-1].resource, disk.tokens[-1].access_token) == (GRAPH, graph)
    assert await manager.access_token(SMTP) == token.access_token


@pytest.mark.usefixtures("consent")
async def test_a_route_gets_tokens_for_its_resource(
    manager: TokenManager, identity: Identity
) -> None:
    """It knows neither the resource nor the identity platform, and receives failures as faults."""
    routes: dict[Resource, AccessTokens] = {
        resource: manager.for_resource(resource) for resource in Resource
    }
    for resource, tokens in routes.items():
        first = await tokens.get()
        await tokens.replace(first)
        second = await tokens.get()
        assert first != second
        assert second in identity.access_tokens[resource]
        assert second in tokens.secrets
        assert second not in repr(tokens)
    identity.script.always[Endpoint.TOKEN] = Misstep(refusal=INTERACTION_REQUIRED)
    with pytest.raises(SubmissionError) as caught:
        await routes[GRAPH].replace(await routes[GRAPH].get())
    assert caught.value.fault.kind is Kind.CREDENTIALS
    assert caught.value.fault.problem is Problem.MFA_REQUIRED
    assert caught.value.fault.text.startswith("interaction_required AADSTS50076: ")
    assert caught.value.__context__ is None
    assert await routes[SMTP].get()


async def test_another_cloud_has_its_own_scopes(
    http: aiohttp.ClientSession, identity: Identity, disk: Disk, clock: Clock
) -> None:
    """A GCC High account is renewed with the scopes of its cloud, at its authority."""
    identity.fake_server.add_mailbox(WORKER, "x")
    cloud = replace(CLOUDS[GCC_HIGH], authority=identity.authority)
    application = Application(identity.client_id, WORK_DIRECTORY, cloud)
    token = await sign_in(http, application, identity, GRAPH, WORKER)
    assert token.access_token in identity.access_tokens[GRAPH]
    manager = TokenManager(token, partial(post, http, application, "token"), disk.store, cloud)
    assert "AADSTS65001" in (await refusal(manager, SMTP)).description
    clock.now += 3600
    assert await manager.access_token(GRAPH)
    assert [request.form.get("scope", "") for request in identity.requests] == [
        "https://graph.microsoft.us/Mail.Send offline_access openid profile email",
        "",
        "https://outlook.office365.us/SMTP.Send offline_access openid profile email",
        "https://graph.microsoft.us/Mail.Send offline_access openid profile email",
    ]
