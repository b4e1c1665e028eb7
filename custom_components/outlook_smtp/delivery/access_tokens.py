"""Access tokens for a route, independent of their provider."""

from typing import Protocol


class AccessTokens(Protocol):
    """A provider of access tokens; raises `SubmissionError` if it cannot provide one."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return the secrets to mask in every text from a server."""

    async def get(self) -> str:
        """Return an access token that is valid for at least a few minutes."""

    async def replace(self, refused: str) -> None:
        """Renew an access token that the server refused, unless it has already been renewed."""
