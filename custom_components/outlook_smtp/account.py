"""Builds the SMTP account that a config entry's data describes."""

from collections.abc import Mapping
import ssl
from typing import Any

from homeassistant.const import (
    CONF_EMAIL,
    CONF_HOST,
    CONF_PASSWORD,
    CONF_PORT,
    CONF_TIMEOUT,
    CONF_USERNAME,
)
from homeassistant.core import HomeAssistant
from homeassistant.util.ssl import create_client_context

from .const import CONF_SECURITY, DEFAULT_TIMEOUT
from .smtp.account import Account, Security, Server
from .smtp.credentials import BearerToken, Password
from .token_store import AccountTokens


async def async_build_account(
    hass: HomeAssistant,
    data: Mapping[str, Any],
    options: Mapping[str, Any],
    tokens: AccountTokens | None,
) -> Account:
    """Return the account of a config entry, with a TLS context of its own.

    Args:
        hass: Home Assistant.
        data: The entry's data.
        options: The entry's options.
        tokens: The source of its access tokens, if it signed in with Microsoft.

    """
    address = data[CONF_EMAIL]
    return Account(
        address=address,
        server=Server(data[CONF_HOST], data[CONF_PORT], Security(data[CONF_SECURITY])),
        credentials=(
            BearerToken(address, tokens)
            if tokens
            else Password(data.get(CONF_USERNAME, address), data[CONF_PASSWORD])
        ),
        tls_context=await hass.async_add_executor_job(_create_tls_context),
        timeout=options.get(CONF_TIMEOUT, DEFAULT_TIMEOUT),
    )


def _create_tls_context() -> ssl.SSLContext:
    """Return a context that verifies certificate and host name and requires TLS 1.2 or newer.

    As in browsers, the common name is not accepted as a host name (RFC 9525, section 2).
    """
    context = create_client_context()
    context.hostname_checks_common_name = False
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
