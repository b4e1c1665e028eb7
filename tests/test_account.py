"""A config entry's data and options become the account that the sessions use."""

import ssl
from typing import Any

from homeassistant.core import HomeAssistant
import pytest

from custom_components.outlook_smtp.account import async_build_account
from custom_components.outlook_smtp.smtp.account import Account, Security, Server
from custom_components.outlook_smtp.smtp.credentials import Password

from .conftest import ADDRESS, PASSWORD


@pytest.fixture
async def built(hass: HomeAssistant, account_data: dict[str, Any]) -> Account:
    """Return the account of an entry without options."""
    return await async_build_account(hass, account_data, {}, None)


def test_account_matches_its_entry(built: Account, account_data: dict[str, Any]) -> None:
    """Address, server and credentials are those of the entry; the timeout is the default."""
    assert built.address == ADDRESS
    assert built.server == Server("127.0.0.1", account_data["port"], Security.STARTTLS)
    assert built.credentials == Password(ADDRESS, PASSWORD)
    assert built.timeout == 30


async def test_timeout_is_an_option(hass: HomeAssistant, account_data: dict[str, Any]) -> None:
    """The options set the timeout."""
    account = await async_build_account(hass, account_data, {"timeout": 7}, None)
    assert account.timeout == 7


def test_server_is_always_verified(built: Account) -> None:
    """The certificate, its name and a safe version of TLS are required."""
    assert built.tls_context.verify_mode is ssl.CERT_REQUIRED
    assert built.tls_context.check_hostname
    assert built.tls_context.minimum_version >= ssl.TLSVersion.TLSv1_2


async def test_accounts_share_no_tls_context(
    hass: HomeAssistant, built: Account, account_data: dict[str, Any]
) -> None:
    """Two accounts share no state, not even that of TLS."""
    other = await async_build_account(hass, account_data, {}, None)
    assert other.tls_context is not built.tls_context


def test_account_does_not_show_its_password(built: Account) -> None:
    """Its repr, which may reach a log, has no secret."""
    assert PASSWORD not in repr(built)
