"""The token manager and its disk: nothing is lost, whatever breaks and whoever gives up."""

import asyncio
from collections.abc import Mapping
import gc
from typing import Any

import pytest

from custom_components.outlook_smtp.auth.tokens import Token, TokenManager
from tests.fake_microsoft import Identity, identity_script as script

from .conftest import CALLERS, Clock, Disk


async def test_stored_before_handed_out(
    manager: TokenManager, token: Token, disk: Disk, identity: Identity
) -> None:
    """Nobody gets the new token while it is not on disk, not even who comes later."""
    disk.ready.clear()
    waiting = [asyncio.create_task(manager.replace(token.access_token)) for _ in range(CALLERS)]
    await disk.asked.wait()
    late = [asyncio.create_task(manager.access_token()) for _ in range(CALLERS)]
    done, _ = await asyncio.wait(waiting + late, timeout=0.01)
    assert not done
    disk.ready.set()
    assert set(await asyncio.gather(*waiting, *late)) == {disk.tokens[0].access_token}
    assert (len(disk.tokens), identity.count("token")) == (1, 1)


async def test_cancelled_while_storing(
    manager: TokenManager, token: Token, disk: Disk, identity: Identity
) -> None:
    """Whoever gives up does not take the renewal along: the old token is void by now."""
    disk.ready.clear()
    waiting = asyncio.create_task(manager.replace(token.access_token))
    await disk.asked.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    disk.ready.set()
    await manager.settle()
    assert len(disk.tokens) == 1
    assert await manager.access_token() == disk.tokens[0].access_token
    assert identity.count("token") == 1


async def test_cancelled_while_asking(token: Token, disk: Disk) -> None:
    """An answer that is on its way is taken in and stored, even if nobody waits for it."""
    asked, answered = asyncio.Event(), asyncio.Event()

    async def endpoint(_: Mapping[str, str]) -> dict[str, Any]:
        """Take some time."""
        asked.set()
        await answered.wait()
        return {"access_token": "new", "refresh_token": "newer", "expires_in": 3599}

    manager = TokenManager(token, endpoint, disk.store)
    waiting = asyncio.create_task(manager.replace(token.access_token))
    await asked.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    answered.set()
    await manager.settle()
    assert [stored.refresh_token for stored in disk.tokens] == ["newer"]
    assert await manager.access_token() == "new"


async def test_nobody_hears_the_failure(
    manager: TokenManager,
    token: Token,
    disk: Disk,
    identity: Identity,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A failure that nobody waits for any more is no error of the program."""
    identity.script.then("token", script.SERVER_ERROR)
    waiting = asyncio.create_task(manager.replace(token.access_token))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    await manager.settle()
    await asyncio.sleep(0)
    gc.collect()
    assert caplog.text == ""
    assert disk.tokens == []


async def test_renewal_cancelled(token: Token, disk: Disk, clock: Clock) -> None:
    """A renewal that the end of the program cancels ends those who wait."""

    async def cancelled(form: Mapping[str, str]) -> dict[str, Any]:
        """Be cancelled."""
        raise asyncio.CancelledError

    clock.now = token.renew_at
    with pytest.raises(asyncio.CancelledError):
        await TokenManager(token, cancelled, disk.store).access_token()


async def test_disk_full(
    manager: TokenManager,
    token: Token,
    disk: Disk,
    identity: Identity,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A token that cannot be stored is used all the same, and stored as soon as it can be."""
    disk.error = OSError(28, "No space left on device")
    renewed = await manager.replace(token.access_token)
    assert await manager.access_token() == renewed != token.access_token
    assert disk.tokens == []
    assert (
        caplog.messages
        == ["The renewed sign-in could not be stored: [Errno 28] No space left on device"] * 2
    )
    disk.error = None
    assert await manager.access_token() == renewed
    assert [stored.access_token for stored in disk.tokens] == [renewed]
    assert await manager.access_token() == renewed
    assert len(disk.tokens) == identity.count("token") == 1


async def test_refused_while_storing(
    manager: TokenManager, token: Token, disk: Disk, identity: Identity
) -> None:
    """A token that is refused while it is stored at last is replaced like any other."""
    disk.error = OSError(28, "No space left on device")
    renewed = await manager.replace(token.access_token)
    disk.error = None
    disk.ready.clear()
    disk.asked.clear()
    storing = asyncio.create_task(manager.access_token())
    await disk.asked.wait()
    replacing = asyncio.create_task(manager.replace(renewed))
    await asyncio.sleep(0)
    disk.ready.set()
    newest = await replacing
    assert await storing == newest
    assert [stored.access_token for stored in disk.tokens] == [renewed, newest]
    assert identity.count("token") == 2


async def test_store_broken(manager: TokenManager, token: Token, disk: Disk) -> None:
    """A fault of the program is told, and the token is not lost."""
    disk.error = RuntimeError("a fault of the program")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="a fault of the program"):
            await manager.replace(token.access_token)
    disk.error = None
    renewed = await manager.access_token()
    assert disk.tokens[0].access_token == renewed != token.access_token
