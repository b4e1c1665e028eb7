"""Goes through Home Assistant's dialogs as its UI does, and reads what a person would read."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
import re
from typing import Any, Final

from .api import Api
from .console import DemoError

DOMAIN: Final = "outlook_smtp"
ENTRY_FLOW: Final = "/api/config/config_entries/flow"
PROGRESS_TIMEOUT: Final = 60.0  # Seconds that one stage of the check may take.
RECIPIENT_FLOW: Final = "/api/config/config_entries/subentries/flow"

type Step = dict[str, Any]


class Texts:
    """The integration's texts in English."""

    def __init__(self, resources: Mapping[str, str]) -> None:
        """Keep the texts by their full keys."""
        self._resources = resources

    @classmethod
    async def load(cls, api: Api) -> Texts:
        """Fetch the texts of dialogs, as the UI does before it shows one."""
        resources: dict[str, str] = {}
        for category in ("config", "config_subentries"):
            answer = await api.ask(
                "frontend/get_translations", language="en", category=category, integration=[DOMAIN]
            )
            resources |= answer["resources"]
        return cls(resources)

    def of(self, key: str, step: Step) -> str:
        """Return a text with a step's values filled in."""
        name = f"component.{DOMAIN}.{key}"
        if name not in self._resources:
            raise DemoError(f"The text {name} is missing: a person would read its key.")
        values = step.get("description_placeholders") or {}
        return re.sub(r"{(\w+)}", lambda match: str(values[match[1]]), self._resources[name])


async def add_account(
    api: Api, account: Mapping[str, Any], server: Mapping[str, Any], tell: Callable[[str], None]
) -> Step:
    """Go through the dialog that adds an account, from its menu to its end.

    Args:
        api: Home Assistant.
        account: What a person types in the first form.
        server: What a person types in the form of another server.
        tell: Is told every text on the way.

    """
    texts = await Texts.load(api)
    progress = await api.subscribe("data_entry_flow_progressed")
    step = await _choose(api, texts, "password", tell)
    for form in (account, server):
        tell(f"Form: {texts.of(f'config.step.{step["step_id"]}.title', step)}")
        step = await _submit(api, step, form)
        _require_no_error(step, texts)
    return await _follow(api, texts, progress, step, tell)


async def add_account_by_code(
    api: Api,
    client_id: str,
    sign_in: Callable[[str], None],
    tell: Callable[[str], None],
) -> Step:
    """Go through the dialog that adds an account which signs in with a code.

    Args:
        api: Home Assistant.
        client_id: The app registration.
        sign_in: Is given the code, and plays the person who types it on Microsoft's page.
        tell: Is told every text on the way.

    """
    texts = await Texts.load(api)
    progress = await api.subscribe("data_entry_flow_progressed")
    step = await _choose(api, texts, "code", tell)
    tell(f"Form: {texts.of('config.step.code.title', step)}")
    step = await _submit(api, step, {"client_id": client_id, "advanced": {"tenant": "common"}})
    _require_no_error(step, texts)
    shown = step["description_placeholders"]
    tell(f"Form: {texts.of('config.step.show_code.title', step)}: {shown['code']}, {shown['url']}")
    step = await _submit(api, step, {})
    sign_in(shown["code"])
    return await _follow(api, texts, progress, step, tell)


async def _choose(api: Api, texts: Texts, option: str, tell: Callable[[str], None]) -> Step:
    """Open the dialog that adds an account, and choose how to sign in."""
    step: Step = await api.post(ENTRY_FLOW, {"handler": DOMAIN})
    tell(f"Menu: {texts.of('config.step.user.title', step)}")
    tell(f"Choice: {texts.of(f'config.step.user.menu_options.{option}', step)}")
    return await _submit(api, step, {"next_step_id": option})


async def _follow(
    api: Api, texts: Texts, progress: asyncio.Queue[Any], step: Step, tell: Callable[[str], None]
) -> Step:
    """Follow a progress to its end, as the UI does: at every piece of news it asks anew."""
    shown = None
    while step["type"] == "progress":
        if shown != (shown := texts.of(f"config.progress.{step['progress_action']}", step)):
            tell(f"Progress: {shown}")
        async with asyncio.timeout(PROGRESS_TIMEOUT):
            await progress.get()
        step = await api.get(f"{ENTRY_FLOW}/{step['flow_id']}")
    _require_no_error(step, texts)
    return step


async def add_recipient(api: Api, flow_id: str, recipient: Mapping[str, Any]) -> None:
    """Fill in the dialog of the recipient that is offered once an account is added."""
    step = await api.post(f"{RECIPIENT_FLOW}/{flow_id}", recipient)
    if step["type"] != "create_entry":
        raise DemoError(f"The recipient was not added: {step.get('errors')}")


async def add_camera(api: Api, name: str, file_path: str) -> None:
    """Add a camera that shows a picture from a file, and give it a name and its entity id.

    What Home Assistant calls it by itself depends on the release.
    """
    step = await api.post(ENTRY_FLOW, {"handler": "local_file"})
    step = await _submit(api, step, {"name": name, "file_path": file_path})
    if step["type"] != "create_entry":
        raise DemoError(f"The camera was not added: {step.get('errors')}")
    entry_id = step["result"]["entry_id"]
    entities = await api.ask("config/entity_registry/list")
    for entity in entities:
        if entity["config_entry_id"] == entry_id:
            await api.ask(
                "config/entity_registry/update",
                entity_id=entity["entity_id"],
                new_entity_id=f"camera.{name.lower().replace(' ', '_')}",
                name=name,
            )


async def _submit(api: Api, step: Step, values: Mapping[str, Any]) -> Step:
    """Submit a form with the values that it asks for, or choose from a menu."""
    if step["type"] == "form":
        values = pick_values(step["data_schema"], values)
    result: Step = await api.post(f"{ENTRY_FLOW}/{step['flow_id']}", values)
    return result


def pick_values(fields: Iterable[Mapping[str, Any]], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that a form asks for; other releases ask for other ones.

    Raises:
        DemoError: If the form requires a value that is not there.

    """
    asked = {field["name"]: field for field in fields}
    missing = [
        name
        for name, field in asked.items()
        if field.get("required") and "default" not in field and name not in values
    ]
    if missing:
        raise DemoError(f"A form requires {', '.join(missing)}, which the demo does not know.")
    return {name: value for name, value in values.items() if name in asked}


def _require_no_error(step: Step, texts: Texts) -> None:
    """Complain in the words that the dialog shows, if it shows an error or gave up."""
    if step["type"] == "abort":
        raise DemoError(f"The dialog gave up: {texts.of(f'config.abort.{step["reason"]}', step)}")
    for key in (step.get("errors") or {}).values():
        raise DemoError(f"The dialog shows an error: {texts.of(f'config.error.{key}', step)}")
