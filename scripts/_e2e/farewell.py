"""Scenes at the end of an account's life: its diagnostics are fetched, it is removed."""

import asyncio
import json
from pathlib import Path

from scripts._demo.console import DemoError

from .stage import INTEGRATION, OTHER, OWN, OWN_PASSWORD, Stage


async def download_diagnostics(stage: Stage) -> None:
    """The diagnostics are downloaded, and tell no secret and no address."""
    screen = stage.screen
    await screen.open(INTEGRATION)
    await screen.press("Menu", screen.entry(OWN))
    async with screen.page.expect_download() as downloading:
        await screen.choose_item("Download diagnostics")
    download = await downloading.value
    text = await asyncio.to_thread(Path(await download.path()).read_text)
    if "health" not in json.dumps(json.loads(text)["data"]):
        raise DemoError(f"The diagnostics say nothing of the account's health: {text}")
    secrets = {OWN, OWN_PASSWORD, "anna@example.com", *stage.identity.issued}
    if told := [secret for secret in secrets if secret in text]:
        raise DemoError(f"The diagnostics tell what nobody may know: {told}")


async def remove_accounts(stage: Stage) -> None:
    """Both accounts are removed, and nothing of them is left."""
    screen = stage.screen
    for address in (OTHER, OWN):
        await screen.press("Menu", screen.entry(address))
        await screen.choose_item("Delete")
        await screen.see("Delete", screen.dialog)
        await screen.submit("Delete")
        await screen.see_no_entry(address)
        await stage.wait_for_state(f"notify.{address.replace('@', '_').replace('.', '_')}", None)
