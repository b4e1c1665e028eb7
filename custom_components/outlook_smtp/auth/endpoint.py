"""One request to Microsoft's identity platform."""

from collections.abc import Mapping
from typing import Any, Final

import aiohttp

from .application import Application
from .errors import AuthError, AuthProblem, read_error

TIMEOUT: Final = aiohttp.ClientTimeout(total=30)


async def post(
    http: aiohttp.ClientSession, application: Application, name: str, form: Mapping[str, str]
) -> dict[str, Any]:
    """Post a form to an endpoint and return its answer.

    Args:
        http: The HTTP session to use.
        application: Whose endpoint it is; its client id is added to the form.
        name: `token` or `devicecode`.
        form: The fields (RFC 6749, section 4; RFC 8628, section 3).

    Raises:
        AuthError: With what Microsoft answered, or that it did not.

    """
    try:
        async with http.post(
            application.endpoint(name),
            data={"client_id": application.client_id, **form},
            timeout=TIMEOUT,
            allow_redirects=False,
        ) as response:
            status = response.status
            answer = await response.json(content_type=None)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        # Its text may quote what was sent: only its type is told.
        raise AuthError(
            AuthProblem.IDENTITY_UNREACHABLE, description=type(error).__name__
        ) from None
    if status >= 500:
        raise AuthError(AuthProblem.IDENTITY_UNREACHABLE, description=f"HTTP {status}")
    if not isinstance(answer, dict):
        raise AuthError(AuthProblem.UNEXPECTED_ANSWER, description=f"HTTP {status}")
    if "error" in answer or status != 200:
        raise read_error(answer)
    return answer
