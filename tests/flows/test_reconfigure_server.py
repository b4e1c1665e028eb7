"""Moving from the built-in SMTP integration goes as docs/moving.md says."""

import json
import socket
from types import MappingProxyType

from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.outlook_smtp.const import CONF_RECIPIENTS, SUBENTRY_RECIPIENT

from ..conftest import ADDRESS, PASSWORD
from ..fake_microsoft import FakeServer
from ..readme import actions, example
from ..repair_helpers import built_in
from ..run_example import run

ANNA, BERT = "anna@example.com", "bert@example.com"


@pytest.fixture
async def old_entry(
    hass: HomeAssistant, fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> MockConfigEntry:
    """Return a loaded entry of the built-in integration, with the title that its dialog gives."""
    monkeypatch.setattr(socket, "getfqdn", lambda: "home.example")  # It asks DNS who it is.
    smtp = built_in(
        ("Anna", ANNA),
        ("Bert", BERT),
        server="127.0.0.1",
        port=fake_server.port,
        password=PASSWORD,
    )
    smtp.add_to_hass(hass)
    hass.config_entries.async_update_entry(smtp, title=ADDRESS)
    assert await hass.config_entries.async_setup(smtp.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    return smtp


@pytest.fixture
async def moved(
    hass: HomeAssistant, entry: MockConfigEntry, old_entry: MockConfigEntry
) -> MockConfigEntry:
    """Return an account that is set up beside the built-in entry, with its recipients."""
    for title, address in (("Anna", ANNA), ("Bert", BERT)):
        recipient = ConfigSubentry(
            data=MappingProxyType({CONF_RECIPIENTS: [address]}),
            subentry_type=SUBENTRY_RECIPIENT,
            title=title,
            unique_id=None,
        )
        hass.config_entries.async_add_subentry(entry, recipient)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    return entry


@pytest.mark.usefixtures("moved")
async def test_moving_only_changes_the_action_and_the_target(
    hass: HomeAssistant, fake_server: FakeServer
) -> None:
    """The example sends the same to the same recipient, before and after."""
    await run(hass, example("# before"))

    before, after = fake_server.received
    assert before.recipients == after.recipients == (ANNA,)
    assert before.message["Subject"] == after.message["Subject"] == "Front door"
    for mail in (before, after):
        assert mail.message.get_content().strip() == "Someone rang the bell."


@pytest.mark.usefixtures("moved")
async def test_several_targets_share_an_email(hass: HomeAssistant, fake_server: FakeServer) -> None:
    """This is the first difference that docs/moving.md names."""
    before, after = actions("# before")
    for action in (before, after):
        entity_id = action["target"]["entity_id"]
        action["target"]["entity_id"] = [entity_id, entity_id.replace("anna", "bert")]
        await run(hass, json.dumps(action))

    *old, new = fake_server.received
    assert sorted(mail.recipients for mail in old) == [(ANNA,), (BERT,)]
    assert new.recipients == (ANNA, BERT)


async def test_action_of_the_same_name_needs_a_reload(
    hass: HomeAssistant, fake_server: FakeServer, moved: MockConfigEntry, old_entry: MockConfigEntry
) -> None:
    """The built-in entry keeps the name while it is loaded; ours gets it after a reload."""
    text = example("images:").replace("/media/basement.jpg", f"{hass.config.config_dir}/none.jpg")
    name = actions("images:")[0]["action"].partition(".")[2]
    assert hass.services.has_service("notify", name)
    await hass.config_entries.async_remove(old_entry.entry_id)
    assert not hass.services.has_service("notify", name)
    assert await hass.config_entries.async_reload(moved.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)

    # From then on, a missing image does not stop the email, as docs/moving.md says.
    hass.config.allowlist_external_dirs = {hass.config.config_dir}
    await run(hass, text)
    [mail] = fake_server.received
    assert "none.jpg" in mail.message.get_content()
