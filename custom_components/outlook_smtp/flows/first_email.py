"""Sends a test email from an account that is not saved yet, in the background of its dialog."""

from collections.abc import Mapping
from typing import Any, override

from homeassistant.const import CONF_EMAIL
from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util

from ..const import CONF_SENDER_ADDRESS, CONF_SENDER_NAME
from ..delivery.content import Content
from ..delivery.envelope import Envelope
from ..delivery.faults import Stage
from ..delivery.route import Route
from ..mailer import PRODUCT
from ..message.compose import compose
from ..message.mailbox import Mailbox
from ..message.outgoing import OutgoingMessage
from ..texts import async_text
from .connection_check import ConnectionCheck


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
        """Submit the email."""
        outgoing = OutgoingMessage(
            to=(Mailbox(self._sender.address),),
            title=await async_text(self._hass, "test_mail_title"),
            text=await async_text(self._hass, "test_mail_text"),
        )
        composed = compose(outgoing, self._sender, now=dt_util.now(), product=PRODUCT)
        envelope = Envelope(composed.sender, composed.recipients, composed.utf8)
        try:
            outcome = await route.submit(envelope, Content.of(bytes(composed.content)))
        finally:
            await route.close()
        self.fault = outcome.obstacle
