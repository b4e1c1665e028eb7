"""The commands of a conversation, as Microsoft's servers handle them."""

import re

from . import envelope, signin, wording
from .content import Intake, Transaction
from .line import HangUpError
from .script import EXTENSIONS, Step

EHLO_NAME = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*|\[[0-9.]+\]|\[ipv6:[0-9a-f:.]+\]", re.IGNORECASE)
MAX_RECIPIENTS = 500


class Conversation(Intake):
    """A client that is being served."""

    async def smtp_EHLO(self, hostname: str) -> None:
        """Greet a client and list the extensions."""
        if not EHLO_NAME.fullmatch(hostname):
            await self.refuse(wording.INVALID_DOMAIN)
            return
        self._start_over()
        self._hello = True
        offers = [self._hello_line(), *self._offers()]
        lines = [f"250-{offer}" for offer in offers[:-1]] + [f"250 {offers[-1]}"]
        reply = self._words or "\n".join(lines)
        self._pipelining = "PIPELINING" in reply and self._extends("PIPELINING")
        await self.say(reply)

    def _offers(self) -> list[str]:
        """Return the extensions, in Microsoft's order."""
        script = self._scripts()[-1]
        offers = [keyword for keyword in EXTENSIONS if script.offers(keyword)]
        place = sum(keyword in offers for keyword in EXTENSIONS[:4])
        if self._tls_version and script.auth_offered:
            offers.insert(place, " ".join(("AUTH", *script.auth_offered)))
        if not self._tls_version and script.offer_starttls:
            offers.insert(place, "STARTTLS")
        return [f"SIZE {self._size()}" if offer == "SIZE" else offer for offer in offers]

    async def smtp_HELO(self, hostname: str) -> None:
        """Greet a client without extensions."""
        if not EHLO_NAME.fullmatch(hostname):
            await self.refuse(wording.INVALID_DOMAIN)
            return
        self._start_over()
        self._hello, self._pipelining = True, False
        await self.accept(f"250 {self._hello_line()}")

    async def smtp_STARTTLS(self, arg: str) -> None:
        """Switch to TLS on request."""
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
        """Authenticate the client."""
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
        """Return why AUTH is not allowed."""
        if not self._hello:
            return wording.HELLO_NEEDED
        if not self._tls_version:
            return wording.TLS_NEEDED
        if self.account:
            return wording.AUTH_TWICE
        known = mechanism in signin.MECHANISMS and mechanism in self._scripts()[-1].auth_offered
        return None if known else wording.AUTH_UNKNOWN

    async def _sign_in(self, credentials: signin.Credentials) -> None:
        """Sign the client in, or refuse it."""
        mailbox = self._claimed = self._server.find_mailbox(credentials.name)
        scripted = await self._spoil(Step.AUTH)
        if not scripted and self._words and self._words.startswith("334"):
            await self._ask(self._words)
            self._words = None
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
        """Store the sender, or return why it is refused."""
        if refusal := self._not_ready():
            return refusal
        if self._transaction.sender:
            return wording.MAIL_TWICE
        try:
            sender = envelope.parse_mail(argument, self._extends)
        except envelope.EnvelopeError as error:
            return str(error)
        if sender.size > self._size():
            return wording.TOO_BIG
        self._transaction = Transaction(sender=sender)
        return None

    async def smtp_RCPT(self, arg: str | None) -> None:
        """Add a recipient."""
        if refusal := self._not_ready():
            await self.refuse(refusal)
        elif not self._transaction.sender:
            await self.refuse(wording.MAIL_NEEDED)
        elif self._transaction.chunks:
            await self.refuse(wording.BAD_SEQUENCE)
        elif len(self._transaction.recipients) >= (
            self._setting("limit_recipients") or MAX_RECIPIENTS
        ):
            await self.refuse(wording.TOO_MANY_RECIPIENTS)
        else:
            await self._add_recipient(arg or "", self._transaction.sender)

    async def _add_recipient(self, argument: str, sender: envelope.Sender) -> None:
        """Add a recipient, or refuse it."""
        try:
            address = envelope.parse_rcpt(argument, self._extends, utf8=sender.utf8)
        except envelope.EnvelopeError as error:
            await self.refuse(str(error))
            return
        for script in self._scripts():
            if refusal := script.refuse_recipients.get(address.lower()):
                await self.say(refusal)
                return
        self._transaction.recipients += (address,)
        await self.accept(wording.RECIPIENT_OK)

    async def smtp_RSET(self, arg: str) -> None:
        """Discard the current message."""
        self._start_over()
        await self.say(wording.RESETTING)

    async def smtp_NOOP(self, arg: str) -> None:
        """Do nothing."""
        await self.say(wording.OK)

    async def smtp_VRFY(self, arg: str) -> None:
        """Reveal nothing about an address."""
        await self.say(wording.CANNOT_VERIFY)

    async def smtp_QUIT(self, arg: str) -> None:
        """Close the conversation."""
        await self.accept(wording.GOODBYE)
        self._writer.close()
        raise HangUpError

    def _hello_line(self) -> str:
        """Return the server's greeting in reply to EHLO."""
        return f"{self._frontend.host} Hello [{self._writer.get_extra_info('peername')[0]}]"
