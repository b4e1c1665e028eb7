"""Sign-in with a code: what ends the wait, and what does not."""

import asyncio
from functools import partial
from itertools import pairwise
import json

import aiohttp
import pytest

from custom_components.outlook_smtp.auth import device_code
from custom_components.outlook_smtp.auth.application import Application
from custom_components.outlook_smtp.auth.auth_error import AuthError
from custom_components.outlook_smtp.auth.clouds import Resource
from custom_components.outlook_smtp.auth.device_code import (
    DeviceCode,
    await_sign_in,
    request_code,
)
from custom_components.outlook_smtp.auth.tokens import Token, read_address
from custom_components.outlook_smtp.delivery.faults import Problem
from tests.conftest import ADDRESS, until
from tests.fake_microsoft import Endpoint, Identity, Misstep, identity_script as script
from tests.fake_microsoft.identity_wording import DENIED, SECRET_MISSING, Refusal

from .conftest import Pauses

ALIAS = "alias@outlook.com"


class Person:
    """A person with a code, who takes time to sign in."""

    def __init__(
        self, http: aiohttp.ClientSession, application: Application, identity: Identity
    ) -> None:
        """Prepare the sign-in."""
        self.identity = identity
        self.request = partial(request_code, http, application)
        self.await_sign_in = partial(await_sign_in, http, application)

    async def failure(self, code: DeviceCode) -> AuthError:
        """Return the error of a sign-in that fails."""
        with pytest.raises(AuthError) as caught:
            await self.await_sign_in(code)
        assert caught.value.__context__ is None
        return caught.value


@pytest.fixture
def person(http: aiohttp.ClientSession, application: Application, identity: Identity) -> Person:
    """Return a person who wants to sign in."""
    return Person(http, application, identity)


async def test_person_signs_in(person: Person, pauses: Pauses) -> None:
    """The person takes a while and signs in with an alias; the primary name is returned."""
    person.identity.fake_server.mailboxes[ADDRESS].aliases = (ALIAS,)
    code = await person.request()
    assert code.verification_uri == f"{person.identity.authority}/device"
    assert (code.expires_in, code.interval) == (900, 5)
    assert person.identity.user_codes == [code.user_code]
    assert code.device_code not in repr(code)
    pauses.events[3] = partial(person.identity.approve, code.user_code, ALIAS)
    answer = await person.await_sign_in(code)
    assert pauses == [5, 5, 5]
    assert read_address(answer) == ADDRESS
    token = Token.from_answer(answer)
    assert person.identity.fake_server.access_tokens[token.access_token] == ADDRESS
    assert token.refresh_token in person.identity.issued


async def test_signing_in_for_graph(person: Person, pauses: Pauses) -> None:
    """A code is for the resource that it was asked for, and opens no other."""
    code = await person.request(Resource.GRAPH)
    person.identity.approve(code.user_code, ADDRESS)
    token = Token.from_answer(await person.await_sign_in(code), resource=Resource.GRAPH)
    assert person.identity.access_tokens[Resource.GRAPH] == {token.access_token: ADDRESS}
    assert not person.identity.fake_server.access_tokens
    asked = person.identity.requests[0].form["scope"]
    assert asked == "https://graph.microsoft.com/Mail.Send offline_access openid profile email"


async def test_interval_grows_on_slow_down(person: Person, pauses: Pauses) -> None:
    """Each time that Microsoft asks for it, the interval permanently grows by five seconds."""
    person.identity.script.then("token", script.SLOW_DOWN)
    code = await person.request()
    pauses.events[2] = lambda: person.identity.script.then("token", script.SLOW_DOWN)
    pauses.events[4] = partial(person.identity.approve, code.user_code, ADDRESS)
    await person.await_sign_in(code)
    assert pauses == [5, 10, 15, 15]


