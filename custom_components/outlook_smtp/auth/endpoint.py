"""One request to Microsoft's identity platform and its response."""

from collections.abc import Mapping
from contextlib import suppress
import json
import math
from typing import Any, Final

import aiohttp

from ..delivery.faults import Problem
from ..delivery.network import describe
from ..delivery.secrets import Secrets
from .application import Application
from .auth_error import AuthError, read_error

TIMEOUT: Final = aiohttp.ClientTimeout(total=30)
MAX_ANSWER: Final = 256 * 1024  # Bytes; tokens take a few thousand.
_SECRETS: Final = ("client_secret", "code", "code_verifier", "device_code", "refresh_token")
_TOKENS: Final = ("access_token", "id_token", "refresh_token")


async def post(
    http: aiohttp.ClientSession, application: Application, name: str, form: Mapping[str, str]
) -> dict[str, Any]:
    """Post a form to an endpoint and return its response.

    Args:
        http: The HTTP session to use.
        application: The owner of the endpoint; its credentials are added to the form.
        name: `token` or `devicecode`.
        form: The fields (RFC 6749, section 4; RFC 8628, section 3).

    Raises:
        AuthError: With Microsoft's response, or if there was none.

    """
    fields = {**application.credentials(), **form}
    status, retry_after, body = await _exchange(http, application.endpoint(name), fields)
    answer = _parse(body)
    if not isinstance(answer, dict):
        # The response is from a captive portal, a proxy or a gateway, not from Microsoft.
        raise AuthError(
            Problem.IDENTITY_UNREACHABLE,
            description=f"HTTP {status}, no JSON object",
            retry_after=retry_after,
        )
    if status == 200 and "error" not in answer:
        return answer
    raise read_error(_masked(answer, fields), status, retry_after)


def _masked(answer: Mapping[str, Any], fields: Mapping[str, str]) -> dict[str, str]:
    """Return an error description with all sent secrets and received tokens redacted."""
    sent = (fields.get(name, "") for name in _SECRETS)
    secrets = Secrets(*sent, *(str(answer.get(name, "")) for name in _TOKENS))
    told = ("error", "error_description")
    return {name: secrets.mask(str(answer.get(name, ""))) for name in told}


async def _exchange(
    http: aiohttp.ClientSession, url: str, fields: Mapping[str, str]
) -> tuple[int, float | None, bytes]:
    """Post a form and return the response's status, Retry-After and body."""
    try:
        # Do not resend a form with secrets to a redirect target.
        async with http.post(url, data=fields, timeout=TIMEOUT, allow_redirects=False) as response:
            body = await _read(response)
            return response.status, _delay(response.headers.get("Retry-After", "")), body
    except (aiohttp.ClientError, TimeoutError) as error:
        reason = _describe(error)
    # Raise outside the handler: the original exception may hold response data.
    raise AuthError(Problem.IDENTITY_UNREACHABLE, description=reason, is_silent=True)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """Return the body of a response, or nothing if it is far too long."""
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > MAX_ANSWER:
            return b""
    return bytes(body)


def _describe(error: Exception) -> str:
    """Describe a request's failure; only the text for a failed connection quotes nothing."""
    name = type(error).__name__
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"{name}: {describe(error)}"
    return name


def _delay(header: str) -> float | None:
    """Parse a Retry-After in seconds; Microsoft sends no dates (RFC 9110, section 10.2.3)."""
    return float(header) if header.isascii() and header.isdecimal() else None


def _parse(body: bytes) -> Any:
    """Parse a JSON text, or return nothing if it is invalid."""
    with suppress(RecursionError, ValueError):
        return json.loads(body)
    return None


def read_text(answer: Mapping[str, Any], name: str, most: int = MAX_ANSWER) -> str:
    """Return a required member of a response.

    Args:
        answer: Microsoft's response.
        name: The member.
        most: The maximum number of characters.

    Raises:
        AuthError: If it is missing or longer.

    """
    value = answer.get(name)
    if isinstance(value, str) and 0 < len(value) <= most:
        return value
    raise AuthError(Problem.UNEXPECTED_ANSWER, description=f"no {name}")


def read_seconds(answer: Mapping[str, Any], name: str, default: float | None = None) -> float:
    """Return a duration in a response, given as a number or as text.

    Raises:
        AuthError: If it is missing and there is no default.

    """
    with suppress(OverflowError, TypeError, ValueError):
        seconds = float(answer.get(name, default))
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    raise AuthError(Problem.UNEXPECTED_ANSWER, description=f"no {name}")
