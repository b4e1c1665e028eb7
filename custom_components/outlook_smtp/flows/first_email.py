"""Sends a test email from an account that is not saved yet, in the background of its dialog."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any, Final, override

from homeassistant.const import CONF_EMAIL
from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util

from ..const import CONF_SENDER_ADDRESS, CONF_SENDER_NAME
from ..delivery.content import Content
from ..delivery.envelope import Envelope
from ..delivery.faults import Fault, Kind, Problem, Stage, SubmissionError
from ..delivery.route import Route
from ..mailer import PRODUCT
from ..message.compose import compose
from ..message.mailbox import Mailbox
from ..message.outgoing import OutgoingMessage
from ..texts import async_text
from .connection_check import ConnectionCheck

# Seconds. The outbox would wait ten minutes for the last reply, because it sends again after that.
LONGEST: Final = 60.0


class FirstEmail(ConnectionCheck):
    """A test email to the account itself; once it is `done`, `fault` is its fault or None.

    It does not go through an outbox, because an account that is not saved has none.
    """

    def __init__(
        self, hass: HomeAssistant, data: dict[str, Any], options: Mapping[str, Any]
    ) -> None:
        """Start to send from the account that a config entry's data and options describe."""
        self._sender = Mailbox(
            options.get(CONF_SENDER_ADDRESS, data[CONF_EMAIL]), options.get(CONF_SENDER_NAME, "")
        )
        super().__init__(hass, data, options)
        self.stage = Stage.DATA

    @override
    async def _async_use(self, route: Route) -> None:
        """Submit the email, but do not let a person wait for long."""
        outgoing = OutgoingMessage(
            to=(Mailbox(self._sender.address),),
            title=await async_text(self._hass, "test_mail_title"),
            text=await async_text(self._hass, "test_mail_text"),
        )
        build = partial(compose, outgoing, self._sender, now=dt_util.now(), product=PRODUCT)
        composed = await self._hass.async_add_executor_job(build)
        envelope = Envelope(composed.sender, composed.recipients, composed.utf8)
        try:
            async with asyncio.timeout(LONGEST):
                outcome = await route.submit(envelope, Content.of(bytes(composed.content)))
        except TimeoutError as error:
            raise SubmissionError(Fault(Kind.TRANSIENT, Problem.ANSWER_LOST)) from error
        finally:
            await route.close()
        self.fault = outcome.obstacle
