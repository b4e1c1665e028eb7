"""Sign-in with a code on another device (RFC 8628).

https://learn.microsoft.com/entra/identity-platform/v2-oauth2-device-code
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from ..delivery.faults import Problem
from ..delivery.secrets import MAX_TEXT
from .application import Application
from .auth_error import AuthError
from .clouds import Resource
from .endpoint import post, read_seconds, read_text

GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
DEFAULT_INTERVAL: Final = 5.0  # Seconds, like those below.
SLOW_DOWN: Final = 5.0  # Added when Microsoft asks for slower polling.
LONGEST_PAUSE: Final = 30.0  # Between polls while Microsoft is unreachable.


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """A code that a person enters on Microsoft's page.

    `expires_in` and `interval` (between two polls) are seconds.
    """

    user_code: str
    verification_uri: str
    device_code: str = field(repr=False)
    expires_in: float
    interval: float


async def request_code(
    http: aiohttp.ClientSession, application: Application, resource: Resource = Resource.SMTP
) -> DeviceCode:
    """Ask Microsoft for a code.

    Args:
        http: The HTTP session to use.
        application: The app registration to sign in to.
        resource: The resource that the tokens are for; another one needs another code.

    Raises:
        AuthError: If the application is refused, or Microsoft is unreachable.

    """
    form = {"scope": application.cloud.scope(resource)}
    answer = await post(http, application, "devicecode", form)
    return DeviceCode(
        user_code=read_text(answer, "user_code", MAX_TEXT),
        verification_uri=read_text(answer, "verification_uri", MAX_TEXT),
        device_code=read_text(answer, "device_code"),
        expires_in=read_seconds(answer, "expires_in"),
        interval=read_seconds(answer, "interval", DEFAULT_INTERVAL) or DEFAULT_INTERVAL,
    )


async def await_sign_in(
    http: aiohttp.ClientSession, application: Application, code: DeviceCode
) -> Mapping[str, Any]:
    """Poll until the person has signed in, and return the token endpoint's response.

    A temporary network failure or a temporary problem at Microsoft does not end the wait.

    Raises:
        AuthError: If the person declines, or the code expires.

    """
    try:
        async with asyncio.timeout(code.expires_in):
            return await _poll(http, application, code)
    except TimeoutError:
        pass
    raise AuthError(Problem.CODE_EXPIRED)


async def _poll(
    http: aiohttp.ClientSession, application: Application, code: DeviceCode
) -> Mapping[str, Any]:
    """Poll forever, at the interval that Microsoft asks for (RFC 8628, section 3.5)."""
    form = {"grant_type": GRANT, "device_code": code.device_code}
    pause = interval = code.interval
    while True:
        await asyncio.sleep(pause)
        try:
            return await post(http, application, "token", form)
        except AuthError as error:
            if error.problem is Problem.IDENTITY_UNREACHABLE:
                pause = max(error.retry_after or 0, min(2 * pause, LONGEST_PAUSE))
                continue
            if error.code == "slow_down":
                interval += SLOW_DOWN
            elif error.code != "authorization_pending":
                raise
            pause = interval
