"""Map errors of all packages to translated Home Assistant exceptions, in one place."""

from collections.abc import Iterator
from contextlib import contextmanager
import logging
from typing import Final

from homeassistant.components.notify import ATTR_TITLE
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers.translation import async_get_cached_translations

from .auth.clouds import Resource
from .const import ATTR_BCC, DOMAIN
from .delivery.faults import Fault, Problem
from .delivery.network import without_number
from .delivery.route import Route
from .message.problems import InvalidMessageError
from .message.text import readable, visible
from .outbox.disk import LinkError
from .outbox.events import without
from .outbox.queue import Queue
from .outbox.queued import OutboxClosedError, OutboxFullError
from .outbox.receipt import Receipt
from .smtp.probe import submission_host

_LOGGER = logging.getLogger(__name__)

# Fields whose values appear neither in the log nor in an event.
_PRIVATE: Final = frozenset({ATTR_BCC, ATTR_TITLE})
_BLIND: Final = "Bcc"  # Replaces an address.
# The texts for Microsoft Graph of problems whose usual texts are about SMTP.
_GRAPH_TEXTS: Final[dict[Problem, str]] = {
    Problem.CONNECTION_REFUSED: "connection_refused_graph",
    Problem.IDENTITY_REFUSED: Problem.SIGN_IN_REQUIRED,
    Problem.MESSAGE_TOO_LARGE: "message_too_large_graph",
    Problem.WRONG_SECURITY: "wrong_security_graph",
}


def text_key(problem: Problem, route: str) -> str:
    """Return the key of the text that explains a problem of a route."""
    return _GRAPH_TEXTS.get(problem, problem) if route == Resource.GRAPH else problem


def fault_placeholders(fault: Fault, address: str, host: str, port: int) -> dict[str, str]:
    """Return the placeholders for the texts of all problems."""
    return {
        "address": address,
        "host": host,
        "port": str(port),
        "hint": fault.hint or submission_host(host),
        "reply": fault.reply or fault.detail or "-",
    }


def fault_error(fault: Fault, address: str, route: Route) -> HomeAssistantError:
    """Return the error that tells a caller why the message was not sent."""
    return HomeAssistantError(
        translation_domain=DOMAIN,
        translation_key=text_key(fault.problem, route.name),
        translation_placeholders={
            **fault_placeholders(fault, address, route.host, route.port),
            "limit": f"{route.usual_size_limit / 1e6:.1f}",
        },
    )


def refusal_error(receipt: Receipt) -> HomeAssistantError:
    """Return the error that names each refused recipient with the server's reply.

    It does not name recipients of blind copies, because Home Assistant logs automations' errors.
    """
    hidden, others = receipt.hidden, receipt.accepted + receipt.waiting
    return HomeAssistantError(
        translation_domain=DOMAIN,
        translation_key="some_recipients_refused" if others else "all_recipients_refused",
        translation_placeholders={
            "refused": "; ".join(
                f"{_BLIND if recipient in hidden else recipient} ({without(hidden, fault.reply)})"
                for recipient, fault in receipt.refused.items()
            ),
            "accepted": ", ".join(_BLIND if each in hidden else each for each in others),
        },
    )


def raise_for_refused(receipt: Receipt) -> None:
    """Raise the error that names the refused recipients, if there are any."""
    if receipt.refused:
        raise refusal_error(receipt)


def input_error(key: str, field: str, value: str = "", **more: str) -> ServiceValidationError:
    """Return the error that names a field, what is wrong with it and the remedy."""
    placeholders = {"field": field, "value": value, **more}
    return ServiceValidationError(
        translation_domain=DOMAIN,
        translation_key=key,
        translation_placeholders={name: visible(text) for name, text in placeholders.items()},
    )


def public_text(hass: HomeAssistant, error: HomeAssistantError, language: str) -> str:
    """Return the text of an error without message content and blind copies.

    Args:
        hass: Home Assistant.
        error: An error of any integration.
        language: The language of the text, if the error is one of ours.

    """
    texts = async_get_cached_translations(hass, language, "exceptions", DOMAIN)
    text = texts.get(f"component.{DOMAIN}.exceptions.{error.translation_key}.message")
    if text is None or error.translation_domain != DOMAIN:
        return readable(without_number(str(error)))
    placeholders = dict(error.translation_placeholders or {})
    if placeholders.get("field") in _PRIVATE:
        placeholders["value"] = "…"
    return text.format(**placeholders)


@contextmanager
def message_errors() -> Iterator[None]:
    """Raise what is wrong with a message as a translated error that names the field.

    Exceptions from libraries are also raised as a translated error.
    """
    try:
        yield
    except InvalidMessageError as error:
        raise input_error(error.problem, error.field, error.value) from error
    except HomeAssistantError:
        raise
    except Exception as error:
        _LOGGER.error("An email could not be built: %s", type(error).__name__)
        _LOGGER.debug("An email could not be built", exc_info=True)
        raise HomeAssistantError(
            translation_domain=DOMAIN, translation_key=Problem.UNFORESEEN
        ) from error


def flood_error(address: str, limit: int) -> HomeAssistantError:
    """Return the error for a message beyond what may be sent within ten minutes."""
    return HomeAssistantError(
        translation_domain=DOMAIN,
        translation_key="too_many_emails",
        translation_placeholders={"address": address, "limit": str(limit)},
    )


def closed_error() -> HomeAssistantError:
    """Return the error for a message whose account was removed before it was sent."""
    return HomeAssistantError(translation_domain=DOMAIN, translation_key="account_removed")


@contextmanager
def outbox_errors(queue: Queue) -> Iterator[None]:
    """Raise a translated error if the outbox cannot accept a message."""
    try:
        yield
    except OutboxClosedError as error:
        raise closed_error() from error
    except OutboxFullError as error:
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key="outbox_full",
            translation_placeholders={
                "count": str(len(queue.waiting)),
                "size": f"{queue.size / 1e6:.1f}",
                "max_count": str(queue.limits.messages),
                "max_size": f"{queue.limits.size / 1e6:.0f}",
            },
        ) from error
    except OSError as error:
        is_link = isinstance(error, LinkError)
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key="outbox_is_link" if is_link else "outbox_not_writable",
            translation_placeholders={
                "folder": str((is_link and error.filename) or queue.spool.folder),
                "reason": error.strerror or str(error),
            },
        ) from error
