"""Actions open the connection while cameras, composing and the disk take their time."""

from datetime import timedelta
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.outlook_smtp.const import CONF_FLOOD_LIMIT, DOMAIN

from ..cameras import PICTURE, add_camera
from ..conftest import until
from ..fake_microsoft import FakeServer
from ..helpers import mailer_of, titles
from ..smtp.helpers import commands

SNAPSHOT = {"media_source": "media-source://camera/camera.doorbell"}
SEND = {"to": "anna@example.com", "title": "Door", "message": "Somebody rang"}


@pytest.mark.parametrize("is_old", [False, True])
async def test_connection_is_opened_while_a_snapshot_is_taken(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, is_old: bool
) -> None:
    """When the picture is there, the account is signed in; the message follows over the same."""

    async def take() -> bytes:
        """Return the picture once the server has been asked to let the account in."""
        await until(lambda: fake_server.connections and commands(fake_server)[-1:] == ["***"])
        assert fake_server.connections == 1
        return PICTURE

    assert await async_setup_component(hass, "media_source", {})
    await add_camera(hass, "Doorbell", take)
    await hass.async_block_till_done()
    fake_server.sessions.clear()
    if is_old:
        data: dict[str, Any] = {
            "message": "x",
            "title": "Door",
            "data": {"attachments": [SNAPSHOT]},
        }
        await hass.services.async_call("notify", "me_outlook_com", data, blocking=True)
    else:
        data = SEND | {"attachments": [SNAPSHOT]}
        await hass.services.async_call(DOMAIN, "send_message", data, blocking=True)
    assert fake_server.connections == 1
    assert titles(fake_server) == ["Door"]
    [attached] = fake_server.received[0].message.iter_attachments()
    assert attached.get_content() == PICTURE


async def test_notify_entity_opens_it_while_the_message_is_composed(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Composing and the disk take their time, too."""
    fake_server.sessions.clear()
    mailer = mailer_of(account)
    add = mailer.queue.add

    async def slow_add(*args: Any) -> Any:
        """Add a message once the account is signed in."""
        await until(lambda: fake_server.connections and commands(fake_server)[-1:] == ["***"])
        return await add(*args)

    monkeypatch.setattr(mailer.queue, "add", slow_add)
    [entity_id] = [each for each in hass.states.async_entity_ids("notify") if "family" not in each]
    await hass.services.async_call(
        "notify", "send_message", {"entity_id": entity_id, "message": "x", "title": "Door"}, True
    )
    assert titles(fake_server) == ["Door"]
    assert fake_server.connections == 1


async def test_nothing_is_opened_for_what_waits_or_is_refused(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
) -> None:
    """An email for later, one that the brake refuses, and one with a bad address need none."""
    fake_server.sessions.clear()
    later = (dt_util.utcnow() + timedelta(days=1)).isoformat()
    await hass.services.async_call(DOMAIN, "send_message", SEND | {"send_at": later}, blocking=True)
    mailer = mailer_of(account)
    while mailer.queue.brake.admit(100, is_urgent=False):
        pass
    hass.config_entries.async_update_entry(account, options={CONF_FLOOD_LIMIT: 100})
    for wrong in (SEND, SEND | {"to": "nobody"}):
        with pytest.raises(HomeAssistantError):
            await hass.services.async_call(DOMAIN, "send_message", wrong, blocking=True)
    assert mailer.worker._opening is None
    assert fake_server.connections == 0
