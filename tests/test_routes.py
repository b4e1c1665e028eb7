"""The SMTP account that is built from a config entry's data and options."""

import ssl
from typing import Any

from homeassistant.core import HomeAssistant
import pytest

from custom_components.outlook_smtp.auth.clouds import CLOUDS, WORLDWIDE
from custom_components.outlook_smtp.routes import _async_build_account, find_server
from custom_components.outlook_smtp.smtp.credentials import Password
from custom_components.outlook_smtp.smtp.settings import (
    SERVERS,
    Account,
    AccountKind,
    Security,
    Server,
)

from .conftest import ADDRESS, PASSWORD


@pytest.fixture
async def built(hass: HomeAssistant, account_data: dict[str, Any]) -> Account:
    """Return the account of an entry without options."""
    return await _async_build_account(hass, account_data, {}, None)


def test_account_matches_its_entry(built: Account, account_data: dict[str, Any]) -> None:
    """Address, server and credentials come from the entry; the timeout is the default."""
    assert built.address == ADDRESS
    assert built.server == Server("127.0.0.1", account_data["port"], Security.STARTTLS)
    assert built.credentials == Password(ADDRESS, PASSWORD)
    assert built.timeout == 30


async def test_timeout_is_an_option(hass: HomeAssistant, account_data: dict[str, Any]) -> None:
    """The options set the timeout."""
    account = await _async_build_account(hass, account_data, {"timeout": 7}, None)
    assert account.timeout == 7


def test_server_is_always_verified(built: Account) -> None:
    """A valid certificate, the right host name and a secure TLS version are required."""
    assert built.tls_context.verify_mode is ssl.CERT_REQUIRED
    assert built.tls_context.check_hostname
    assert built.tls_context.minimum_version >= ssl.TLSVersion.TLSv1_2


async def test_accounts_share_no_tls_context(
    hass: HomeAssistant, built: Account, account_data: dict[str, Any]
) -> None:
    """Accounts share no state, not even that of TLS."""
    other = await _async_build_account(hass, account_data, {}, None)
    assert other.tls_context is not built.tls_context


def test_account_does_not_show_its_password(built: Account) -> None:
    """Its repr, which may reach a log, contains no secret."""
    assert PASSWORD not in repr(built)


@pytest.mark.parametrize("name", CLOUDS)
def test_each_cloud_has_its_own_server(name: str) -> None:
    """Work accounts use their cloud's, with STARTTLS; personal accounts are only worldwide."""
    assert find_server(AccountKind.WORK, name) == Server(CLOUDS[name].smtp_host, 587)
    assert find_server(AccountKind.PERSONAL, WORLDWIDE) == SERVERS[AccountKind.PERSONAL]
