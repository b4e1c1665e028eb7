"""Shared helpers of the repair tests: issues, their texts, and the dialogs over the real API."""

from http import HTTPStatus
import re
from types import MappingProxyType
from typing import Any

from homeassistant.components.repairs import DOMAIN as REPAIRS
from homeassistant.config_entries import ConfigEntryState, ConfigSubentry
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.outlook_smtp.const import DOMAIN
from custom_components.outlook_smtp.issues import issue_id_of

from .conftest import ADDRESS
from .fake_microsoft import CATALOGUE, FakeServer, Script
from .helpers import defer, outgoing
from .test_repository import INTEGRATION, read_json

ISSUES: dict[str, Any] = read_json(INTEGRATION / "translations" / "en.json")["issues"]
CARL, DORA = ("Carl", "carl@example.com"), ("Dora", "dora@example.com")


def script_of(name: str) -> Script:
    """Return the script for a row of the catalogue."""
    return Script.for_row(next(row for row in CATALOGUE if row.name == name))


def find_issue(hass: HomeAssistant, key: str, entry: MockConfigEntry) -> ir.IssueEntry | None:
    """Return an issue of an entry, if it is raised."""
    issue = ir.async_get(hass).async_get_issue(DOMAIN, issue_id_of(key, entry.entry_id))
    return issue if issue and issue.active else None


def raised(hass: HomeAssistant) -> list[str]:
    """Return the keys of all raised issues of this integration."""
    issues = ir.async_get(hass).issues.values()
    return sorted(
        str(issue.translation_key) for issue in issues if issue.domain == DOMAIN and issue.active
    )


async def fill_outbox(hass: HomeAssistant, entry: MockConfigEntry, fake_server: FakeServer) -> None:
    """Let two messages wait for an unreachable server, which is the limit."""
    options = {"max_messages": 2, "max_size": 1}
    hass.config_entries.async_update_entry(entry, options=options)
    await hass.async_block_till_done(wait_background_tasks=True)
    fake_server.stop()
    await defer(entry, outgoing("First"), outgoing("Second"))


def placeholders(issue: ir.IssueEntry | None) -> dict[str, str]:
    """Return the placeholders of an issue's texts."""
    assert issue
    assert issue.translation_placeholders
    return issue.translation_placeholders


def fill(text: str, placeholders: dict[str, str]) -> str:
    """Return a text with its placeholders filled in; each must have a value."""
    return re.sub(r"\{(\w+)\}", lambda match: placeholders[match[1]], text)


def _subentry(title: str, address: str | None) -> ConfigSubentry:
    """Return a recipient as the built-in integration stores it."""
    return ConfigSubentry(
        data=MappingProxyType({}), subentry_type="recipient", title=title, unique_id=address
    )


def built_in(
    *recipients: tuple[str, str | None], options: dict[str, Any] | None = None, **data: Any
) -> MockConfigEntry:
    """Return an entry of the built-in integration, not yet added."""
    return MockConfigEntry(
        domain="smtp",
        title="Old mail",
        data={
            "sender": ADDRESS,
            "server": "smtp-mail.outlook.com",
            "port": 587,
            "encryption": "starttls",
            "username": ADDRESS,
            "password": "old-password",
            "verify_ssl": True,
        }
        | data,
        options=options or {},
        subentries_data=[_subentry(*recipient).as_dict() for recipient in recipients],
    )


async def add_built_in(hass: HomeAssistant, smtp: MockConfigEntry) -> None:
    """Add an entry, as a dialog of the built-in integration does."""
    smtp.mock_state(hass, ConfigEntryState.NOT_LOADED)
    smtp.add_to_hass(hass)
    # Signaled as Home Assistant does for new entries.
    hass.config_entries.async_update_entry(smtp, title=f"{smtp.title} of ours")
    await hass.async_block_till_done()


class Repair:
    """A repair dialog, as the frontend uses it."""

    def __init__(self, hass: HomeAssistant, hass_client: ClientSessionGenerator) -> None:
        """Store the client of its user."""
        self._hass = hass
        self._hass_client = hass_client
        self._key = ""
        self._known: dict[str, str] = {}
        self.result: dict[str, Any] = {}

    @property
    def description(self) -> str:
        """Return the description of the current step, as the user reads it."""
        step = ISSUES[self._key]["fix_flow"]["step"][self.result["step_id"]]
        return fill(step["description"], self.result["description_placeholders"])

    async def open(self, key: str, entry: MockConfigEntry) -> dict[str, Any]:
        """Open the dialog of an issue."""
        assert await async_setup_component(self._hass, REPAIRS, {})
        issue = find_issue(self._hass, key, entry)
        assert issue
        self._key = key
        self._known = issue.translation_placeholders or {}
        return await self._post("", {"handler": DOMAIN, "issue_id": issue.issue_id})

    async def submit(self) -> dict[str, Any]:
        """Submit the form."""
        return await self._post(f"/{self.result['flow_id']}", {})

    async def choose(self, option: str) -> dict[str, Any]:
        """Choose from the menu."""
        assert self.result["type"] == "menu"
        assert option in self.result["menu_options"]
        return await self._post(f"/{self.result['flow_id']}", {"next_step_id": option})

    @property
    def text(self) -> str:
        """Return the visible text: of a form or a menu, an end, or an error."""
        flow = ISSUES[self._key]["fix_flow"]
        placeholders = self._known | (self.result.get("description_placeholders") or {})
        match self.result["type"]:
            case "abort":
                texts = [flow["abort"][self.result["reason"]]]
            case "create_entry":
                texts = [flow["create_entry"][self.result["description"] or "default"]]
            case _:
                step = flow["step"][self.result["step_id"]]
                errors = (self.result.get("errors") or {}).values()
                options = self.result.get("menu_options") or ()
                texts = [step["title"], step["description"]]
                texts += [flow["error"][error] for error in errors]
                for part in ("menu_options", "menu_option_descriptions"):
                    texts += [step[part][option] for option in options]
        filled = "\n".join(fill(text, placeholders) for text in texts)
        assert "{" not in filled
        return filled

    async def _post(self, path: str, data: dict[str, Any]) -> dict[str, Any]:
        """Send a request, and check that there are texts for its response."""
        client = await self._hass_client()
        response = await client.post(f"/api/repairs/issues/fix{path}", json=data)
        assert response.status == HTTPStatus.OK, await response.text()
        self.result = await response.json()
        assert self.text
        return self.result
