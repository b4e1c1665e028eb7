"""A client of the identity platform that sends exactly what it is given."""

import base64
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
import hashlib
from typing import Any, Self

import aiohttp
from yarl import URL

from tests.fake_microsoft import FakeServer, Identity
from tests.fake_microsoft.identity_device_flow import DEVICE_GRANT

from .client import ALICE, Pipeline, xoauth2

REDIRECT = "https://my.home-assistant.io/redirect/oauth"
SEND = "https://outlook.office.com/SMTP.Send"
SCOPE = f"{SEND} offline_access openid profile email"
WORKER = "worker@contoso.com"
VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode()[:-1]
type Answer = tuple[int, dict[str, Any]]


class Client:
    """A client that sends exactly what it is given."""

    def __init__(self, http: aiohttp.ClientSession, identity: Identity) -> None:
        """Store the platform's endpoints."""
        self.http = http
        self.identity = identity
        self.tenant = "common"

    async def post(self, name: str, **form: str) -> Answer:
        """Post a form."""
        url = f"{self.identity.authority}/{self.tenant}/oauth2/v2.0/{name}"
        fields = {"client_id": self.identity.client_id, **form}
        async with self.http.post(url, data=fields) as response:
            return response.status, await response.json()

    async def ask_for_code(self, scope: str = SCOPE) -> dict[str, Any]:
        """Request a device code."""
        return (await self.post("devicecode", scope=scope))[1]

    async def poll(self, device_code: str, **form: str) -> Answer:
        """Try to redeem a device code."""
        return await self.post("token", grant_type=DEVICE_GRANT, device_code=device_code, **form)

    async def sign_in(self, address: str = ALICE, scope: str = SCOPE) -> dict[str, Any]:
        """Sign in with a device code."""
        code = await self.ask_for_code(scope)
        self.identity.approve(code["user_code"], address)
        return (await self.poll(code["device_code"]))[1]

    async def refresh(self, token: str, **form: str) -> Answer:
        """Renew tokens."""
        fields = {"grant_type": "refresh_token", "refresh_token": token, "scope": SCOPE, **form}
        return await self.post("token", **fields)

    async def browse(self, **query: str) -> URL | str:
        """Open the sign-in page, and return its redirect or its text."""
        asked = {
            "client_id": self.identity.client_id,
            "response_type": "code",
            "redirect_uri": REDIRECT,
            "scope": SCOPE,
            "state": "s & t",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **query,
        }
        url = URL(f"{self.identity.authority}/{self.tenant}/oauth2/v2.0/authorize")
        async with self.http.get(url.with_query(asked), allow_redirects=False) as response:
            location = response.headers.get("Location")
            return URL(location) if location else await response.text()

    async def code(self) -> str:
        """Sign in in the browser, and return the authorization code."""
        target = await self.browse()
        assert isinstance(target, URL)
        return target.query["code"]

    async def redeem(self, code: str, **form: str) -> Answer:
        """Redeem the code that came through the browser."""
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT,
            "code_verifier": VERIFIER,
            "client_secret": self.identity.client_secret,
            **form,
        }
        return await self.post("token", **fields)

    @classmethod
    @asynccontextmanager
    async def running(cls, fake_server: FakeServer) -> AsyncGenerator[Self]:
        """Run the platform for the accounts of a fake server, and yield a client for it."""
        with Identity(fake_server) as identity:
            async with aiohttp.ClientSession() as http:
                yield cls(http, identity)


def smtp_reply(fake_server: FakeServer, token: str, name: str = ALICE) -> str:
    """Sign in to the server with an access token."""
    with Pipeline.secured(fake_server) as pipeline:
        return pipeline.ask(f"AUTH XOAUTH2 {xoauth2(name, token)}")


def failed(answer: Answer) -> tuple[str, str]:
    """Return the error code of a refusal and the first word of its description."""
    return answer[1]["error"], answer[1]["error_description"].partition(":")[0]
