"""Home Assistant with fakes in place of Microsoft's servers.

An account that signs in has no server form, and Microsoft's sign-in has a fixed URL.
"""

from dataclasses import replace
from datetime import timedelta
import os
import sys
from types import ModuleType

from homeassistant.__main__ import main

from custom_components.outlook_smtp import coordinator
from custom_components.outlook_smtp.auth.clouds import CLOUDS, WORLDWIDE
from custom_components.outlook_smtp.smtp.settings import SERVERS, AccountKind, Server

# Parts of the voice assistant, without which the UI does not open. Many machines have to compile
# them, and nothing here uses them.
ABSENT = {"pymicro_vad": "MicroVad", "pyspeex_noise": "AudioProcessor"}


def put_fakes_in_place() -> None:
    """Take the addresses from the environment, where `LiveHomeAssistant` sets them."""
    if authority := os.environ.get("FAKE_AUTHORITY"):
        CLOUDS[WORLDWIDE] = replace(CLOUDS[WORLDWIDE], authority=authority)
    if graph := os.environ.get("FAKE_GRAPH"):
        CLOUDS[WORLDWIDE] = replace(CLOUDS[WORLDWIDE], graph=graph)
    if port := os.environ.get("FAKE_SMTP_PORT"):
        for kind in (AccountKind.PERSONAL, AccountKind.WORK):
            SERVERS[kind] = Server("localhost", int(port))
    if seconds := os.environ.get("FAKE_REPEAT_AFTER"):
        coordinator.REPEAT_AFTER = timedelta(seconds=float(seconds))  # type: ignore[misc]
        coordinator.AWAY_INTERVAL = timedelta(seconds=float(seconds))  # type: ignore[misc]


if __name__ == "__main__":
    for name, attribute in ABSENT.items():
        sys.modules[name] = ModuleType(name)
        setattr(sys.modules[name], attribute, object)
    put_fakes_in_place()
    sys.exit(main())
