"""A diagnostics file is useful to its readers, and reveals no one."""

import re
from typing import Any

from homeassistant.const import __version__
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.components.diagnostics import (
    get_diagnostics_for_config_entry,
)
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.outlook_smtp import diagnostics
from custom_components.outlook_smtp.outbox.events import Attempt

from .conftest import ADDRESS, PASSWORD
from .fake_microsoft import FakeServer, Identity, Script, Step
from .helpers import ANNA, defer, mailer_of, outgoing


@pytest.mark.parametrize("refused", [False, True])
async def test_diagnostics_have_everything_but_secrets(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    hass_client: ClientSessionGenerator,
    refused: bool,
) -> None:
    """It has health, server and settings; it has no password, addresses or names."""
    if refused:
        reply = f"550 5.1.8 Access denied, bad outbound sender {ADDRESS}"
        fake_server.mailboxes[ADDRESS].script = Script(replies={Step.AUTH: reply})
        await account.runtime_data.coordinator.async_refresh()
    assert await async_setup_component(hass, "diagnostics", {})
    told: Any = await get_diagnostics_for_config_entry(hass, hass_client, account)
    assert told["health"]["connected"] is not refused
    assert told["health"]["problem"] == ("sender_blocked" if refused else None)
    assert told["server"]["tls_version"] == "TLSv1.3"
    assert told["server"]["size_limit"] == 157_286_400
    assert told["server"]["certificate"]["not_after"].endswith("GMT")
    assert told["server"]["certificate"]["issuer"]
    assert told["stage_seconds"].keys() >= {"resolve", "connect", "starttls", "auth"}
    assert (told["account_kind"], told["route"]) == ("personal", "smtp")
    assert told["versions"]["home_assistant"] == __version__
    assert told["versions"]["aiosmtplib"].startswith("5.")
    assert told["versions"]["integration"]
    assert told["data"]["port"] == fake_server.port
    assert told["recipients"] == 1
    for secret in (ADDRESS, PASSWORD, "anna@example.com"):
        assert secret not in str(told)


async def test_diagnostics_of_an_account_without_a_connection(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    fake_server: FakeServer,
    hass_client: ClientSessionGenerator,
) -> None:
    """Unknown values are empty."""
    fake_server.stop()
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert await async_setup_component(hass, "diagnostics", {})
    told: Any = await get_diagnostics_for_config_entry(hass, hass_client, entry)
    assert told["server"] is told["stage_seconds"] is None
    (outcome,) = told["last_outcomes"]
    assert (outcome["kind"], outcome["problem"]) == ("transient", "connection_refused")
    assert told["health"]["connected"] is None


async def test_diagnostics_of_a_signed_in_account_have_no_token(
    hass: HomeAssistant,
    signed_in_account: MockConfigEntry,
    identity: Identity,
    hass_client: ClientSessionGenerator,
) -> None:
    """Nothing that Microsoft issued is in the file."""
    assert await async_setup_component(hass, "diagnostics", {})
    told = str(await get_diagnostics_for_config_entry(hass, hass_client, signed_in_account))
    assert "'token': '**REDACTED**'" in told
    assert identity.issued
    assert [secret for secret in identity.issued if secret in told] == []


async def test_diagnostics_of_the_outbox(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    hass_client: ClientSessionGenerator,
) -> None:
    """Sizes, ages and reasons of waiting messages, failed ones and holds."""
    fake_server.script = Script(refuse_recipients={ANNA: f"550 5.1.1 {ANNA} is unknown"})
    with pytest.raises(HomeAssistantError):
        await mailer_of(account).send(outgoing("Secret title", text="Secret words"))
    reply = "550 5.1.90 Your message can't be sent: 10.20.30.40, daily limit"
    fake_server.script = Script(replies={Step.FINAL: reply})
    await defer(account, outgoing("Secret title", text="Secret words"))
    (waiting,) = mailer_of(account).queue.waiting
    assert await async_setup_component(hass, "diagnostics", {})
    told: Any = await get_diagnostics_for_config_entry(hass, hass_client, account)
    outbox = told["outbox"]
    assert (outbox["count"], outbox["failed_count"], outbox["oldest_age"]) == (1, 1, 0)
    assert outbox["bytes"] == outbox["waiting"][0]["size"] == waiting.entry.size
    (message,) = outbox["waiting"]
    assert (message["problem"], message["tries"], message["recipients"]) == ("daily_limit", 0, 1)
    assert message["due_in"] == outbox["hold"]["seconds_left"] == pytest.approx(86_400, abs=5)
    assert outbox["hold"]["kind"] == "quota"
    (failed,) = outbox["failed"]
    assert (failed["event"], failed["problem"]) == ("refused", "recipient_refused")
    check, refused, limited = told["last_outcomes"]
    assert (check["submitting"], check["kind"]) == (False, None)
    assert (refused["kind"], refused["code"], refused["enhanced"]) == ("message", 550, "5.1.1")
    assert (limited["submitting"], limited["kind"]) == (True, "quota")
    ids = (waiting.spooled.id, waiting.entry.message_id)
    for secret in (ADDRESS, ANNA, "Secret", "10.20.30.40", *ids):
        assert secret not in str(told)


