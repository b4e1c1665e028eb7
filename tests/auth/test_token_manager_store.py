"""The token manager and its storage: nothing is lost, whatever fails or is canceled."""

import asyncio
from collections.abc import Mapping
import gc
from typing import Any

import pytest

from custom_components.outlook_smtp.auth.tokens import Token, TokenManager
from tests.fake_microsoft import Identity, identity_script as script

from .conftest import CALLERS, SMTP, Clock, Disk


async def test_token_is_stored_before_it_is_returned(
    manager: TokenManager, token: Token, disk: Disk, identity: Identity
) -> None:
    """No caller gets the new token before it is on disk, not even a later one."""
    disk.ready.clear()
    waiting = [
        asyncio.create_task(manager.replace(SMTP, token.access_token)) for _ in range(CALLERS)
    ]
    await disk.asked.wait()
    late = [asyncio.create_task(manager.access_token(SMTP)) for _ in range(CALLERS)]
    done, _ = await asyncio.wait(waiting + late, timeout=0.01)
    assert not done
    disk.ready.set()
    assert set(await asyncio.gather(*waiting, *late)) == {disk.tokens[0].access_token}
    assert (len(disk.tokens), identity.count("token")) == (1, 1)


async def test_canceling_while_storing_keeps_the_token(
    manager: TokenManager, token: Token, disk: Disk, identity: Identity
) -> None:
    """Canceling a caller does not cancel the renewal: the old token is void by now."""
    disk.ready.clear()
    waiting = asyncio.create_task(manager.replace(SMTP, token.access_token))
    await disk.asked.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    disk.ready.set()
    await manager.settle()
    assert len(disk.tokens) == 1
    assert await manager.access_token(SMTP) == disk.tokens[0].access_token
    assert identity.count("token") == 1


async def test_canceling_during_the_request_keeps_the_token(token: Token, disk: Disk) -> None:
    """A response in transit is processed and stored, even if no caller is waiting."""
    asked, answered = asyncio.Event(), asyncio.Event()

    async def endpoint(_: Mapping[str, str]) -> dict[str, Any]:
        """Take some time."""
        asked.set()
        await answered.wait()
        return {"access_token": "new", "refresh_token": "newer", "expires_in": 3599}

    manager = TokenManager(token, endpoint, disk.store)
    waiting = asyncio.create_task(manager.replace(SMTP, token.access_token))
    await asked.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    answered.set()
    await manager.settle()
    assert [stored.refresh_token for stored in disk.tokens] == ["newer"]
    assert await manager.access_token(SMTP) == "new"


async def test_unawaited_failure_is_silent(
    manager: TokenManager,
    token: Token,
    disk: Disk,
    identity: Identity,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A failure that no caller waits for is not logged as an error."""
    identity.script.then("token", script.SERVER_ERROR)
    waiting = asyncio.create_task(manager.replace(SMTP, token.access_token))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    await manager.settle()
    await asyncio.sleep(0)
    gc.collect()
    assert caplog.text == ""
    assert disk.tokens == []


async def test_canceled_renewal_ends_its_callers(token: Token, disk: Disk, clock: Clock) -> None:
    """Canceling the renewal at shutdown ends the waiting callers."""

    async def get_canceled(form: Mapping[str, str]) -> dict[str, Any]:
        """Get canceled."""
        raise asyncio.CancelledError

    clock.now = token.renew_at
    with pytest.raises(asyncio.CancelledError):
        await TokenManager(token, get_canceled, disk.store).access_token(SMTP)


async def test_token_works_while_the_disk_is_full(
    manager: TokenManager,
    token: Token,
    disk: Disk,
    identity: Identity,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A token that cannot be stored is used anyway, and stored as soon as possible."""
    disk.error = OSError(28, "No space left on device")
    renewed = await manager.replace(SMTP, token.access_token)
    assert await manager.access_token(SMTP) == renewed != token.access_token
    assert disk.tokens == []
    assert caplog.messages == ["Could not store the renewed sign-in: No space left on device"] * 2
    disk.error = None
    assert await manager.access_token(SMTP) == renewed
    assert [stored.access_token for stored in disk.tokens] == [renewed]
    assert await manager.access_token(SMTP) == renewed
    assert len(disk.tokens) == identity.count("token") == 1


async def test_token_refused_while_it_is_stored_is_replaced(
    manager: TokenManager, token: Token, disk: Disk, identity: Identity
) -> None:
    """A token refused while it is stored late is replaced like any other."""
    disk.error = OSError(28, "No space left on device")
    renewed = await manager.replace(SMTP, token.access_token)
    disk.error = None
    disk.ready.clear()
    disk.asked.clear()
    storing = asyncio.create_task(manager.access_token(SMTP))
    await disk.asked.wait()
    replacing = asyncio.create_task(manager.replace(SMTP, renewed))
    await asyncio.sleep(0)
    disk.ready.set()
    newest = await replacing
    assert await storing == newest
    assert [stored.access_token for stored in disk.tokens] == [renewed, newest]
    assert identity.count("token") == 2


async def test_bug_in_the_store_keeps_the_token(
    manager: TokenManager, token: Token, disk: Disk
) -> None:
    """A bug is raised, and the token is not lost."""
    disk.error = RuntimeError("a fault of the program")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="a fault of the program"):
            await manager.replace(SMTP, token.access_token)
    disk.error = None
    renewed = await manager.access_token(SMTP)
    assert disk.tokens[0].access_token == renewed != token.access_token
