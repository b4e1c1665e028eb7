"""Connect the tokens of a Microsoft sign-in to Home Assistant: renewal and storage."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import CONF_CLIENT_ID, CONF_EMAIL, CONF_TOKEN
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.config_entry_oauth2_flow import (
    AbstractOAuth2Implementation,
    ImplementationUnavailableError,
    LocalOAuth2Implementation,
    async_get_implementations,
)
from homeassistant.helpers.json import save_json
from homeassistant.helpers.storage import STORAGE_DIR
from homeassistant.util.hass_dict import HassKey
from homeassistant.util.json import load_json_object

from .auth.application import Application
from .auth.auth_error import AuthError
from .auth.clouds import CLOUDS, WORLDWIDE
from .auth.endpoint import post
from .auth.tokens import Token, TokenManager
from .const import CONF_CLOUD, CONF_IMPLEMENTATION, CONF_TENANT, DOMAIN
from .coordinator import OutlookSmtpConfigEntry
from .delivery.faults import Problem

type StoreToken = Callable[[Token], Awaitable[None]]

# The data with which each account was last set up.
_SIGNED_IN_WITH: Final[HassKey[dict[str, Mapping[str, Any]]]] = HassKey(f"{DOMAIN}_signed_in_with")
_OBTAINED: Final = "obtained_at"
_SIGN_IN: Final = "sign_in"


@callback
def async_note_sign_in(hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> None:
    """Note that an account was signed in again, even with the same credentials as before."""
    hass.data.setdefault(_SIGNED_IN_WITH, {})[entry.entry_id] = {}


@callback
def async_credentials_changed(hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> bool:
    """Return whether an account was changed or signed in since it was last set up."""
    known = hass.data.setdefault(_SIGNED_IN_WITH, {})
    before = known.get(entry.entry_id, entry.data)
    known[entry.entry_id] = entry.data
    return before != entry.data


async def async_load_tokens(
    hass: HomeAssistant, entry: OutlookSmtpConfigEntry
) -> TokenManager | None:
    """Return the token manager of an account, if it signed in with Microsoft.

    An account has only one: a second one would use up the refresh token of the first.
    """
    file = TokenFile(hass, entry)
    if CONF_TOKEN not in entry.data:
        await file.async_remove()
        return None
    if entry.state is ConfigEntryState.LOADED and entry.runtime_data.tokens:
        return entry.runtime_data.tokens
    return _build_tokens(hass, await file.async_load(), file.async_save)


async def async_build_tokens(
    hass: HomeAssistant, data: Mapping[str, Any], store: StoreToken
) -> TokenManager | None:
    """Return a token manager for unsaved account data, if it has a sign-in.

    Args:
        hass: Home Assistant.
        data: The data of a config entry that is not saved yet.
        store: Stores a new token, unless the sign-in still belongs to an existing account.

    """
    if CONF_TOKEN not in data:
        return None
    address = data[CONF_EMAIL].lower()
    entry = hass.config_entries.async_entry_for_domain_unique_id(DOMAIN, address)
    if entry and entry.data.get(CONF_TOKEN) == data[CONF_TOKEN]:
        return await async_load_tokens(hass, entry)
    return _build_tokens(hass, data, store)


def _build_tokens(hass: HomeAssistant, data: Mapping[str, Any], store: StoreToken) -> TokenManager:
    """Return a manager for the token in a config entry's data."""
    http = async_get_clientsession(hass)

    async def async_post(form: Mapping[str, str]) -> Mapping[str, Any]:
        application = await async_find_application(hass, data)
        return await post(http, application, "token", form)

    cloud = CLOUDS[data.get(CONF_CLOUD, WORLDWIDE)]
    return TokenManager(Token.from_dict(data[CONF_TOKEN]), async_post, store, cloud)


async def async_find_application(hass: HomeAssistant, data: Mapping[str, Any]) -> Application:
    """Return the app registration of a config entry's data, with its secret if it has one.

    Raises:
        AuthError: If its application credentials have been removed.

    """
    cloud = data.get(CONF_CLOUD, WORLDWIDE)
    if (name := data.get(CONF_IMPLEMENTATION)) is None:
        return build_application(data[CONF_CLIENT_ID], data[CONF_TENANT], cloud=cloud)
    implementation = await async_find_implementation(hass, name)
    if not isinstance(implementation, LocalOAuth2Implementation):
        raise AuthError(
            Problem.APPLICATION_REFUSED, description="Its application credentials are gone."
        )
    return build_application(
        implementation.client_id, data[CONF_TENANT], implementation.client_secret, cloud
    )


async def async_find_implementation(
    hass: HomeAssistant, name: str
) -> AbstractOAuth2Implementation | None:
    """Return the application credentials that a config entry names, if they still exist."""
    try:
        return (await async_get_implementations(hass, DOMAIN)).get(name)
    except ImplementationUnavailableError:  # Another provider failed; ours has none.
        return None


def build_application(
    client_id: str, tenant: str, client_secret: str = "", cloud: str = WORLDWIDE
) -> Application:
    """Return an app registration in one of Microsoft's clouds."""
    return Application(client_id, tenant, CLOUDS[cloud], client_secret)


class TokenFile:
    """The token of one account on disk, written as soon as it is renewed.

    Home Assistant writes its config entries a second after a change, and the old refresh token
    may be void by then. The config entry has the token of the last sign-in; the file names the
    sign-in that its token descends from, so that no clock is needed to tell which is newer.
    """

    def __init__(self, hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> None:
        """Name the file after a config entry."""
        self._hass = hass
        self._data = entry.data
        self._path = Path(hass.config.path(STORAGE_DIR, f"{DOMAIN}.{entry.entry_id}.token"))

    async def async_load(self) -> Mapping[str, Any]:
        """Return the config entry's data with the latest token of its sign-in.

        An unreadable file does not stop the account: its first token may still work.
        """
        try:
            stored = await self._hass.async_add_executor_job(load_json_object, self._path)
            if stored.get(_SIGN_IN) != self._data[CONF_TOKEN][_OBTAINED]:
                return self._data
            token = Token.from_dict(stored[CONF_TOKEN])  # type: ignore[arg-type]
        except HomeAssistantError, KeyError, TypeError, ValueError:
            return self._data
        return {**self._data, CONF_TOKEN: token.as_dict()}

    async def async_save(self, token: Token) -> None:
        """Write a token; it is on disk when this returns.

        Raises `OSError` if it could not be written.
        """
        content = {_SIGN_IN: self._data[CONF_TOKEN][_OBTAINED], CONF_TOKEN: token.as_dict()}
        write = partial(save_json, str(self._path), content, private=True, atomic_writes=True)
        try:
            await self._hass.async_add_executor_job(write)
        except HomeAssistantError as error:
            raise OSError("the file cannot be written") from error

    async def async_remove(self) -> None:
        """Delete the file."""
        await self._hass.async_add_executor_job(partial(self._path.unlink, missing_ok=True))
