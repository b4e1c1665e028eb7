"""The commands of a conversation, as Microsoft's servers obey them."""

import asyncio
from datetime import UTC, datetime
import re

from . import envelope, signin, submission, wording
from .line import HangUpError, Line
from .mailbox import Received
from .script import Step

EHLO_NAME = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*|\[[0-9.]+\]|\[ipv6:[0-9a-f:.]+\]", re.IGNORECASE)
MAX_RECIPIENTS = 500


class Conversation(Line):
    """A client that is served.

    CHUNKING and BINARYMIME, which Microsoft offers, are not offered until BDAT is understood.
    """

    _sender: envelope.Sender | None = None
    _recipients: tuple[str, ...] = ()

    async def smtp_EHLO(self, hostname: str) -> None:
        """Greet a client and list what is offered."""
        if not EHLO_NAME.fullmatch(hostname):
            await self.refuse(wording.INVALID_DOMAIN)
            return
        self._start_over()
        self._hello = True
        offers = [self._hello_line(), *self._offers()]
        lines = [f"250-{offer}" for offer in offers[:-1]] + [f"250 {offers[-1]}"]
        await self.accept("\n".join(lines))

    def _offers(self) -> list[str]:
        """Return what the server can do, in Microsoft's order."""
        script = self._scripts()[-1]
        offers = [f"SIZE {self._size()}", "PIPELINING", "DSN", "ENHANCEDSTATUSCODES"]
        if self._tls_version and script.auth_offered:
            offers.append(" ".join(("AUTH", *script.auth_offered)))
        if not self._tls_version and script.offer_starttls:
            offers.append("STARTTLS")
        return [*offers, "8BITMIME", "SMTPUTF8"]

    async def smtp_HELO(self, hostname: str) -> None:
        """Greet a client that knows no extensions."""
        if not EHLO_NAME.fullmatch(hostname):
            await self.refuse(wording.INVALID_DOMAIN)
            return
        self._start_over()
        self._hello = True
        await self.accept(f"250 {self._hello_line()}")

    async def smtp_STARTTLS(self, arg: str) -> None:
        """Go over to TLS on request."""
        if not self._hello:
            await self.refuse(wording.HELLO_NEEDED)
        elif self._tls_version:
            await self.refuse(wording.TLS_TWICE)
        elif arg:
            await self.refuse(wording.INVALID_ARGUMENTS)
        elif not self._scripts()[-1].offer_starttls:
            await self.refuse(wording.UNKNOWN_COMMAND)
        else:
            await self.accept(wording.STARTTLS_READY)
            self._start_over()
            await self._secure()

    async def smtp_AUTH(self, arg: str) -> None:
        """Find out who the client is."""
        mechanism, _, initial = arg.partition(" ")
        if refusal := self._auth_refusal(mechanism.upper()):
            await self.refuse(refusal)
            return
        try:
            credentials = await signin.read_credentials(
                mechanism.upper(), initial.removeprefix("=") if initial else None, self._ask
            )
        except signin.SignInRefusedError as error:
            if scripted := await self._spoil(Step.AUTH):
                await self.say(scripted)
            else:
                await self.refuse(str(error))
            return
        await self._sign_in(credentials)

    def _auth_refusal(self, mechanism: str) -> str | None:
        """Return why AUTH may not begin."""
        if not self._hello:
            return wording.HELLO_NEEDED
        if not self._tls_version:
            return wording.TLS_NEEDED
        if self.account:
            return wording.AUTH_TWICE
        known = mechanism in signin.MECHANISMS and mechanism in self._scripts()[-1].auth_offered
        return None if known else wording.AUTH_UNKNOWN

    async def _sign_in(self, credentials: signin.Credentials) -> None:
        """Let the client in, or not."""
        mailbox = self._claimed = self._server.find_mailbox(credentials.name)
        scripted = await self._spoil(Step.AUTH)
        if not scripted and self._words and self._words.startswith("334"):
            await self._ask(self._words)
        refusal = signin.refusal(credentials, mailbox, self._server.access_tokens)
        if scripted:
            await self.say(scripted)
        elif refusal or mailbox is None:
            await self.refuse(refusal or wording.WRONG_TOKEN)
        else:
            self.account = mailbox
            await self.accept(wording.AUTHENTICATED)
        self._claimed = self.account

    async def smtp_MAIL(self, arg: str | None) -> None:
        """Begin a message."""
        if refusal := self._mail_refusal(arg or ""):
            await self.refuse(refusal)
        else:
            await self.accept(wording.SENDER_OK)

    def _mail_refusal(self, argument: str) -> str | None:
        """Note the sender, or return why it is refused."""
        if refusal := self._not_ready():
            return refusal
        if self._sender:
            return wording.MAIL_TWICE
        try:
            sender = envelope.parse_mail(argument)
        except envelope.EnvelopeError as error:
            return str(error)
        if sender.size > self._size():
            return wording.TOO_BIG
        self._sender = sender
        return None

    async def smtp_RCPT(self, arg: str | None) -> None:
        """Add a recipient."""
        if refusal := self._not_ready():
            await self.refuse(refusal)
        elif not self._sender:
            await self.refuse(wording.MAIL_NEEDED)
        elif len(self._recipients) >= (self._setting("limit_recipients") or MAX_RECIPIENTS):
            await self.refuse(wording.TOO_MANY_RECIPIENTS)
        else:
            await self._add_recipient(arg or "", self._sender)

    async def _add_recipient(self, argument: str, sender: envelope.Sender) -> None:
        """Note a recipient, or refuse it."""
        try:
            address = envelope.parse_rcpt(argument, utf8=sender.utf8)
        except envelope.EnvelopeError as error:
            await self.refuse(str(error))
            return
        for script in self._scripts():
            if refusal := script.refuse_recipients.get(address.lower()):
                await self.say(refusal)
                return
        self._recipients += (address,)
        await self.accept(wording.RECIPIENT_OK)

    async def smtp_DATA(self, arg: str) -> None:
        """Take a message."""
        refusal = self._not_ready()
        if not refusal and not self._recipients:
            refusal = wording.RCPT_NEEDED if self._sender else wording.MAIL_NEEDED
        if refusal or arg:
            await self.refuse(refusal or wording.INVALID_ARGUMENTS)
            return
        await self.accept(wording.START_INPUT)
        await self._settle(await self._read_content())
        self._start_over()
        if reply := await self._spoil(Step.IDLE) or self._words:
            await self.say(reply)

    async def smtp_RSET(self, arg: str) -> None:
        """Forget the message begun."""
        self._start_over()
        await self.say(wording.RESETTING)

    async def smtp_NOOP(self, arg: str) -> None:
        """Do nothing."""
        await self.say(wording.OK)

    async def smtp_VRFY(self, arg: str) -> None:
        """Tell nothing about an address."""
        await self.say(wording.CANNOT_VERIFY)

    async def smtp_QUIT(self, arg: str) -> None:
        """Say goodbye."""
        await self.accept(wording.GOODBYE)
        raise HangUpError

    # The message

    async def _read_content(self) -> bytes | None:
        """Read up to the final dot; nothing is kept of a message that is too big."""
        content = bytearray()
        limit, total, line_start = self._size(), 0, True
        while True:
            try:
                piece = await self._reader.readuntil(b"\r\n")
            except asyncio.LimitOverrunError as error:
                piece = await self._reader.readexactly(error.consumed)
            if total == 0:
                await self._spoil_content()
            if line_start and piece == b".\r\n":
                break
            if line_start and piece.startswith(b"."):
                piece = piece[1:]
            line_start = piece.endswith(b"\r\n")
            total += len(piece)
            if total <= limit:
                content += piece
        self.transcript.append(("C", f"({total} bytes of content)"))
        return bytes(content) if total <= limit else None

    async def _spoil_content(self) -> None:
        """Interrupt a client in the middle of its message if a script wants that."""
        if interruption := await self._spoil(Step.CONTENT) or self._words:
            await self.say(interruption)
            raise HangUpError

    async def _settle(self, content: bytes | None) -> None:
        """Take the message or refuse it."""
        script = self._spoiler(Step.FINAL)
        if script and script.keep:
            self._keep(content, None)
        scripted = await self._play(script, Step.FINAL) if script else None
        if refusal := scripted or self._content_refusal(content):
            await self.say(refusal)
            return
        reply = self._words or wording.accepted()
        if not (script and script.keep):
            self._keep(content, reply)
        await self.say(reply)

    def _content_refusal(self, content: bytes | None) -> str | None:
        """Return why the message is not taken, or nothing if it is."""
        if content is None:
            return f"{wording.TOO_BIG} {self._frontend.mark()}"
        limit = self._setting("limit_connections")
        if limit is not None and self._server.rank(self) >= limit:
            return f"{wording.TOO_MANY_CONNECTIONS} {wording.backend_mark()}"
        assert self.account is not None
        assert self._sender is not None
        return submission.refusal(content, self._sender.address, self.account)

    def _keep(self, content: bytes | None, reply: str | None) -> None:
        """Put the message among those received."""
        assert self.account is not None
        assert self._sender is not None
        given = re.search(r"<[^<>]+>", reply or "")
        self._server.keep(
            Received(
                sender=self._sender.address,
                recipients=self._recipients,
                content=content or b"",
                account=self.account.address,
                tls_version=self._tls_version or "",
                message_id_given=given[0] if given else None,
                at=datetime.now(UTC),
            )
        )

    # What is known so far

    def _hello_line(self) -> str:
        """Return how the server greets a client back."""
        return f"{self._frontend.host} Hello [{self._writer.get_extra_info('peername')[0]}]"

    def _start_over(self) -> None:
        """Forget the message begun."""
        self._sender = None
        self._recipients = ()

    def _not_ready(self) -> str | None:
        """Return what must come before a message."""
        if not self._hello:
            return wording.HELLO_NEEDED
        if not self._tls_version:
            return wording.TLS_NEEDED
        return None if self.account else wording.AUTH_NEEDED

    def _size(self) -> int:
        """Return the biggest message taken."""
        return self._setting("size") or self._server.size
