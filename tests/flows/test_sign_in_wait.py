"""While a person signs in with a code, Microsoft is polled, but no longer than necessary."""

import asyncio
from typing import Any

from homeassistant.const import CONF_CLIENT_ID
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, UnknownFlow
import pytest

from custom_components.outlook_smtp.auth import device_code
from custom_components.outlook_smtp.const import CONF_TENANT
from custom_components.outlook_smtp.flows import sign_in

from ..conftest import ADDRESS, until
from ..fake_microsoft import (
    Endpoint,
    Identity,
    Misstep,
    identity_script as script,
    identity_wording as wording,
)
from .test_sign_in import SignIn, dialog, haste, open_dialog, polls

__all__ = ["dialog", "haste", "open_dialog"]


async def test_temporary_faults_do_not_end_the_wait(dialog: SignIn, identity: Identity) -> None:
    """Neither temporary faults of Microsoft nor a lost network end the wait."""
    passing = (
        script.SLOW_DOWN,
        script.SERVER_ERROR,
        script.BARE_SERVER_ERROR,
        script.UNAVAILABLE,
        script.GATEWAY_DOWN,
        script.RESET,
        Misstep(refusal=wording.UNAVAILABLE, headers={"Retry-After": "0"}),
    )
    identity.script.then("token", wording.PENDING, *passing)
    code = await dialog.ask()
    await dialog.begin({})
    await until(lambda: identity.count("token") > len(passing))
    await asyncio.to_thread(identity.stop)
    asked = identity.count("token")
    assert polls()
    identity.start()
    await until(lambda: identity.count("token") > asked)
    identity.approve(code, ADDRESS)
    assert (await dialog.finish())["type"] is FlowResultType.CREATE_ENTRY


async def test_quick_sign_in_does_not_wait(dialog: SignIn, identity: Identity) -> None:
    """Polling starts while the code is still shown."""
    identity.approve(await dialog.ask(), ADDRESS)
    await until(lambda: not polls())
    result = await dialog.submit({})
    assert "wait_for_sign_in" not in dialog.stages
    assert result["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.parametrize("end", ["decline", "expire"])
async def test_void_code_is_replaced(dialog: SignIn, identity: Identity, end: str) -> None:
    """After a declined or expired code the user gets another one, and the old one is not polled."""
    code = await dialog.ask()
    await dialog.begin({})
    getattr(identity, end)(code)
    await dialog.finish()
    assert dialog.result["step_id"] == "code"
    other = await dialog.ask()
    assert other != code
    assert len(polls()) == 1
    identity.approve(other, ADDRESS)
    assert (await dialog.submit({}))["type"] is FlowResultType.CREATE_ENTRY


async def test_code_expires_on_time(dialog: SignIn, identity: Identity) -> None:
    """A code expires when Microsoft says, even if it never responds again."""
    identity.code_lifetime = 0.05
    identity.script.always[Endpoint.TOKEN] = script.HANG
    await dialog.ask()
    await until(lambda: not polls())
    await dialog.submit({})
    assert dialog.fault == ("code", {"base": "code_expired"})


@pytest.mark.parametrize("wait", [False, True])
async def test_closed_dialog_stops_polling(
    hass: HomeAssistant, dialog: SignIn, identity: Identity, wait: bool
) -> None:
    """No polling task is left, whichever step was shown."""
    tasks = asyncio.all_tasks()
    await dialog.ask()
    if wait:
        await dialog.begin({})
        # A reloaded browser requests the step again.
        await hass.config_entries.flow.async_configure(dialog.flow_id)
    await until(lambda: identity.count("token") > 0)
    assert len(polls()) == 1
    dialog.close()
    await hass.async_block_till_done()
    assert asyncio.all_tasks() <= tasks
    assert not hass.config_entries.flow.async_progress()


async def test_dialog_closed_before_the_code_never_polls(
    hass: HomeAssistant, dialog: SignIn, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A code that arrives too late is discarded."""
    come, asked = asyncio.Event(), asyncio.Event()

    async def late(*args: Any) -> device_code.DeviceCode:
        asked.set()
        await come.wait()
        return await device_code.request_code(*args)

    monkeypatch.setattr(sign_in, "request_code", late)
    asking = asyncio.create_task(dialog.ask())
    await asked.wait()
    dialog.close()
    come.set()
    with pytest.raises(UnknownFlow):
        await asking
    assert not polls()
    assert identity.count("token") == 0


async def test_last_of_two_codes_is_used(
    hass: HomeAssistant, dialog: SignIn, identity: Identity
) -> None:
    """After submitting twice, one code is polled for."""
    typed = {CONF_CLIENT_ID: identity.client_id, "advanced": {CONF_TENANT: "common"}}
    configure = hass.config_entries.flow.async_configure
    await asyncio.gather(*(configure(dialog.flow_id, typed) for _ in range(2)))
    dialog.result = await configure(dialog.flow_id)
    await hass.async_block_till_done()
    assert len(identity.user_codes) == 2
    assert len(polls()) == 1
    identity.approve(dialog.placeholders["code"], ADDRESS)
    assert (await dialog.submit({}))["type"] is FlowResultType.CREATE_ENTRY
