"""Home Assistant with the stand-ins in the place of Microsoft's servers: scripts/demo --sign-in.

An account that signs in has no form for its server, and Microsoft's sign-in has but one address.
"""

from datetime import timedelta
import os
import sys

from homeassistant.__main__ import main

from custom_components.outlook_smtp import coordinator, sign_in
from custom_components.outlook_smtp.smtp.account import SERVERS, AccountKind, Server

from .home import AUTHORITY, REPEAT_AFTER, SMTP_PORT

if __name__ == "__main__":
    # The module takes the name from another and does not hand it on.
    sign_in.AUTHORITY = os.environ[AUTHORITY]  # type: ignore[attr-defined]
    for kind in (AccountKind.PERSONAL, AccountKind.WORK):
        SERVERS[kind] = Server("localhost", int(os.environ[SMTP_PORT]))
    if REPEAT_AFTER in os.environ:
        repeat_after = timedelta(seconds=float(os.environ[REPEAT_AFTER]))
        coordinator.REPEAT_AFTER = repeat_after  # type: ignore[misc]
    sys.exit(main())
