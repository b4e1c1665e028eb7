"""An account that sends through Microsoft Graph does all that an account over SMTP does."""

from pathlib import Path
from typing import Any, Final

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components import system_health
from homeassistant.config_entries import SOURCE_REAUTH
from homeassistant.const import CONF_TOKEN, STATE_OFF, STATE_ON
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import device_registry as dr, issue_registry as ir
from homeassistant.helpers.translation import async_get_translations
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, get_system_health_info
from pytest_homeassistant_custom_component.components.diagnostics import (
    get_diagnostics_for_config_entry,
)
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.outlook_smtp.auth.clouds import CLOUDS, Resource
from custom_components.outlook_smtp.const import CONF_CLOUD, CONF_ROUTE, DOMAIN
from custom_components.outlook_smtp.delivery.faults import Fault, Kind, Problem
from custom_components.outlook_smtp.errors import fault_error
from custom_components.outlook_smtp.graph.answers import CATALOGUE, REQUEST_LIMIT

from .conftest import ADDRESS, new_token, until
from .fake_microsoft import FakeGraph, FakeServer, Identity
from .fake_microsoft.graph_rows import DENIED, GRAPH_CATALOGUE, GraphAnswer
from .helpers import (
    ANNA,
    BERT,
    act,
    ask,
    defer,
    mailer_of,
    outgoing,
    pass_time,
    settle,
    shut_down,
    state_of,
    until_empty,
)
from .promises import GRAPH_ATTACHMENTS, GRAPH_LIMIT, GRAPH_REQUEST
from .readme import GUIDE

MICROSOFT: Final = dict(CLOUDS)  # Before fakes take their places.
CONNECTION: Final = "binary_sensor.me_outlook_com_connection"
# What a person who sends through Graph has nothing to do with.
SMTP_WORDS: Final = ("587", "465", "STARTTLS", "XOAUTH2", "primary address", "EHLO")
MET: Final = (
    *dict.fromkeys(problem for _, _, problem in CATALOGUE),
    Problem.ANSWER_LOST,
    Problem.APPLICATION_REFUSED,
    Problem.BARE_LINEFEED,
    Problem.CERTIFICATE_EXPIRED,
    Problem.CERTIFICATE_NONCOMPLIANT,
    Problem.CERTIFICATE_UNTRUSTED,
    Problem.CERTIFICATE_WRONG_HOST,
    Problem.CLOCK_WRONG,
    Problem.CONNECTION_LOST,
    Problem.CONNECTION_REFUSED,
    Problem.HOST_NOT_FOUND,
    Problem.IDENTITY_REFUSED,
    Problem.IDENTITY_UNREACHABLE,
    Problem.NETWORK_UNREACHABLE,
    Problem.SERVICE_UNAVAILABLE,
    Problem.SIGN_IN_REQUIRED,
    Problem.TLS_FAILED,
    Problem.TLS_TOO_OLD,
    Problem.UNEXPECTED_ANSWER,
    Problem.UNEXPECTED_REPLY,
    Problem.UTF8_NOT_SUPPORTED,
    Problem.WRONG_SECURITY,
)


async def test_account_is_checked_without_sending(
    hass: HomeAssistant,
    graph_account: MockConfigEntry,
    graph: FakeGraph,
    fake_server: FakeServer,
) -> None:
    """Its sensor is on and names the route, and nothing touches the SMTP server."""
    state = state_of(hass, CONNECTION)
    assert (state.state, state.attributes["route"]) == (STATE_ON, "graph")
    assert state_of(hass, "sensor.me_outlook_com_status").state == "ok"
    assert len(graph.requests) == 1
    assert graph.received == []
    assert fake_server.connections == 0


async def test_device_page_shows_the_route(
    graph_account: MockConfigEntry, device_registry: dr.DeviceRegistry
) -> None:
    """It stands in parentheses after the model."""
    device = device_registry.async_get_device_by_identifier(
        (DOMAIN, graph_account.entry_id), graph_account.entry_id
    )
    assert device
    assert (device.model, device.model_id) == ("Outlook.com", "Microsoft Graph")


async def test_every_route_has_a_name(hass: HomeAssistant) -> None:
    """In the attribute of the sensor, as in its other attributes."""
    texts = await async_get_translations(hass, "en", "entity", [DOMAIN])
    prefix = f"component.{DOMAIN}.entity.binary_sensor.connection.state_attributes.route"
    assert {key: text for key, text in texts.items() if key.startswith(prefix)} == {
        f"{prefix}.name": "Route",
        f"{prefix}.state.graph": "Microsoft Graph",
        f"{prefix}.state.smtp": "SMTP",
    }


