"""The mailbox server's checks of a complete message."""

from email import message_from_string
from email.utils import getaddresses

from . import wording
from .envelope import Sender
from .mailbox import Mailbox


def refusal(content: bytes, sender: Sender, mailbox: Mailbox) -> str | None:
    """Return why the message is refused, or nothing if it is accepted."""
    if sender.body != "BINARYMIME" and content.count(b"\n") != content.count(b"\r\n"):
        return f"{wording.BARE_LINEFEEDS} {wording.backend_mark()}"
    for address in (sender.address, *_from_addresses(content)):
        if not mailbox.may_send_as(address):
            return wording.send_as_denied(mailbox.address, address)
    return None


def _from_addresses(content: bytes) -> list[str]:
    """Return all From addresses of the message."""
    headers = content.partition(b"\r\n\r\n")[0].decode("utf-8", "replace")
    values = message_from_string(headers).get_all("From", [])
    return [address or value for value in values for _, address in getaddresses([value])]
