"""No secret is ever logged or shown."""

from collections.abc import Iterator
from functools import partial
import logging
import traceback

import aiohttp
import pytest

from custom_components.outlook_smtp.auth.application import Application
from custom_components.outlook_smtp.auth.auth_error import AuthError
from custom_components.outlook_smtp.auth.device_code import await_sign_in, request_code
from custom_components.outlook_smtp.auth.endpoint import post
from custom_components.outlook_smtp.auth.tokens import Token, TokenManager, read_address
from tests.conftest import ADDRESS
from tests.fake_microsoft import Identity, Misstep, identity_script as script
from tests.fake_microsoft.identity_script import MALFORMED

from .conftest import SMTP, Pauses


def spoken(error: BaseException) -> Iterator[str]:
    """Return the text of an exception and of its causes."""
    yield from traceback.format_exception(error)
    link: BaseException | None = error
    while link:
        yield from (str(link), repr(link), str(vars(link)))
        assert not isinstance(link, ValueError | KeyError)
        link = link.__cause__ or link.__context__


async def test_no_secret_is_logged_or_raised(
    http: aiohttp.ClientSession,
    application: Application,
    identity: Identity,
    pauses: Pauses,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Complete flows at debug level, with every failure, never log a secret."""
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    stored: list[Token] = []

    async def store(token: Token) -> None:
        """Act as a disk that is full at first."""
        stored.append(token)
        if len(stored) == 1:
            raise OSError(28, "No space left on device")

    code = await request_code(http, application)
    pauses.events[2] = partial(identity.approve, code.user_code, ADDRESS)
    answer = await await_sign_in(http, application, code)
    token = Token.from_answer(answer)
    manager = TokenManager(token, partial(post, http, application, "token"), store)
    said += [repr(code), repr(token), repr(application), repr(manager), read_address(answer)]
    echo = Misstep(body=f'{{"error":"x","error_description":"{token.refresh_token}"}}', status=400)
    truncated = Misstep(body=f'{{"access_token":"{token.access_token}')
    wrong = Misstep(body=f'{{"access_token":"{token.access_token}","expires_in":[]}}')
    missteps = (
        MALFORMED,
        truncated,
        wrong,
        echo,
        script.NO_SEND_SCOPE,
        script.GATEWAY_DOWN,
        script.RESET,
        script.SERVER_ERROR,
    )
    identity.strict_rotation = False
    for misstep in missteps:
        identity.script.then("token", misstep)
        with pytest.raises(AuthError) as caught:
            await manager.replace(SMTP, token.access_token)
        said.extend(spoken(caught.value))
    for _ in range(2):
        said.append(repr(await manager.replace(SMTP, token.access_token)) and repr(manager))
    identity.revoke(ADDRESS)
    with pytest.raises(AuthError) as caught:
        await manager.replace(SMTP, stored[-1].access_token)
    said.extend(spoken(caught.value))

    written = "\n".join((caplog.text, *said))
    assert "AADSTS50173" in written
    assert "No space left on device" in written
    assert len(identity.issued) > 5
    assert [secret[:12] for secret in identity.issued if secret in written] == []
