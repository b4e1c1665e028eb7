"""Mail is from the configured sender address, whatever the sign-in name."""

from typing import Any, Final

from homeassistant.config_entries import SOURCE_RECONFIGURE, SOURCE_USER, ConfigFlowContext
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.outlook_smtp.const import DOMAIN
from custom_components.outlook_smtp.flows.smtp_import import BUILT_IN_SMTP

from .conftest import ADDRESS, PASSWORD
from .fake_microsoft import FakeServer, Identity, Misstep
from .fake_microsoft.identity_script import Endpoint
from .flows.test_config_flow import TYPED, Dialog
from .flows.test_options import DEFAULTS, submit
from .flows.test_sign_in import Open, SignIn, haste, open_dialog
from .helpers import mailer_of, outgoing
from .repair_helpers import CARL, Repair, add_built_in, built_in
from .test_sign_in_again import reauth, reconfigure

__all__ = ["haste", "open_dialog"]

SHARED: Final = "alarms@contoso.com"


def report_mailbox(identity: Identity, email: Any) -> None:
    """Let the ID token have a mailbox in addition to the sign-in name."""
    claims = {"preferred_username": ADDRESS, "email": email}
    identity.script.always[Endpoint.TOKEN] = Misstep(claims=claims)


async def open_password_dialog(hass: HomeAssistant) -> Dialog:
    """Open the dialog that adds an account with a password."""
    flows = hass.config_entries.flow
    menu = await flows.async_init(DOMAIN, context=ConfigFlowContext(source=SOURCE_USER))
    form = await flows.async_configure(menu["flow_id"], {"next_step_id": "password"})
    return Dialog(hass, form)


# The option


