"""Browser sign-in with the user's own application credentials."""

from typing import Any, override

from homeassistant.components.application_credentials import ClientCredential
from homeassistant.core import HomeAssistant
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.config_entry_oauth2_flow import (
    MY_AUTH_CALLBACK_PATH,
    AbstractOAuth2Implementation,
    LocalOAuth2ImplementationWithPkce,
)

from .auth.application import DEFAULT_TENANT, Application
from .auth.clouds import WORLDWIDE, Resource
from .auth.endpoint import post
from .const import SIGN_IN_DOCS
from .token_store import build_application


async def async_get_auth_implementation(
    hass: HomeAssistant, auth_domain: str, credential: ClientCredential
) -> AbstractOAuth2Implementation:
    """Return the OAuth 2.0 implementation for a user's application credentials."""
    return MicrosoftImplementation(hass, auth_domain, credential)


async def async_get_description_placeholders(hass: HomeAssistant) -> dict[str, str]:
    """Return the placeholders of the application credentials dialog."""
    return {
        "more_info_url": SIGN_IN_DOCS,
        "redirect_url": MY_AUTH_CALLBACK_PATH,
    }


class MicrosoftImplementation(LocalOAuth2ImplementationWithPkce):
    """Microsoft's identity platform for one tenant, with PKCE (RFC 7636)."""

    def __init__(self, hass: HomeAssistant, auth_domain: str, credential: ClientCredential) -> None:
        """Set up the sign-in with application credentials."""
        self.tenant = DEFAULT_TENANT
        self.cloud = WORLDWIDE
        # What the user consents to; the tokens are for the first.
        self.resources: tuple[Resource, ...] = (Resource.SMTP,)
        self._credential = credential
        super().__init__(
            hass,
            auth_domain,
            credential.client_id,
            authorize_url="",
            token_url="",
            client_secret=credential.client_secret,
        )

    @property
    @override
    def name(self) -> str:
        """Return the user's name for the credentials."""
        return self._credential.name or self._credential.client_id

    @property
    @override
    def extra_authorize_data(self) -> dict[str, Any]:
        """Request permission to send, and let the user pick an account."""
        return {
            "scope": self._application.cloud.scope(*self.resources),
            "prompt": "select_account",
            **super().extra_authorize_data,
        }

    @override
    async def async_generate_authorize_url(self, flow_id: str) -> str:
        """Return the URL of the tenant's sign-in page."""
        self.authorize_url = self._application.endpoint("authorize")
        return await super().async_generate_authorize_url(flow_id)

    @override
    async def _token_request(self, data: dict[str, Any]) -> dict[str, Any]:
        """Call the tenant's token endpoint; unlike Home Assistant's method, report the error.

        Raises `AuthError`.
        """
        form = {**data, "scope": self._application.cloud.scope(self.resources[0])}
        return await post(async_get_clientsession(self.hass), self._application, "token", form)

    @property
    def _application(self) -> Application:
        """Return the app registration in the tenant."""
        return build_application(self.client_id, self.tenant, self.client_secret, self.cloud)
