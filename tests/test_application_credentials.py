"""Application credentials: Home Assistant's dialog about them, and how they are shown."""

from homeassistant.components.application_credentials import (
    DOMAIN as CREDENTIALS,
    ClientCredential,
    async_import_client_credential,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers.config_entry_oauth2_flow import async_get_implementations
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.typing import WebSocketGenerator

from custom_components.outlook_smtp.application_credentials import (
    MicrosoftImplementation,
    async_get_auth_implementation,
)
from custom_components.outlook_smtp.auth.clouds import Resource
from custom_components.outlook_smtp.const import DOMAIN, SIGN_IN_DOCS

from .conftest import ADDRESS
from .fake_microsoft import Identity

BACK = "https://example.com/auth/external/callback"


@pytest.fixture(autouse=True)
async def component(hass: HomeAssistant) -> None:
    """Set up application credentials."""
    assert await async_setup_component(hass, CREDENTIALS, {})


async def test_dialog_has_the_redirect_uri(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator
) -> None:
    """Its text has the redirect URI and a link to the instructions."""
    client = await hass_ws_client(hass)
    await client.send_json_auto_id({"type": "application_credentials/config"})
    answer = await client.receive_json()
    assert DOMAIN in answer["result"]["domains"]
    assert answer["result"]["integrations"][DOMAIN]["description_placeholders"] == {
        "more_info_url": SIGN_IN_DOCS,
        "redirect_url": "https://my.home-assistant.io/redirect/oauth",
    }


async def test_each_dialog_has_its_own_verifier(hass: HomeAssistant) -> None:
    """Two simultaneous sign-ins share neither verifier nor tenant."""
    await async_import_client_credential(hass, DOMAIN, ClientCredential("id", "s"), "mine")
    first, second = [(await async_get_implementations(hass, DOMAIN))["mine"] for _ in range(2)]
    assert first is not second
    assert first.code_verifier != second.code_verifier  # type: ignore[attr-defined]


@pytest.mark.parametrize(("name", "shown"), [("House", "House"), (None, "id")])
async def test_credentials_are_shown_by_name(
    hass: HomeAssistant, name: str | None, shown: str
) -> None:
    """Credentials without a name are shown with their client ID."""
    credential = ClientCredential("id", "secret", name)
    assert (await async_get_auth_implementation(hass, DOMAIN, credential)).name == shown


async def test_the_page_may_ask_for_both_resources(hass: HomeAssistant, identity: Identity) -> None:
    """What comes back is redeemed for the first of them: Microsoft refuses two at once."""
    credential = ClientCredential(identity.client_id, identity.client_secret)
    implementation = MicrosoftImplementation(hass, DOMAIN, credential)
    implementation.resources = (Resource.GRAPH, Resource.SMTP)
    asked = implementation.extra_authorize_data
    query = {"response_type": "code", "redirect_uri": BACK, **asked}
    code = identity.authorization_code("common", query, ADDRESS)
    assert asked["scope"] == (
        "https://graph.microsoft.com/Mail.Send https://outlook.office.com/SMTP.Send "
        "offline_access openid profile email"
    )
    assert identity.consents[ADDRESS] == set(Resource)
    back = {"code": code, "state": {"redirect_uri": BACK}}
    answer = await implementation.async_resolve_external_data(back)
    assert answer["access_token"] in identity.access_tokens[Resource.GRAPH]
    assert identity.requests[-1].form["scope"] == (
        "https://graph.microsoft.com/Mail.Send offline_access openid profile email"
    )