ENTRANCES: Final[tuple[tuple[str, str, dict[str, Any], tuple[str, ...]], ...]] = (
    ("notify", "send_message", {"entity_id": "notify.family"}, (ANNA, BERT)),
    ("notify", "me_outlook_com", {"target": ANNA}, (ANNA,)),
    (DOMAIN, "send_message", {"to": ANNA}, (ANNA,)),
    ("button", "press", {"entity_id": "button.me_outlook_com_send_test_email"}, (ADDRESS,)),
)


@pytest.mark.usefixtures("graph_account")
async def test_every_entrance_leads_through_graph(
    hass: HomeAssistant, graph: FakeGraph, fake_server: FakeServer, subtests: pytest.Subtests
) -> None:
    """The notify entity, the legacy notifier, the action and the button."""
    count = "sensor.me_outlook_com_sent_in_the_last_24_hours"
    for domain, action, data, recipients in ENTRANCES:
        with subtests.test(f"{domain}.{action}"):
            graph.received.clear()
            before = int(state_of(hass, count).state)
            message = {} if domain == "button" else {"message": "Somebody rang"}
            await hass.services.async_call(domain, action, data | message, blocking=True)
            (sent,) = graph.received
            assert (sent.account, sent.recipients) == (ADDRESS, recipients)
            assert fake_server.connections == 0
            assert int(state_of(hass, count).state) == before + len(recipients)


@pytest.mark.usefixtures("graph_account")
async def test_blind_copy_reaches_its_recipient_and_is_seen_by_nobody(
    hass: HomeAssistant, graph: FakeGraph
) -> None:
    """The file arrives as well, and the response has all recipients."""
    response = await ask(hass, "send_message", to=ANNA, bcc=BERT, title="Door", message="Hello")
    assert (response["status"], response["accepted"]) == ("sent", [ANNA, BERT])
    (sent,) = graph.received
    assert sent.recipients == (ANNA, BERT)
    assert BERT not in sent.message.as_string()
    assert sent.message["Message-ID"] == response["message_id"]


@pytest.mark.usefixtures("graph_account")
async def test_attachment_arrives(hass: HomeAssistant, graph: FakeGraph, tmp_path: Path) -> None:
    """Byte for byte."""
    hass.config.allowlist_external_dirs = {str(tmp_path)}
    content = bytes(range(256)) * 100
    (tmp_path / "report.pdf").write_bytes(content)
    await act(hass, "send_message", to=ANNA, attachments=[{"path": str(tmp_path / "report.pdf")}])
    (sent,) = graph.received
    (file,) = sent.message.iter_attachments()
    assert (file.get_filename(), file.get_payload(decode=True)) == ("report.pdf", content)


async def test_refused_recipient_is_named_and_the_others_get_the_message(
    hass: HomeAssistant, graph_account: MockConfigEntry, graph: FakeGraph
) -> None:
    """Though Microsoft refuses the whole message; it is tried once more, for the others."""
    graph.unresolved = {BERT}
    response = await ask(hass, "send_message", to=[ANNA, BERT], message="Hello")
    assert (response["status"], response["accepted"]) == ("partially_sent", [ANNA])
    (refused,) = response["refused"]
    assert refused["recipient"] == BERT
    assert "400 ErrorInvalidRecipients" in refused["reply"]
    assert [sent.recipients for sent in graph.received] == [(ANNA,)]
    with pytest.raises(HomeAssistantError, match=BERT):
        await act(hass, "send_message", to=BERT, message="Hello")
    assert mailer_of(graph_account).queue.waiting == []