async def test_pauses_take_real_time(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the fixture, pauses take real time."""
    monkeypatch.setattr(device_code, "SLOW_DOWN", 0.03)
    person.identity.interval = 0.01
    code = await person.request()
    person.identity.script.then("token", script.SLOW_DOWN, DENIED)
    await person.failure(code)
    times = [request.at for request in person.identity.requests]
    first, second = (later - earlier for earlier, later in pairwise(times))
    assert first >= 0.01
    assert second >= 0.04


async def test_outage_does_not_end_the_wait(person: Person, pauses: Pauses) -> None:
    """While Microsoft is unreachable, pauses grow; then polling continues as before."""
    outages = (
        script.BARE_SERVER_ERROR,
        script.RESET,
        script.GATEWAY_DOWN,
        script.UNAVAILABLE,
        Misstep(body="", status=503, headers={"Retry-After": "60"}),
    )
    code = await person.request()
    person.identity.script.then("token", *outages)
    pauses.events[7] = partial(person.identity.approve, code.user_code, ADDRESS)
    await person.await_sign_in(code)
    assert pauses == [5, 10, 20, 30, 30, 60, 5]


@pytest.mark.parametrize(
    ("refusal", "problem"),
    [
        (DENIED, Problem.SIGN_IN_DECLINED),
        (SECRET_MISSING, Problem.PUBLIC_CLIENT_OFF),
        (Refusal("invalid_grant", "AADSTS50020: No."), Problem.ACCOUNT_TYPE_REFUSED),
        (Refusal("surprise", ""), Problem.UNEXPECTED_ANSWER),
    ],
)
async def test_refusal_ends_the_wait(
    person: Person, pauses: Pauses, refusal: Refusal, problem: Problem
) -> None:
    """Any other refusal ends the wait."""
    code = await person.request()
    person.identity.script.then("token", refusal)
    assert (await person.failure(code)).problem is problem
    assert person.identity.count("token") == 1


async def test_declined_and_expired_codes_end_the_wait(person: Person, pauses: Pauses) -> None:
    """The person cancels, or the code expires or is no longer known."""
    declined, expired = await person.request(), await person.request()
    person.identity.decline(declined.user_code)
    person.identity.expire(expired.user_code)
    assert (await person.failure(declined)).problem is Problem.SIGN_IN_DECLINED
    assert (await person.failure(expired)).problem is Problem.CODE_EXPIRED
    forgotten = DeviceCode("", "", "forgotten", 900, 5)
    error = await person.failure(forgotten)
    assert (error.problem, error.code) == (Problem.CODE_EXPIRED, "bad_verification_code")


async def test_code_expires_without_a_response(person: Person) -> None:
    """The code expires during a pause or during a request."""
    person.identity.code_lifetime = 0.03
    code = await person.request()
    assert (await person.failure(code)).problem is Problem.CODE_EXPIRED
    assert person.identity.count("token") == 0
    person.identity.code_lifetime = 0.2
    person.identity.interval = 0.001
    person.identity.script.always[Endpoint.TOKEN] = script.HANG
    code = await person.request()
    assert (await person.failure(code)).problem is Problem.CODE_EXPIRED
    assert person.identity.count("token") == 1


async def test_closed_dialog_stops_polling(person: Person) -> None:
    """Closing the dialog stops the polling."""
    person.identity.interval = 0.001
    code = await person.request()
    waiting = asyncio.create_task(person.await_sign_in(code))
    await until(lambda: person.identity.count("token") >= 2)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    polls = person.identity.count("token")
    await asyncio.sleep(0.02)
    # The last request may have been in progress.
    assert person.identity.count("token") <= polls + 1


@pytest.mark.parametrize(
    "name", ["user_code", "verification_uri", "device_code", "expires_in", "interval"]
)
async def test_incomplete_code_is_rejected(person: Person, name: str) -> None:
    """A code with a missing part is invalid; only the interval has a default."""
    answer = {
        "user_code": "AB",
        "verification_uri": "https://microsoft.com/devicelogin",
        "device_code": "DA",
        "expires_in": "900",
        "interval": 0,
    }
    del answer[name]
    person.identity.script.then("devicecode", Misstep(body=json.dumps(answer)))
    if name == "interval":
        assert (await person.request()).interval == 5
    else:
        with pytest.raises(AuthError, match=f"no {name}"):
            await person.request()


async def test_interval_has_a_minimum(person: Person) -> None:
    """There is always a pause between polls."""
    person.identity.interval = 0
    assert (await person.request()).interval == 5


async def test_unknown_application_gets_no_code(person: Person) -> None:
    """An unknown application gets no code."""
    person.identity.client_id = "another"
    with pytest.raises(AuthError, match="AADSTS700016") as caught:
        await person.request()
    assert caught.value.problem is Problem.CLIENT_ID_UNKNOWN
