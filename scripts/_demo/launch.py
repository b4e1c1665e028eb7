"""Starts a Home Assistant, and signs in to it as its UI does."""

import asyncio
from contextlib import AsyncExitStack
from typing import Final

import aiohttp

from .api import Api, wait_until_up
from .console import DemoError
from .home import Home

USER: Final = "demo"  # And the password.
START_TIMEOUT: Final = 120.0  # Seconds.


async def launch(stack: AsyncExitStack, home: Home, *, new: bool) -> Api:
    """Start Home Assistant and sign in, as a new user the first time."""
    session = await stack.enter_async_context(aiohttp.ClientSession())
    stack.push_async_callback(home.stop)
    await home.start()
    try:
        async with asyncio.timeout(START_TIMEOUT):
            await home.during(wait_until_up(session, home.url))
            api = await Api.sign_in(session, home.url, USER, new=new)
            stack.push_async_callback(api.close)
            await home.during(api.wait_until_running())
    except TimeoutError:
        raise DemoError(f"Home Assistant does not come up. Its log: {home.log}") from None
    # What the UI asks first: without an answer it does not open.
    await api.ask("get_services")
    # It lists integrations that Home Assistant starts with and that are not installed here.
    await api.call("persistent_notification.dismiss", {"notification_id": "invalid_config"})
    return api