async def test_sensor_goes_off_and_on_and_mail_waits_meanwhile(
    hass: HomeAssistant,
    graph_account: MockConfigEntry,
    graph: FakeGraph,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Nothing is lost while Microsoft Graph cannot be reached."""
    graph.stop()
    response = await ask(hass, "send_message", to=ANNA, message="Hello")
    assert (response["status"], response["problem"]) == ("queued", "connection_refused")
    await pass_time(hass, freezer, seconds=61)
    state = state_of(hass, CONNECTION)
    assert (state.state, state.attributes["problem"]) == (STATE_OFF, "connection_refused")
    assert state.attributes["route"] == "graph"
    graph.start()
    await act(hass, "flush_outbox")
    await until_empty(graph_account)
    await hass.async_block_till_done()
    assert state_of(hass, CONNECTION).state == STATE_ON
    assert [sent.message["Message-ID"] for sent in graph.received] == [response["message_id"]]


async def test_throttled_account_is_left_alone_as_long_as_microsoft_asks(
    hass: HomeAssistant,
    graph_account: MockConfigEntry,
    graph: FakeGraph,
    freezer: FrozenDateTimeFactory,
) -> None:
    """The message is queued, and sent once the time is over."""
    answer = GraphAnswer(
        status=429, code="ApplicationThrottled", message="Wait.", headers={"Retry-After": "120"}
    )
    await pass_time(hass, freezer)  # The check that is due because time was frozen.
    graph.answers.append(answer)
    response = await ask(hass, "send_message", to=ANNA, message="Hello")
    assert (response["status"], response["problem"]) == ("queued", "sender_throttled")
    assert response["reply"].startswith("429 ApplicationThrottled Wait.")
    (waiting,) = (await ask(hass, "list_outbox"))["waiting"]
    assert waiting["last_reply"] == response["reply"]
    # No attempt could confirm the problem any sooner.
    assert state_of(hass, CONNECTION).state == "off"
    assert state_of(hass, CONNECTION).attributes["problem"] == "sender_throttled"
    requests = len(graph.requests)
    await pass_time(hass, freezer, seconds=100)
    assert (graph.received, len(graph.requests)) == ([], requests)
    await pass_time(hass, freezer, seconds=60)
    await until_empty(graph_account)
    assert len(graph.received) == 1
    await hass.async_block_till_done(wait_background_tasks=True)
    assert state_of(hass, CONNECTION).state == "on"


async def test_mail_survives_a_restart(
    hass: HomeAssistant, graph_account: MockConfigEntry, graph: FakeGraph
) -> None:
    """It is sent once, with the same Message-ID."""
    graph.stop()
    (receipt,) = await defer(graph_account)
    await shut_down(hass, graph_account)
    graph.start()
    await settle(hass, graph_account)
    await until_empty(graph_account)
    (sent,) = graph.received
    assert sent.message["Message-ID"] == receipt.message_id
    assert state_of(hass, CONNECTION).attributes["route"] == "graph"


async def test_waiting_mail_moves_to_graph_with_its_account(
    hass: HomeAssistant,
    graph: FakeGraph,
    signed_in_account: MockConfigEntry,
    identity: Identity,
    fake_server: FakeServer,
) -> None:
    """What waits for SMTP is sent through Graph, to the same recipients, and the sensor says so."""
    entry = signed_in_account
    assert state_of(hass, CONNECTION).attributes["route"] == "smtp"
    fake_server.stop()
    (receipt,) = await defer(entry, outgoing("Door", ANNA, BERT))
    token = await new_token(hass, identity, resource=Resource.GRAPH)
    data = {**entry.data, CONF_ROUTE: "graph", CONF_TOKEN: token.as_dict()}
    hass.config_entries.async_update_entry(entry, data=data)
    await hass.async_block_till_done(wait_background_tasks=True)
    await until_empty(entry)
    (sent,) = graph.received
    assert (sent.recipients, sent.message["Message-ID"]) == ((ANNA, BERT), receipt.message_id)
    assert state_of(hass, CONNECTION).attributes["route"] == "graph"


# Size


@pytest.mark.usefixtures("graph_account")
async def test_promised_attachments_fit_into_a_request(
    hass: HomeAssistant, graph: FakeGraph, tmp_path: Path
) -> None:
    """2.2 MB of them, in Base64 twice."""
    assert REQUEST_LIMIT == graph.limit == GRAPH_REQUEST
    assert f"an email of {GRAPH_LIMIT} MB or about 2.2 MB of attachments" in GUIDE
    hass.config.allowlist_external_dirs = {str(tmp_path)}
    (tmp_path / "photo.jpg").write_bytes(b"\xff" * GRAPH_ATTACHMENTS)
    await act(hass, "send_message", to=ANNA, attachments=[{"path": str(tmp_path / "photo.jpg")}])
    assert len(graph.received) == 1
    assert (graph.requests[-1].length or 0) < GRAPH_REQUEST


async def test_larger_message_is_tried_once_and_the_error_names_the_limit(
    hass: HomeAssistant, graph_account: MockConfigEntry, graph: FakeGraph, tmp_path: Path
) -> None:
    """It also says that SMTP accepts more; the message is kept among the failed ones."""
    hass.config.allowlist_external_dirs = {str(tmp_path)}
    (tmp_path / "film.mp4").write_bytes(b"\xff" * (GRAPH_REQUEST + 1))
    requests = len(graph.requests)
    with pytest.raises(HomeAssistantError) as caught:
        await act(hass, "send_message", to=ANNA, attachments=[{"path": str(tmp_path / "film.mp4")}])
    assert not isinstance(caught.value, ServiceValidationError)
    said = str(caught.value)
    assert f"messages of up to {GRAPH_LIMIT} MB" in said
    assert "2.2 MB of attachments" in said
    assert "Where SMTP is allowed for me@outlook.com, it accepts more" in said
    assert "413" in said
    assert len(graph.requests) == requests + 1
    queue = mailer_of(graph_account).queue
    assert (queue.waiting, len(queue.failed)) == ([], 1)
    assert state_of(hass, CONNECTION).state == STATE_ON


@pytest.mark.usefixtures("graph_account")
async def test_mailbox_that_takes_more_gets_more(
    hass: HomeAssistant, graph: FakeGraph, tmp_path: Path
) -> None:
    """Some tenants do, so the documented limit stops nothing."""
    graph.limit = 10 * GRAPH_REQUEST
    hass.config.allowlist_external_dirs = {str(tmp_path)}
    (tmp_path / "film.mp4").write_bytes(b"\xff" * (GRAPH_REQUEST + 1))
    await act(hass, "send_message", to=ANNA, attachments=[{"path": str(tmp_path / "film.mp4")}])
    assert len(graph.received) == 1


@pytest.mark.usefixtures("graph_account")
async def test_file_that_no_mailbox_takes_is_refused_unread(
    hass: HomeAssistant, graph: FakeGraph, tmp_path: Path
) -> None:
    """The error names what Microsoft Graph accepts, not what SMTP would."""
    hass.config.allowlist_external_dirs = {str(tmp_path)}
    with (tmp_path / "film.mp4").open("wb") as file:
        file.truncate(157_286_401)
    requests = len(graph.requests)
    with pytest.raises(ServiceValidationError, match=f'"film.mp4".*{GRAPH_LIMIT} MB'):
        await act(hass, "send_message", to=ANNA, attachments=[{"path": str(tmp_path / "film.mp4")}])
    assert len(graph.requests) == requests


# What goes wrong


async def test_text_of_a_problem_is_right_for_graph(
    graph_account: MockConfigEntry, subtests: pytest.Subtests
) -> None:
    """No error sends a person to ports, permissions and addresses that only SMTP has."""
    for problem in MET:
        with subtests.test(str(problem)):
            fault = Fault(Kind.ACCOUNT, problem, 400, "ErrorOdd", "Odd.")
            text = str(fault_error(fault, ADDRESS, graph_account.runtime_data.route))
            assert text != problem
            assert [word for word in SMTP_WORDS if word in text] == []
            assert ("SMTP.Send" in text) <= ("Mail.Send for Microsoft Graph" in text)
            assert "{" not in text


def test_all_known_answers_are_covered() -> None:
    """No problem that Graph is known to answer with is left out above."""
    assert {row.meaning.partition(" ")[2] for row in GRAPH_CATALOGUE} <= set(MET)


async def test_missing_permission_is_named(
    hass: HomeAssistant, graph_account: MockConfigEntry, graph: FakeGraph
) -> None:
    """The sensor shows it, and Home Assistant asks to sign in again."""
    denied = GraphAnswer(status=403, code="ErrorAccessDenied", message=DENIED)
    graph.answers.extend([denied] * 2)  # Once more with a new token.
    response = await ask(hass, "send_message", to=ANNA, message="Hello")
    assert response["problem"] == "no_send_permission"
    await hass.async_block_till_done()
    state = state_of(hass, CONNECTION)
    assert (state.state, state.attributes["problem"]) == (STATE_OFF, "no_send_permission")
    assert any(graph_account.async_get_active_flows(hass, {SOURCE_REAUTH}))
    fault = Fault(Kind.CREDENTIALS, Problem.NO_SEND_PERMISSION)
    assert "Mail.Send" in str(fault_error(fault, ADDRESS, graph_account.runtime_data.route))


async def test_mailbox_without_graph_is_explained(
    hass: HomeAssistant,
    graph_account: MockConfigEntry,
    graph: FakeGraph,
    issue_registry: ir.IssueRegistry,
) -> None:
    """The repair says why and names the other route; the message waits."""
    words = "The mailbox is either inactive, soft-deleted, or is hosted on-premise."
    code = "MailboxNotEnabledForRESTAPI"
    graph.answers.append(GraphAnswer(status=404, code=code, message=words))
    response = await ask(hass, "send_message", to=ANNA, message="Hello")
    assert (response["status"], response["problem"]) == ("queued", "mailbox_not_supported")
    issue_id = f"setup_problem_{graph_account.entry_id}"
    await until(lambda: issue_registry.async_get_issue(DOMAIN, issue_id))
    issue = issue_registry.async_get_issue(DOMAIN, issue_id)
    assert issue
    assert issue.translation_placeholders
    assert "choose Reconfigure to send over SMTP" in issue.translation_placeholders["explanation"]
    assert state_of(hass, "sensor.me_outlook_com_status").state == "mailbox_not_supported"


# Diagnostics and system health


async def test_diagnostics_name_the_route_and_its_last_answer(
    hass: HomeAssistant,
    graph_account: MockConfigEntry,
    identity: Identity,
    hass_client: ClientSessionGenerator,
) -> None:
    """Without addresses and tokens."""
    assert await async_setup_component(hass, "diagnostics", {})
    told: Any = await get_diagnostics_for_config_entry(hass, hass_client, graph_account)
    assert told["route"] == told["data"]["route"] == "graph"
    assert told["server"]["status"] == 400
    assert told["server"]["error_code"] == "ErrorMimeContentInvalidBase64String"
    assert told["stage_seconds"].keys() == {"connect", "auth"}
    assert identity.issued
    assert [secret for secret in (*identity.issued, ADDRESS, ANNA) if secret in str(told)] == []


async def health_page(hass: HomeAssistant) -> dict[str, Any]:
    """Return the content of the system health page, once all of it is there."""
    assert await async_setup_component(hass, "system_health", {})
    await hass.async_block_till_done()
    info: dict[str, Any] = await get_system_health_info(hass, DOMAIN)
    return {key: value if isinstance(value, int) else await value for key, value in info.items()}


@pytest.mark.usefixtures("graph_account")
async def test_system_health_shows_whether_graph_is_reachable(
    hass: HomeAssistant, graph: FakeGraph
) -> None:
    """No SMTP server is mentioned."""
    shown = {"accounts": 1, "waiting": 0, "failed": 0, "can_reach_sign_in": "ok"}
    assert await health_page(hass) == shown | {"can_reach_graph": "ok"}
    graph.stop()
    failed = {"type": "failed", "error": "unreachable"}
    assert await health_page(hass) == shown | {"can_reach_graph": failed}


@pytest.mark.parametrize(
    ("name", "sign_in", "endpoint"),
    [
        ("gcc_high", "https://login.microsoftonline.us/", "https://graph.microsoft.us/"),
        (
            "china",
            "https://login.chinacloudapi.cn/",
            "https://microsoftgraph.chinacloudapi.cn/",
        ),
    ],
)
async def test_system_health_asks_the_cloud_of_the_account(
    hass: HomeAssistant,
    graph_account: MockConfigEntry,
    monkeypatch: pytest.MonkeyPatch,
    *,
    name: str,
    sign_in: str,
    endpoint: str,
) -> None:
    """Each cloud has a sign-in and a Graph of its own, and lines of its own."""
    data = {**graph_account.data, CONF_CLOUD: name}
    hass.config_entries.async_update_entry(graph_account, data=data)
    await hass.async_block_till_done(wait_background_tasks=True)
    monkeypatch.setitem(CLOUDS, name, MICROSOFT[name])  # No longer the fakes.
    asked: list[str] = []

    async def note(_: HomeAssistant, url: str) -> str:
        """Note what is asked."""
        asked.append(url)
        return "ok"

    monkeypatch.setattr(system_health, "async_check_can_reach_url", note)
    shown = await health_page(hass)
    assert shown[f"can_reach_sign_in_{name}"] == shown[f"can_reach_graph_{name}"] == "ok"
    asked_sign_in, asked_graph = asked
    assert asked_sign_in.startswith(sign_in)
    assert asked_graph.startswith(endpoint)
