"""A local fake of Microsoft's submission servers, and the ways it can misbehave."""

from .catalogue import CATALOGUE
from .certificates import Certificate
from .graph import GRAPH, MICROSOFT_LIMIT, OUTLOOK, FakeGraph
from .graph_line import Cut
from .graph_rows import GRAPH_CATALOGUE, GraphAnswer, GraphRow
from .identity import Identity
from .identity_grants import Resource
from .identity_script import Endpoint, Misstep
from .mailbox import Mailbox, Received
from .ports import blocked_port, closed_port
from .receiver import MailReceiver
from .row import Row
from .script import EXTENSIONS, IMAP_GREETING, POP_GREETING, Manner, Script, Step
from .server import FakeServer

__all__ = [
    "CATALOGUE",
    "EXTENSIONS",
    "GRAPH",
    "GRAPH_CATALOGUE",
    "IMAP_GREETING",
    "MICROSOFT_LIMIT",
    "OUTLOOK",
    "POP_GREETING",
    "Certificate",
    "Cut",
    "Endpoint",
    "FakeGraph",
    "FakeServer",
    "GraphAnswer",
    "GraphRow",
    "Identity",
    "MailReceiver",
    "Mailbox",
    "Manner",
    "Misstep",
    "Received",
    "Resource",
    "Row",
    "Script",
    "Step",
    "blocked_port",
    "closed_port",
]
