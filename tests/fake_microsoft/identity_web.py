"""The identity platform over HTTP, and the pages that a person sees in the browser."""

import asyncio
from collections.abc import Callable, Mapping
from html import escape
import socket
import struct
from typing import TYPE_CHECKING, Any

from aiohttp import web
from yarl import URL

from . import identity_wording as wording
from .identity_script import Endpoint, Misstep
from .identity_wording import Refusal, RefusedError

if TYPE_CHECKING:
    from .identity import Identity

RESET = struct.pack("ii", 1, 0)
ACCOUNT = "account"  # The field of the pages that ask who signs in.
PAGE = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>
<body style="font:16px sans-serif;max-width:26em;margin:4em auto"><h1>{title}</h1>{body}
<p><small>A look-alike for tests: no password is asked for.</small></p></body></html>"""


class Web:
    """The HTTP side of the identity platform."""

    def __init__(self, identity: Identity, stopping: asyncio.Event) -> None:
        """Serve until `stopping`."""
        self._identity = identity
        self._stopping = stopping

    def application(self) -> web.Application:
        """Return the web application."""
        app = web.Application()
        base = "/{tenant}/oauth2/v2.0"
        app.router.add_post(f"{base}/{Endpoint.DEVICECODE}", self.device_code)
        app.router.add_post(f"{base}/{Endpoint.TOKEN}", self.token)
        app.router.add_get(f"{base}/{Endpoint.AUTHORIZE}", self.authorize)
        app.router.add_get("/device", self.ask_for_code)
        app.router.add_post("/device", self.take_code)
        return app

    # Endpoints

    async def device_code(self, request: web.Request) -> web.StreamResponse:
        """Issue a device code."""

        def ask(tenant: str, form: Mapping[str, str], _: Misstep) -> dict[str, Any]:
            """Add the page for entering the code."""
            page = f"{self._identity.authority}/device"
            answer = self._identity.device_code(tenant, form) | {"verification_uri": page}
            words = f"To sign in, open the page {page} and enter the code {answer['user_code']}."
            return answer | {"message": words}

        return await self._serve(Endpoint.DEVICECODE, request, ask)

    async def token(self, request: web.Request) -> web.StreamResponse:
        """Issue tokens."""

        def ask(tenant: str, form: Mapping[str, str], flaw: Misstep) -> dict[str, Any]:
            """Apply the script's claims to the ID token."""
            return self._identity.token(tenant, form, flaw.claims)

        return await self._serve(Endpoint.TOKEN, request, ask)

    async def _serve(
        self,
        endpoint: Endpoint,
        request: web.Request,
        ask: Callable[[str, Mapping[str, str], Misstep], dict[str, Any]],
    ) -> web.StreamResponse:
        """Respond to a form, or follow the script."""
        form = {name: str(value) for name, value in (await request.post()).items()}
        tenant = request.match_info["tenant"]
        self._identity.note(endpoint, tenant, form)
        script = self._identity.script
        spoiler = script.take(endpoint, replaces=True)
        if spoiler and not spoiler.late:
            return await self._play(spoiler, request)
        try:
            self._identity.check_client(tenant, form)
            flaw = script.peek(endpoint)
            answer = ask(tenant, form, flaw)
        except RefusedError as error:
            return _refuse(error.refusal)
        script.take(endpoint, replaces=False)
        if spoiler:
            return await self._play(spoiler, request)
        return web.json_response(flaw.spoil(answer), headers=flaw.headers)

    async def authorize(self, request: web.Request) -> web.StreamResponse:
        """Sign a person in through the browser, or ask who signs in."""
        query, tenant = dict(request.query), request.match_info["tenant"]
        self._identity.note(Endpoint.AUTHORIZE, tenant, query)
        spoiler = self._identity.script.take(Endpoint.AUTHORIZE, replaces=True)
        if spoiler and not spoiler.refusal:
            return await self._play(spoiler, request)
        try:
            self._identity.check_client(tenant, query)
            self._identity.check_redirect(query)
        except RefusedError as error:
            return _page("Sorry, but we're having trouble signing you in.", error.refusal.words)
        address = query.get(ACCOUNT, self._identity.sign_in_as)
        if address is None and not spoiler:
            return self._ask_who(request)
        return self._send_back(tenant, query, address or "", spoiler.refusal if spoiler else None)

    def _send_back(
        self, tenant: str, query: Mapping[str, str], address: str, refusal: Refusal | None
    ) -> web.Response:
        """Redirect the browser to the application, with a code or an error."""
        result: dict[str, str] = {}
        try:
            if refusal is None:
                result["code"] = self._identity.authorization_code(tenant, query, address)
        except RefusedError as error:
            refusal = error.refusal
        if refusal:
            answer = wording.answer(refusal)
            result = {name: answer[name] for name in ("error", "error_description")}
        if "state" in query:
            result["state"] = query["state"]
        target = URL(query["redirect_uri"]).update_query(result)
        return web.Response(status=302, headers={"Location": str(target)})

    # Pages

    def _ask_who(self, request: web.Request) -> web.Response:
        """Let a person choose an account."""
        names = [mailbox.address for mailbox in self._identity.fake_server.mailboxes.values()]
        links = "".join(
            f'<p><a href="{escape(str(request.rel_url.update_query({ACCOUNT: name})))}">'
            f"{escape(name or 'Cancel')}</a></p>"
            for name in (*names, "")
        )
        return _page("Pick an account", links, html=True)

    async def ask_for_code(self, request: web.Request) -> web.Response:
        """Let a person enter a code."""
        names = (mailbox.address for mailbox in self._identity.fake_server.mailboxes.values())
        options = "".join(f"<option>{escape(name)}</option>" for name in names)
        code = escape(request.query.get("code", ""))
        return _page(
            "Enter code",
            f'<form method="post"><p><label>Code <input name="code" value="{code}" required '
            f'autofocus></label></p><p><label>Account <select name="{ACCOUNT}">{options}'
            '</select></label></p><p><button name="answer" value="approve">Sign in</button> '
            '<button name="answer" value="decline">Cancel</button></p></form>',
            html=True,
        )

    async def take_code(self, request: web.Request) -> web.Response:
        """Apply a person's decision about a code."""
        form = await request.post()
        code = str(form.get("code", "")).strip().upper()
        if code not in self._identity.user_codes:
            return _page("That code didn't work", "Check the code and try again.")
        if form.get("answer") != "approve":
            self._identity.decline(code)
            return _page("You canceled", "You can close this window.")
        self._identity.approve(code, str(form[ACCOUNT]))
        return _page("You have signed in", "You can close this window.")

    # Misbehavior

    async def _play(self, misstep: Misstep, request: web.Request) -> web.StreamResponse:
        """Respond as the script demands."""
        if misstep.hang:
            await self._stopping.wait()
        if (misstep.hang or misstep.reset) and request.transport:
            sock = request.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            request.transport.abort()
        if misstep.refusal:
            return _refuse(misstep.refusal, misstep.headers)
        return web.Response(
            text=misstep.body,
            status=misstep.status,
            content_type=misstep.content_type,
            headers=misstep.headers,
        )


def _refuse(refusal: Refusal, headers: Mapping[str, str] | None = None) -> web.Response:
    """Respond with an error."""
    return web.json_response(wording.answer(refusal), status=refusal.status, headers=headers)


def _page(title: str, body: str, *, html: bool = False) -> web.Response:
    """Show a page; its body is text unless marked as HTML."""
    text = PAGE.format(title=escape(title), body=body if html else f"<p>{escape(body)}</p>")
    return web.Response(text=text, content_type="text/html")
