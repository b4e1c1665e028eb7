"""A Home Assistant of its own, in a process of its own, in front of the fakes of Microsoft."""

from .home import LiveHomeAssistant
from .log import complaints

__all__ = ["LiveHomeAssistant", "complaints"]
