"""The servers that all send to: `python -m scripts._bench.server`, one of them without CHUNKING.

The first line of the standard output says where they are; each line of the standard input is
answered by how many messages came since the line before, and lets the servers forget them.
"""

import json
import sys

from tests.standin import Script, StandIn

from .orders import ADDRESS, PASSWORD


def main() -> None:
    """Serve until nobody asks any more."""
    with StandIn() as whole, StandIn() as plain:
        plain.script = Script(without=("CHUNKING",))
        servers = (whole, plain)
        for server in servers:
            server.add_mailbox(ADDRESS, PASSWORD)
        ports = [server.port for server in servers]
        print(json.dumps({"ports": ports, "authority": str(whole.ca_file)}), flush=True)
        for _ in sys.stdin:
            print(sum(map(_forget, servers)), flush=True)


def _forget(server: StandIn) -> int:
    """Return how many messages a server has received, and forget them."""
    count = len(server.received)
    del server.received[:count], server.sessions[:]
    return count


if __name__ == "__main__":
    main()
