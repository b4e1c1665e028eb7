"""Access tokens for a route, whoever provides them."""

from typing import Protocol


class AccessTokens(Protocol):
    """Where access tokens come from; raises `SubmissionError` when they cannot be had."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return what is masked in every text of a server."""

    async def get(self) -> str:
        """Return an access token that is good for some minutes."""

    async def replace(self, refused: str) -> None:
        """Renew an access token that the server refused, unless that was done already."""
