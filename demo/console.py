"""Output in the terminal."""

from collections.abc import Mapping
from typing import Any, Final

from tests.fake_microsoft import Received

HEADERS: Final = ("From", "To", "Cc", "Subject", "Importance", "Reply-To")


class DemoError(Exception):
    """The demo cannot continue; the text is a sentence for the person who started it."""


def step(text: str) -> None:
    """Announce a step."""
    print(f"\033[1m▸ {text}\033[0m", flush=True)


def detail(text: str) -> None:
    """Print a detail of the step."""
    print(f"    {text}", flush=True)


def show_state(state: Mapping[str, Any]) -> None:
    """Print an entity's state, and its attributes line by line."""
    detail(f"{state['entity_id']} is {state['state']}")
    for name, value in state["attributes"].items():
        if name not in ("device_class", "friendly_name") and value is not None:
            detail(f"    {name}: {value}")


def show_email(email: Received) -> None:
    """Print the main parts of an email: envelope, headers, text and attachments."""
    message = email.message
    lines = [f"Received at {email.at:%H:%M:%S} UTC over {email.tls_version} from {email.account}"]
    lines.append(f"for {', '.join(email.recipients)}")
    lines += [f"{name}: {message[name]}" for name in HEADERS if name in message]
    body = message.get_body(("plain", "html"))
    lines += ["", *(str(body.get_content()).strip().splitlines() if body else ())]
    for part in message.walk():
        if name := part.get_filename():
            shown = "shown in the text" if part["Content-ID"] else "attached"
            size = len(part.get_payload(decode=True) or b"")
            lines.append(f"[{shown}: {name}, {part.get_content_type()}, {size} bytes]")
    for line in lines:
        detail(f"│ {line}")
