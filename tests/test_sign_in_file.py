"""A renewed token is on disk at once, for its account alone, and for as long as it counts."""

import asyncio
import logging
from pathlib import Path
import threading
from typing import Any

from homeassistant.const import CONF_CLIENT_ID, CONF_TOKEN, EVENT_HOMEASSISTANT_STOP
from homeassistant.core import HomeAssistant
from homeassistant.helpers.json import save_json
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.outlook_smtp import token_store
from custom_components.outlook_smtp.const import CONF_TENANT, DOMAIN
from custom_components.outlook_smtp.token_store import TokenFile, async_load_tokens

from .conftest import new_token, until
from .fake_microsoft import Identity
from .test_health import send
from .test_sign_in_again import tokens_in
from .test_token_store import REFRESH, Account, renew, tokens_of


class Disk:
    """The file of an account's renewed token."""

    def __init__(self, path: Path) -> None:
        """Know where it is."""
        self.path = path

    def read(self) -> str:
        """Return what is on disk, if there is anything."""
        return self.path.read_text() if self.path.is_file() else ""

    def write(self, text: str) -> None:
        """Put something else there."""
        self.path.write_text(text)

    @property
    def mode(self) -> int:
        """Return who may read it."""
        return self.path.stat().st_mode & 0o777

    def fail(self) -> None:
        """Let it be neither readable nor writable, whoever runs the tests."""
        self.path.mkdir()

    def heal(self) -> None:
        """Let it be in order again."""
        self.path.rmdir()


@pytest.fixture
def disk(storage: Path, signed_in: MockConfigEntry) -> Disk:
    """Return where the account's renewed token is kept."""
    return Disk(storage / f"outlook_smtp.{signed_in.entry_id}.token")


async def test_a_crash_after_a_renewal_loses_nothing(
    hass: HomeAssistant, signed_in_account: Account, identity: Identity, disk: Disk
) -> None:
    """What was on disk when the renewal was over is enough; nobody else may read it."""
    data = signed_in_account.data
    await renew(identity, signed_in_account)
    survived = disk.read()
    assert disk.mode == 0o600
    assert signed_in_account.data is data
    assert await hass.config_entries.async_unload(signed_in_account.entry_id)
    disk.write(survived)
    assert await hass.config_entries.async_setup(signed_in_account.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert identity.grant_types == [REFRESH]
    await renew(identity, signed_in_account)
    assert identity.grant_types == [REFRESH] * 2


@pytest.mark.parametrize("obtained_at", [1.0, 4e9])
async def test_a_new_sign_in_wins(
    hass: HomeAssistant, signed_in_account: Account, identity: Identity, obtained_at: float
) -> None:
    """What was renewed before it counts no more, even if the clock says that it is newer."""
    await renew(identity, signed_in_account)
    token = (await new_token(hass, identity)).as_dict() | {"obtained_at": obtained_at}
    data = {**signed_in_account.data, CONF_TOKEN: token}
    hass.config_entries.async_update_entry(signed_in_account, data=data)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert await TokenFile(hass, signed_in_account).async_load() == data
    assert await tokens_of(signed_in_account).get() == token["access_token"]


async def test_an_account_that_still_runs_with_its_password_has_the_new_tokens(
    hass: HomeAssistant, account: Account, identity: Identity
) -> None:
    """A check may come between the change of an account and its reload."""
    account.update_listeners.clear()
    token = (await new_token(hass, identity)).as_dict()
    registration = {CONF_CLIENT_ID: identity.client_id, CONF_TENANT: "common"}
    data = {**account.data, **registration, CONF_TOKEN: token}
    hass.config_entries.async_update_entry(account, data=data)
    tokens = await async_load_tokens(hass, account)
    assert tokens
    assert await tokens.get() == token["access_token"]


@pytest.mark.parametrize(
    "content",
    ["", '{"sign_in": ', "[]", "{}", '{"sign_in": %s}', '{"sign_in": %s, "token": {}}', None],
)
async def test_a_damaged_file_does_not_stop_the_account(
    hass: HomeAssistant, signed_in: Account, identity: Identity, disk: Disk, content: str | None
) -> None:
    """The token of the last sign-in is used in its place."""
    if content is None:
        disk.fail()
    else:
        disk.write(content.replace("%s", str(signed_in.data[CONF_TOKEN]["obtained_at"])))
    assert await hass.config_entries.async_setup(signed_in.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert signed_in.runtime_data.coordinator.data.connected
    assert await tokens_of(signed_in).get() == signed_in.data[CONF_TOKEN]["access_token"]


async def test_a_disk_that_is_full_does_not_stop_the_mail(
    hass: HomeAssistant,
    signed_in_account: Account,
    identity: Identity,
    disk: Disk,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The renewed token is used, and stored as soon as that works."""
    disk.fail()
    await renew(identity, signed_in_account)
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "could not be stored" in warnings[-1].getMessage()
    disk.heal()
    await send(hass)
    assert disk.read()
    assert identity.grant_types == [REFRESH]


async def test_a_removed_account_leaves_no_token(
    hass: HomeAssistant, signed_in_account: Account, identity: Identity, disk: Disk
) -> None:
    """The file goes with the account."""
    await renew(identity, signed_in_account)
    assert disk.read()
    await hass.config_entries.async_remove(signed_in_account.entry_id)
    assert not disk.read()


@pytest.mark.parametrize("end", ["unload", "stop"])
async def test_a_renewal_under_way_is_seen_to_its_end(
    hass: HomeAssistant,
    signed_in_account: Account,
    disk: Disk,
    monkeypatch: pytest.MonkeyPatch,
    end: str,
) -> None:
    """Neither unloading the account nor stopping Home Assistant loses a token."""
    asked, ready = threading.Event(), threading.Event()

    def slow(*args: Any, **kwargs: Any) -> None:
        asked.set()
        ready.wait(5)
        save_json(*args, **kwargs)

    monkeypatch.setattr(token_store, "save_json", slow)
    old = signed_in_account.data[CONF_TOKEN]["access_token"]
    renewing = asyncio.create_task(tokens_of(signed_in_account).replace(old))
    await until(asked.is_set)
    if end == "unload":
        ending = asyncio.create_task(hass.config_entries.async_unload(signed_in_account.entry_id))
    else:
        hass.bus.async_fire(EVENT_HOMEASSISTANT_STOP)
        ending = asyncio.create_task(hass.async_block_till_done())  # type: ignore[arg-type]
    await asyncio.wait([ending], timeout=0.05)
    assert not ending.done()
    assert not disk.read()
    ready.set()
    await ending
    assert disk.read()
    await renewing


async def test_two_accounts_share_nothing(
    hass: HomeAssistant,
    signed_in_account: Account,
    identity: Identity,
    storage: Path,
) -> None:
    """Each has its own token and its own file, and the end of one is not felt by the other."""
    address = "other@outlook.com"
    identity.fake_server.add_mailbox(address, "x")
    token = (await new_token(hass, identity, address)).as_dict()
    data = {**signed_in_account.data, "email": address, CONF_TOKEN: token}
    other = MockConfigEntry(domain=DOMAIN, title=address, unique_id=address, data=data)
    other.add_to_hass(hass)
    assert await hass.config_entries.async_setup(other.entry_id)
    await renew(identity, signed_in_account)
    identity.revoke(address)
    await other.runtime_data.coordinator.async_refresh()
    assert other.runtime_data.coordinator.data.problem == "sign_in_required"
    await renew(identity, signed_in_account)
    assert tokens_in(storage) == [f"outlook_smtp.{signed_in_account.entry_id}.token"]
