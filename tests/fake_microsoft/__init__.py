"""A local fake of Microsoft's submission servers, and the ways it can misbehave."""

from .catalogue import CATALOGUE
from .certificates import Certificate
from .identity import Identity
from .identity_script import Endpoint, Misstep
from .mailbox import Mailbox, Received
from .ports import blocked_port, closed_port
from .row import Row
from .script import EXTENSIONS, IMAP_GREETING, POP_GREETING, Manner, Script, Step
from .server import FakeServer

__all__ = [
    "CATALOGUE",
    "EXTENSIONS",
    "IMAP_GREETING",
    "POP_GREETING",
    "Certificate",
    "Endpoint",
    "FakeServer",
    "Identity",
    "Mailbox",
    "Manner",
    "Misstep",
    "Received",
    "Row",
    "Script",
    "Step",
    "blocked_port",
    "closed_port",
]
