"""An account comes to life, offline or not, and goes to rest without a trace."""

from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import MockConfigEntry

from .standin import StandIn


async def test_smoke(hass: HomeAssistant, account: MockConfigEntry, standin: StandIn) -> None:
    """."""
    print(hass.states.async_all(), list(hass.services.async_services()["notify"]))
    await hass.services.async_call("notify", "send_message", {"entity_id": "notify.me_outlook_com", "message": "hello"}, blocking=True)
    await hass.services.async_call("notify", "me_outlook_com", {"message": "hello", "title": "t"}, blocking=True)
    print(await hass.services.async_call("outlook_smtp", "send_message", {"entity_id": "notify.family", "html": "<b>Hello</b>", "cc": "notify.me_outlook_com"}, blocking=True, return_response=True))
    for r in standin.received: print(r.recipients, r.content.decode())
    print(hass.states.get("binary_sensor.me_outlook_com_connection"))
    assert 0
