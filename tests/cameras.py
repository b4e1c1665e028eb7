"""Cameras whose pictures a test takes."""

from collections.abc import Awaitable, Callable
from typing import override

from homeassistant.components.camera import Camera
from homeassistant.components.camera.const import DATA_COMPONENT as CAMERAS
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component

PICTURE = b"\xff\xd8\xff\xdb picture"


class FakeCamera(Camera):
    """A camera whose picture comes from a function."""

    content_type = "image/jpeg"

    def __init__(self, name: str, take: Callable[[], Awaitable[bytes | None]]) -> None:
        """Set the camera's name, and what takes its picture."""
        super().__init__()
        self._attr_name = name
        self.take = take

    @override
    async def async_camera_image(
        self, width: int | None = None, height: int | None = None
    ) -> bytes | None:
        """Return the picture."""
        return await self.take()


async def picture() -> bytes:
    """Return the picture that all cameras see."""
    return PICTURE


async def add_camera(
    hass: HomeAssistant, name: str, take: Callable[[], Awaitable[bytes | None]] = picture
) -> FakeCamera:
    """Add a camera to Home Assistant."""
    assert await async_setup_component(hass, "camera", {})
    camera = FakeCamera(name, take)
    await hass.data[CAMERAS].async_add_entities([camera])
    return camera
