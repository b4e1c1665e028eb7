"""Builds the route that a config entry's data describes."""

from collections.abc import Mapping
from dataclasses import replace
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
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.util.ssl import create_client_context

from .auth.clouds import CLOUDS, WORLDWIDE, Resource
from .auth.tokens import TokenManager
from .const import CONF_CLOUD, CONF_ROUTE, CONF_SECURITY, DEFAULT_TIMEOUT
from .delivery.route import Route
from .graph.request import Timeouts
from .graph.route import GraphRoute
from .smtp.credentials import BearerToken, Password
from .smtp.route import SmtpRoute
from .smtp.settings import SERVERS, Account, AccountKind, Security, Server


async def async_build_route(
    hass: HomeAssistant,
    data: Mapping[str, Any],
    options: Mapping[str, Any],
    tokens: TokenManager | None,
) -> Route:
    """Return the route of a config entry: SMTP, or Microsoft Graph.

    Args:
        hass: Home Assistant.
        data: The entry's data.
        options: The entry's options.
        tokens: The entry's token manager, if it signed in with Microsoft.

    """
    if tokens and data.get(CONF_ROUTE) == Resource.GRAPH:
        return GraphRoute(
            async_get_clientsession(hass),
            tokens.for_resource(Resource.GRAPH),
            Timeouts(timeout=options.get(CONF_TIMEOUT, DEFAULT_TIMEOUT)),
            tls_context=await hass.async_add_executor_job(_create_tls_context),
            base_url=CLOUDS[data.get(CONF_CLOUD, WORLDWIDE)].graph,
        )
    return SmtpRoute(await _async_build_account(hass, data, options, tokens))


async def _async_build_account(
    hass: HomeAssistant,
    data: Mapping[str, Any],
    options: Mapping[str, Any],
    tokens: TokenManager | None,
) -> Account:
    """Return the SMTP account of a config entry, with a separate TLS context."""
    address = data[CONF_EMAIL]
    return Account(
        address=address,
        server=Server(data[CONF_HOST], data[CONF_PORT], Security(data[CONF_SECURITY])),
        credentials=(
            BearerToken(address, tokens.for_resource(Resource.SMTP))
            if tokens
            else Password(data.get(CONF_USERNAME, address), data[CONF_PASSWORD])
        ),
        tls_context=await hass.async_add_executor_job(_create_tls_context),
        timeout=options.get(CONF_TIMEOUT, DEFAULT_TIMEOUT),
    )


def find_server(kind: AccountKind, cloud: str) -> Server:
    """Return the submission server for a kind of account in one of Microsoft's clouds."""
    server = SERVERS[kind]
    return server if cloud == WORLDWIDE else replace(server, host=CLOUDS[cloud].smtp_host)


def _create_tls_context() -> ssl.SSLContext:
    """Return a context that verifies certificate and host name and requires TLS 1.2 or newer.

    As in browsers, the common name is not accepted as a host name (RFC 9525, section 2).
    """
    context = create_client_context()
    context.hostname_checks_common_name = False
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
