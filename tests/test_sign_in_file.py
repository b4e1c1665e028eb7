"""A renewed token is on disk at once, for its account only, and for as long as it is valid."""

import asyncio
import json
import logging
from pathlib import Path
import threading
from typing import Any, Final

from homeassistant.const import CONF_CLIENT_ID, CONF_TOKEN, EVENT_HOMEASSISTANT_STOP
from homeassistant.core import HomeAssistant
from homeassistant.helpers.json import save_json
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.outlook_smtp import token_store
from custom_components.outlook_smtp.auth.clouds import Resource
from custom_components.outlook_smtp.const import CONF_TENANT, DOMAIN
from custom_components.outlook_smtp.token_store import TokenFile, async_load_tokens

from .conftest import new_token, until
from .fake_microsoft import Identity
from .helpers import settle
from .test_health import send
from .test_sign_in_again import tokens_in
from .test_token_store import REFRESH, Account, renew, tokens_of

LATER_TOKEN = {
    "access_token": "EwB4",
    "refresh_token": "M.C507",
    "obtained_at": 1,
    "expires_at": 2,
    "resource": "unknown",
}


class Disk:
    """The file of an account's renewed token."""

    def __init__(self, path: Path) -> None:
        """Set its path."""
        self.path = path

    def read(self) -> str:
        """Return the content on disk, if any."""
        return self.path.read_text() if self.path.is_file() else ""

    def write(self, text: str) -> None:
        """Write other content."""
        self.path.write_text(text)

    @property
    def mode(self) -> int:
        """Return its permissions."""
        return self.path.stat().st_mode & 0o777

    def fail(self) -> None:
        """Make it neither readable nor writable, whatever user runs the tests."""
        self.path.mkdir()

    def repair(self) -> None:
        """Make it work again."""
        self.path.rmdir()


@pytest.fixture
def disk(storage: Path, signed_in: MockConfigEntry) -> Disk:
    """Return the file of the account's renewed token."""
    return Disk(storage / f"outlook_smtp.{signed_in.entry_id}.token")


async def test_crash_after_a_renewal_loses_nothing(
    hass: HomeAssistant, signed_in_account: Account, identity: Identity, disk: Disk
) -> None:
    """The file written by the renewal is sufficient, and private to its owner."""
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
async def test_new_sign_in_takes_precedence(
    hass: HomeAssistant, signed_in_account: Account, identity: Identity, obtained_at: float
) -> None:
    """Earlier renewals do not count anymore, even if the clock says that they are newer."""
    await renew(identity, signed_in_account)
    token = (await new_token(hass, identity)).as_dict() | {"obtained_at": obtained_at}
    data = {**signed_in_account.data, CONF_TOKEN: token}
    hass.config_entries.async_update_entry(signed_in_account, data=data)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert await TokenFile(hass, signed_in_account).async_load() == data
    assert await tokens_of(signed_in_account).get() == token["access_token"]


async def test_account_still_using_its_password_has_the_new_tokens(
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
    assert await tokens.access_token(Resource.SMTP) == token["access_token"]


DAMAGED: Final = (
    "",
    '{"sign_in": ',
    "[]",
    "{}",
    '{"sign_in": %s}',
    '{"sign_in": %s, "token": {}}',
    f'{{"sign_in": %s, "token": {json.dumps(LATER_TOKEN)}}}',
    None,
)


async def test_damaged_file_does_not_stop_the_account(
    hass: HomeAssistant,
    signed_in: Account,
    identity: Identity,
    disk: Disk,
    subtests: pytest.Subtests,
) -> None:
    """The token of the last sign-in is used instead."""
    for content in DAMAGED:
        with subtests.test(content or "no file"):
            if content is None:
                disk.path.unlink()
                disk.fail()
            else:
                disk.write(content.replace("%s", str(signed_in.data[CONF_TOKEN]["obtained_at"])))
            await settle(hass, signed_in)
            assert signed_in.runtime_data.coordinator.data.connected
            assert await tokens_of(signed_in).get() == signed_in.data[CONF_TOKEN]["access_token"]
            assert await hass.config_entries.async_unload(signed_in.entry_id)


async def test_full_disk_does_not_stop_mail(
    hass: HomeAssistant,
    signed_in_account: Account,
    identity: Identity,
    disk: Disk,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The renewed token is used, and stored as soon as possible."""
    disk.fail()
    await renew(identity, signed_in_account)
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "Could not store" in warnings[-1].getMessage()
    disk.repair()
    await send(hass)
    assert disk.read()
    assert identity.grant_types == [REFRESH]


async def test_removed_account_leaves_no_token(
    hass: HomeAssistant, signed_in_account: Account, identity: Identity, disk: Disk
) -> None:
    """The file is deleted with the account."""
    await renew(identity, signed_in_account)
    assert disk.read()
    await hass.config_entries.async_remove(signed_in_account.entry_id)
    assert not disk.read()


@pytest.mark.parametrize("end", ["unload", "stop"])
async def test_renewal_in_progress_is_completed(
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
    """Each has its own token and file, and removing one does not affect the other."""
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