async def test_mail_is_from_the_sender_address(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """In header, envelope and Message-ID; the account's own notify entity uses it, too."""
    fake_server.mailboxes[ADDRESS].aliases = (SHARED,)
    await submit(hass, account, {"sender_address": f" {SHARED} ", "sender_name": "Alarms"})
    assert account.options == DEFAULTS | {"sender_address": SHARED, "sender_name": "Alarms"}
    for action, data in (
        ("send_message", {"entity_id": "notify.me_outlook_com", "message": "Hello"}),
        ("me_outlook_com", {"message": "Hello", "target": "anna@example.com"}),
    ):
        await hass.services.async_call("notify", action, data, blocking=True)
    to_itself, to_anna = fake_server.received
    assert to_itself.recipients == (SHARED,)
    assert to_anna.account == ADDRESS
    for mail in fake_server.received:
        assert mail.sender == SHARED
        assert mail.message["From"] == f"Alarms <{SHARED}>"
        assert mail.message["Message-ID"].endswith("@contoso.com>")


async def test_refused_sender_error_names_the_option(
    hass: HomeAssistant, account: MockConfigEntry
) -> None:
    """The first email shows it; the text names the option and quotes the server."""
    await submit(hass, account, {"sender_address": SHARED})
    with pytest.raises(HomeAssistantError, match="Under Sender address in the account's options"):
        await mailer_of(account).send(outgoing())
    [failed] = mailer_of(account).queue.failed
    assert failed.failure.problem == "sender_not_allowed"


async def test_sender_must_be_a_bare_address(hass: HomeAssistant, account: MockConfigEntry) -> None:
    """The name has its own option."""
    for value, error in (
        ("nobody", "missing_at"),
        ("Alarms <alarms@contoso.com>", "space_in_address"),
        ("a@example.com, b@example.com", "space_in_address"),
        ("a@example.com\nBcc: b@example.com", "line_break"),
    ):
        result = await submit(hass, account, {"sender_address": value})
        assert result["errors"] == {"sender_address": error}, value


# What Microsoft says of the mailbox


async def test_mailbox_of_the_id_token_becomes_the_sender(
    open_dialog: Open, identity: Identity, fake_server: FakeServer
) -> None:
    """A work account may sign in with a name that is not its address."""
    fake_server.mailboxes[ADDRESS].aliases = ("olga@contoso.com",)
    report_mailbox(identity, "olga@contoso.com")
    dialog: SignIn = await open_dialog()
    await dialog.sign_in()
    entry = dialog.result["result"]
    assert (entry.unique_id, entry.data["email"]) == (ADDRESS, ADDRESS)
    assert entry.options == {"sender_address": "olga@contoso.com"}
    await entry.runtime_data.mailer.send(outgoing())
    assert fake_server.received[-1].sender == "olga@contoso.com"


async def test_claim_without_another_address_sets_nothing(
    hass: HomeAssistant, open_dialog: Open, identity: Identity, subtests: pytest.Subtests
) -> None:
    """Mail is from the sign-in name."""
    for email in (None, ADDRESS.upper(), "", "olga", "a@b, c@d", ["x@y.z"]):
        with subtests.test(repr(email)):
            report_mailbox(identity, email)
            dialog = await open_dialog()
            await dialog.sign_in()
            entry = dialog.result["result"]
            await hass.config_entries.async_remove(entry.entry_id)
            assert entry.options == {}


@pytest.mark.parametrize("before", [{}, {"sender_address": SHARED}])
async def test_account_that_moves_to_the_sign_in_gets_its_sender(
    hass: HomeAssistant, account: MockConfigEntry, identity: Identity, before: dict[str, str]
) -> None:
    """An entered value is kept, and a cleared one does not come back with the next sign-in."""
    hass.config_entries.async_update_entry(account, options=before)
    await hass.async_block_till_done(wait_background_tasks=True)
    report_mailbox(identity, "olga@contoso.com")
    dialog = await reconfigure(hass, identity, account, "code")
    await dialog.sign_in()
    assert account.options == {"sender_address": "olga@contoso.com"} | before
    hass.config_entries.async_update_entry(account, options={})
    await hass.async_block_till_done(wait_background_tasks=True)
    dialog = await reauth(hass, identity, account)
    await dialog.sign_in()
    assert account.options == {}


@pytest.mark.parametrize(
    ("sender", "before", "options"),
    [
        (SHARED, {}, {"sender_address": SHARED}),
        (SHARED, {"sender_address": "a@example.com"}, {"sender_address": "a@example.com"}),
        (ADDRESS.upper(), {}, {}),
        ("nobody", {}, {}),
    ],
)
async def test_sender_of_the_built_in_integration_is_copied(
    hass: HomeAssistant,
    account: MockConfigEntry,
    hass_client: ClientSessionGenerator,
    *,
    sender: str,
    before: dict[str, str],
    options: dict[str, str],
) -> None:
    """If it differs from the sign-in name, and none is set here."""
    hass.config_entries.async_update_entry(account, options=before)
    await hass.async_block_till_done(wait_background_tasks=True)
    smtp = built_in(CARL, sender=sender)
    await add_built_in(hass, smtp)
    repair = Repair(hass, hass_client)
    await repair.open(BUILT_IN_SMTP, smtp)
    await repair.submit()
    assert repair.result["type"] == "create_entry"
    await hass.async_block_till_done(wait_background_tasks=True)
    assert account.options == options


# The user name of other servers


@pytest.mark.parametrize("username", ["apikey", r"CONTOSO\olga"])
async def test_other_server_can_have_a_user_name(
    hass: HomeAssistant, fake_server: FakeServer, storage: object, username: str
) -> None:
    """It signs in with the name, sends from the address, and drops the name at Microsoft."""
    fake_server.mailboxes.clear()
    fake_server.add_mailbox(username, PASSWORD, (ADDRESS,))
    server = {"host": "127.0.0.1", "port": fake_server.port, "security": "starttls"}
    dialog = await open_password_dialog(hass)
    await dialog.submit(account_kind="other")
    await dialog.submit(server, username="some\tbody")
    assert dialog.fault == ("server", {"username": "line_break"})
    await dialog.submit(server, username=f" {username} ")
    [entry] = hass.config_entries.async_entries(DOMAIN)
    assert entry.data == TYPED | server | {"account_kind": "other", "username": username}
    await entry.runtime_data.mailer.send(outgoing())
    assert (fake_server.received[-1].account, fake_server.received[-1].sender) == (
        username,
        ADDRESS,
    )

    flows = hass.config_entries.flow
    context = ConfigFlowContext(source=SOURCE_RECONFIGURE, entry_id=entry.entry_id)
    changed = Dialog(hass, await flows.async_init(DOMAIN, context=context))
    await changed.submit({"next_step_id": "server"})
    assert changed.filled_in == server | {"username": username}
    fake_server.mailboxes.clear()
    fake_server.add_mailbox(ADDRESS, PASSWORD)
    await changed.submit(server)
    assert "username" not in entry.data
    assert entry.runtime_data.coordinator.data.connected


async def test_user_name_is_dropped_at_microsoft(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """There, the address signs in, and the form asks for nothing else."""
    data = {**entry.data, "account_kind": "other", "username": "apikey"}
    hass.config_entries.async_update_entry(entry, data=data)
    dialog = Dialog(hass, await entry.start_reconfigure_flow(hass))
    await dialog.submit({"next_step_id": "change_password"})
    await dialog.submit(account_kind="personal")
    assert "username" not in entry.data
    dialog = Dialog(hass, await entry.start_reconfigure_flow(hass))
    await dialog.submit({"next_step_id": "server"})
    assert "username" not in dialog.filled_in
