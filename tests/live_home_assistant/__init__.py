"""A complete Home Assistant in a separate process, connected to the fakes of Microsoft."""

from .home import LiveHomeAssistant
from .log import complaints

__all__ = ["LiveHomeAssistant", "complaints"]
