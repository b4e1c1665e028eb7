"""Run the fake server manually: python -m tests.fake_microsoft --help."""

import argparse
from contextlib import nullcontext, suppress
from pathlib import Path
import shutil
import signal
import time

from . import (
    CATALOGUE,
    EXTENSIONS,
    Certificate,
    FakeGraph,
    FakeServer,
    Identity,
    Manner,
    Received,
    Script,
    Step,
)
from .script import IMAP_GREETING, POP_GREETING

ROWS = {row.name: row for row in CATALOGUE}
GREETINGS = {"imap": IMAP_GREETING, "pop": POP_GREETING}
IDENTITY_PORT = 1580
GRAPH_PORT = 1443
DEFAULT_MAILBOX = "alice@outlook.com:secret"
# Polling interval for new mail; only the person in front of the screen waits.
POLL_INTERVAL = 0.2


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fake_microsoft", description=__doc__)
    add = parser.add_argument
    add("--port", type=int, default=1587)
    add("--host", default="127.0.0.1", help="the address to listen on")
    add("--security", choices=("starttls", "tls"), default="starttls")
    add("--certificate", type=Certificate, choices=tuple(Certificate), default=Certificate.VALID)
    add("--mailbox", action="append", metavar="ADDRESS:PASSWORD", help="may be repeated")
    add("--token", action="append", default=[], metavar="ADDRESS:TOKEN", help="an access token")
    add("--row", choices=tuple(ROWS), metavar="NAME", help="answer with a row of the catalogue")
    add("--drop", type=Step, choices=tuple(Step), metavar="STEP", help="hang up at this step")
    add("--stall", type=Step, choices=tuple(Step), metavar="STEP", help="fall silent at this step")
    add("--greeting", choices=tuple(GREETINGS), help="be a server of another protocol")
    add("--times", type=int, help="how often to misbehave (default: always)")
    add("--delay", type=float, default=0.0, metavar="SECONDS", help="the delay of refusals")
    add("--size", type=int, help="the size limit to advertise")
    add("--without", action="append", default=[], type=str.upper, choices=EXTENSIONS)
    add("--manner", type=Manner, choices=tuple(Manner), default=Manner.PROMPT)
    add("--list", action="store_true", help="print the names of the catalogue and leave")
    add("--write-ca", type=Path, metavar="PATH", help="write the authority's certificate here too")
    add(
        "--identity",
        type=int,
        nargs="?",
        const=IDENTITY_PORT,
        metavar="PORT",
        help=f"let people sign in with Microsoft too (default port: {IDENTITY_PORT})",
    )
    add(
        "--graph",
        type=int,
        nargs="?",
        const=GRAPH_PORT,
        metavar="PORT",
        help=f"be Microsoft Graph too, for the access tokens (default port: {GRAPH_PORT})",
    )
    return parser.parse_args()


def script_of(options: argparse.Namespace) -> Script:
    """Return the script for the command line's options."""
    row = ROWS[options.row] if options.row else None
    return Script(
        replies={row.step: row.reply} if row else {},
        drop=options.drop,
        stall=options.stall,
        times=options.times,
        greeting=GREETINGS.get(options.greeting),
        refusal_delay=options.delay,
        size=options.size,
        without=tuple(options.without),
        manner=options.manner,
    )


def describe(mail: Received) -> str:
    """Return a message in a readable form."""
    message = mail.message
    body = message.get_body(("plain", "html"))
    attachments = [part.get_filename() or "unnamed" for part in message.iter_attachments()]
    lines = [
        f"--- {mail.at:%H:%M:%S} from <{mail.sender}> to {', '.join(mail.recipients)}",
        f"    as {mail.account} over {mail.tls_version}, {len(mail.content)} bytes",
        *(f"{name}: {value}" for name, value in message.items()),
        "",
        str(body.get_content()).rstrip() if body else "(no text)",
        *(f"[attachment: {name}]" for name in attachments),
    ]
    return "\n".join(lines)


def print_addresses(
    fake_server: FakeServer, identity: Identity | None = None, graph: FakeGraph | None = None
) -> None:
    """Print how to reach the server, the identity platform and Microsoft Graph."""
    print(f"Listening on {fake_server.host}:{fake_server.port} ({fake_server.security})")
    print(f"Certificate authority: {fake_server.ca_file}")
    print(f"To trust it: REQUESTS_CA_BUNDLE={fake_server.ca_file}")
    for mailbox in fake_server.mailboxes.values():
        print(f"Mailbox: {mailbox.address} with password {mailbox.password}")
    if identity:
        print(f"Sign-in at {identity.authority}, codes at {identity.authority}/device")
        print(f"Client id: {identity.client_id}, secret for the browser: {identity.client_secret}")
    if graph:
        print(f"Microsoft Graph at {graph.base_url}")
    print("Stop with Ctrl-C.", flush=True)


def report(*servers: FakeServer | FakeGraph) -> None:
    """Print received mail, forever."""
    seen = dict.fromkeys(servers, 0)
    while True:
        for server in servers:
            for mail in server.received[seen[server] :]:
                print(describe(mail), flush=True)
                seen[server] += 1
        time.sleep(POLL_INTERVAL)


def main() -> None:
    """Run the server until Ctrl-C."""
    options = parse_arguments()
    if options.list:
        print("\n".join(f"{row.name:36} {row.step:9} {row.kind}" for row in CATALOGUE))
        return
    fake_server = FakeServer(options.port, options.security, options.host, options.certificate)
    fake_server.script = script_of(options)
    for mailbox in options.mailbox or [DEFAULT_MAILBOX]:
        address, _, password = mailbox.partition(":")
        fake_server.add_mailbox(address, password)
    graph = None if options.graph is None else FakeGraph(options.graph, host=options.host)
    for token in options.token:
        address, _, value = token.partition(":")
        fake_server.access_tokens[value] = address
        if graph:
            graph.grant(value, address)
    if options.write_ca:
        shutil.copyfile(fake_server.ca_file, options.write_ca)
    identity = None if options.identity is None else Identity(fake_server, options.identity)
    servers = [fake_server, graph] if graph else [fake_server]
    with (
        fake_server,
        identity or nullcontext(),
        graph or nullcontext(),
        suppress(KeyboardInterrupt),
    ):
        print_addresses(fake_server, identity, graph)
        report(*servers)


if __name__ == "__main__":
    # Shells start background programs with SIGINT ignored, and scripts stop them with SIGTERM.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    main()
