"""Work accounts lose passwords at the end of December 2026, and are warned in time."""

from typing import Any, Final

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import SOURCE_REAUTH, SOURCE_RECONFIGURE
from homeassistant.const import CONF_HOST
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.outlook_smtp.const import CONF_ACCOUNT_KIND, DOMAIN
from custom_components.outlook_smtp.issues import issue_id_of
from custom_components.outlook_smtp.smtp.probe import Report, probe
from custom_components.outlook_smtp.smtp.settings import Account

from .conftest import ADDRESS
from .fake_microsoft import FakeServer, Identity, Script, Step
from .flows.test_sign_in import haste
from .helpers import defer, outgoing, pass_time, settle
from .repair_helpers import Repair, find_issue, raised
from .test_sign_in_again import Repair as Dialog

__all__ = ["haste"]

KEY: Final = "passwords_end"
OFFICE: Final = "smtp.office365.com"
ENDED: Final = "550 5.7.30 Basic authentication is not supported for Client Submission."


@pytest.fixture
def office(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevent connections to the real server."""

    async def check(account: Account, on_stage: Any) -> Report:
        if account.server.host.lower().startswith(OFFICE):
            raise OSError("not in a test")
        return await probe(account, on_stage)

    monkeypatch.setattr("custom_components.outlook_smtp.smtp.route.probe", check)


async def set_up(hass: HomeAssistant, entry: MockConfigEntry, host: str) -> None:
    """Set up a work account with a host as its server."""
    data = {**entry.data, CONF_ACCOUNT_KIND: "work", CONF_HOST: host}
    hass.config_entries.async_update_entry(entry, data=data)
    await settle(hass, entry)


@pytest.mark.usefixtures("office")
@pytest.mark.parametrize("host", [OFFICE, "SMTP.Office365.com."])
async def test_work_account_with_a_password_gets_an_issue(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    identity: Identity,
    hass_client: ClientSessionGenerator,
    host: str,
) -> None:
    """The issue has the date, leads to the sign-in in place, and ends when that is done."""
    await set_up(hass, entry, host)
    issue = find_issue(hass, KEY, entry)
    assert issue
    assert issue.severity is ir.IssueSeverity.WARNING
    repair = Repair(hass, hass_client)
    await repair.open(KEY, entry)
    assert "At the end of December 2026" in repair.text
    assert OFFICE in repair.text
    for _ in range(2):
        await repair.open(KEY, entry)
        await repair.submit()
        assert repair.result["reason"] == "sign_in_started"
        [flow] = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
        assert flow["context"]["source"] == SOURCE_RECONFIGURE
        assert repair.result["next_flow"] == ["config_flow", flow["flow_id"]]
    assert find_issue(hass, KEY, entry)
    shown = await hass.config_entries.flow.async_configure(flow["flow_id"])
    dialog = Dialog(hass, identity, shown)
    await dialog.choose("code", ["code", "browser", "graph", "change_password", "server"])
    await dialog.sign_in()
    dialog.assert_ended("reconfigure_successful")
    assert raised(hass) == []


@pytest.mark.usefixtures("office")
async def test_dismissed_issue_is_not_raised_again(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """A reload raises no new issue; the removed account leaves none behind."""
    await set_up(hass, entry, OFFICE)
    ir.async_ignore_issue(hass, DOMAIN, issue_id_of(KEY, entry.entry_id), ignore=True)
    assert await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    issue = find_issue(hass, KEY, entry)
    assert issue
    assert issue.dismissed_version
    await hass.config_entries.async_remove(entry.entry_id)
    assert find_issue(hass, KEY, entry) is None


@pytest.mark.usefixtures("office")
async def test_other_accounts_get_no_issue(
    hass: HomeAssistant, entry: MockConfigEntry, signed_in: MockConfigEntry
) -> None:
    """Those that have signed in, and other servers."""
    await set_up(hass, signed_in, OFFICE)
    assert raised(hass) == []


async def test_other_server_gets_no_issue(hass: HomeAssistant, account: MockConfigEntry) -> None:
    """Its passwords stay."""
    assert raised(hass) == []


@pytest.mark.parametrize("step", [Step.AUTH, Step.MAIL, Step.DATA, Step.FINAL])
async def test_end_of_passwords_is_recognized(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    freezer: FrozenDateTimeFactory,
    step: Step,
) -> None:
    """The mail waits, one dialog leads to the sign-in, and nothing is retried."""
    fake_server.mailboxes[ADDRESS].script = Script(replies={step: ENDED})
    await defer(account)
    await hass.async_block_till_done()
    assert account.runtime_data.coordinator.data.problem == "basic_auth_disabled"
    assert raised(hass) == []
    [flow] = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
    assert (flow["context"]["source"], flow["step_id"]) == (SOURCE_REAUTH, "passwords_refused")
    tries = fake_server.connections
    for _ in range(6):
        await pass_time(hass, freezer, hours=4)
    await defer(account, outgoing("Second"))
    assert fake_server.connections == tries