async def test_diagnostics_of_an_endless_hold(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    hass_client: ClientSessionGenerator,
) -> None:
    """Without a known end, there is no number."""
    reply = "535 5.7.139 Authentication unsuccessful"
    fake_server.mailboxes[ADDRESS].script = Script(replies={Step.AUTH: reply})
    await defer(account)
    assert await async_setup_component(hass, "diagnostics", {})
    told: Any = await get_diagnostics_for_config_entry(hass, hass_client, account)
    assert told["outbox"]["hold"]["seconds_left"] is None
    assert (told["outbox"]["held_by_user"], told["outbox"]["delayed"]) == (False, 0)
    assert told["outbox"]["waiting"][0]["due_in"] is None


async def test_number_of_outcomes_is_limited(
    account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """An account with many connections remembers the last fifty."""
    coordinator = account.runtime_data.coordinator
    for latency in range(60):
        coordinator._async_on_attempt(Attempt(None, float(latency), submitting=True))
    assert [attempt.latency for _, attempt in coordinator.attempts] == list(range(10, 60))


@pytest.mark.parametrize(
    "reply",
    [
        "550 5.1.1 <anna@example.com>: gone",
        'Access denied, "odd name"@example.com',
        "bad sender anna.o'hara@[10.1.2.3]",
        "anna=40x@example.com;bert@example.com",
        "banned sending IP [10.11.12.13]",
        "banned 2001:db8:0:0:0:0:0:1 and fe80::1 (see https://aka.ms/postmaster)",
        "AADSTS50020: User account 'Anna Odd' does not exist in tenant 'Bert Ltd'.",
        "AADSTS700016: Application with identifier '2001aaaa-0000-4000-8000-00000000fe80'",
        "AADSTS90002: Tenant 2001aaaa-0000-4000-8000-00000000fe80 not found",
        "SendAsDenied; /o=ExchangeLabs/ou=Exchange Group (FY)/cn=Recipients/cn=2001-anna; no",
        "TERRL; bert.onmicrosoft.com has exceeded it",
        "relayed by bert-com.mail.protection.outlook.com",
    ],
)
def test_every_address_in_a_reply_is_hidden(reply: str) -> None:
    """Email addresses and host names are hidden, wherever they are."""
    shown = diagnostics._redacted(reply)
    assert "***" in shown
    assert not re.search(r"@|anna|bert|odd|10\.1|2001|fe80", shown)


def test_other_text_is_kept() -> None:
    """Codes, times and versions help the reader."""
    for reply in (
        "451 4.7.500 Server busy at 18:01:54 (15.20.9412.5), see https://aka.ms/a_b",
        "550 5.1.90 Your message can't be sent because you've reached your daily limit",
        "535 5.7.139 smtp-mail.outlook.com says it isn't so",
    ):
        assert diagnostics._redacted(reply) == reply


async def test_names_of_the_account_are_hidden(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    fake_server: FakeServer,
    hass_client: ClientSessionGenerator,
) -> None:
    """The sign-in name, the sender and their domains; outlook.com stays readable."""
    names = {"username": r"CONTOSO\olga", "tenant": "contoso.example"}
    hass.config_entries.async_update_entry(
        entry, data={**entry.data, **names}, options={"sender_address": "alarms@fabrikam.example"}
    )
    reply = r"535 5.7.3 Contoso\Olga (contoso.example, FABRIKAM.example) at outlook.com is unknown"
    fake_server.script = Script(replies={Step.AUTH: reply})
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert await async_setup_component(hass, "diagnostics", {})
    told: Any = await get_diagnostics_for_config_entry(hass, hass_client, entry)
    assert told["health"]["reply"] == "535 5.7.3 *** (***, ***) at outlook.com is unknown"
    assert not re.search("olga|contoso|fabrikam", str(told), re.IGNORECASE)
