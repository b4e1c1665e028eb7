"""Signing in with a code on another screen (RFC 8628).

https://learn.microsoft.com/entra/identity-platform/v2-oauth2-device-code
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from .application import SCOPES, Application
from .endpoint import post
from .errors import AuthError, AuthProblem

GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
SLOW_DOWN: Final = 5.0  # Seconds by which Microsoft asks to poll less often.


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """A code that a person types on Microsoft's page.

    `expires_in` and `interval` (between two polls) are seconds.
    """

    user_code: str
    verification_uri: str
    device_code: str = field(repr=False)
    expires_in: float
    interval: float


async def request_code(http: aiohttp.ClientSession, application: Application) -> DeviceCode:
    """Ask Microsoft for a code.

    Raises:
        AuthError: If the application is refused, or Microsoft is out of reach.

    """
    answer = await post(http, application, "devicecode", {"scope": " ".join(SCOPES)})
    try:
        return DeviceCode(
            user_code=answer["user_code"],
            verification_uri=answer["verification_uri"],
            device_code=answer["device_code"],
            expires_in=float(answer["expires_in"]),
            interval=float(answer.get("interval", SLOW_DOWN)),
        )
    except KeyError, TypeError, ValueError:
        raise AuthError(AuthProblem.UNEXPECTED_ANSWER) from None


async def await_sign_in(
    http: aiohttp.ClientSession, application: Application, code: DeviceCode
) -> Mapping[str, Any]:
    """Poll until the person has signed in, and return the answer of the token endpoint.

    A network that is away for a while, or a passing fault of Microsoft's, does not end the wait.

    Raises:
        AuthError: If the person declines, or the code expires.

    """
    form = {"grant_type": GRANT, "device_code": code.device_code}
    interval = code.interval
    try:
        async with asyncio.timeout(code.expires_in):
            while True:
                await asyncio.sleep(interval)
                try:
                    return await post(http, application, "token", form)
                except AuthError as error:
                    if error.code == "slow_down":
                        interval += SLOW_DOWN
                    elif not _goes_on(error):
                        raise
    except TimeoutError:
        raise AuthError(AuthProblem.CODE_EXPIRED) from None


def _goes_on(error: AuthError) -> bool:
    """Return whether the wait for the person goes on after an answer."""
    return (
        error.code == "authorization_pending" or error.problem is AuthProblem.IDENTITY_UNREACHABLE
    )
