"""A refused access token is renewed once, wherever and in whatever words it is refused."""

import pytest

from custom_components.outlook_smtp.delivery.content import Content
from custom_components.outlook_smtp.delivery.faults import Fault, Kind, Problem, SubmissionError
from custom_components.outlook_smtp.delivery.outcome import Outcome
from custom_components.outlook_smtp.smtp.credentials import BearerToken
from custom_components.outlook_smtp.smtp.probe import probe
from custom_components.outlook_smtp.smtp.route import SmtpRoute
from tests.conftest import ADDRESS
from tests.fake_microsoft import CATALOGUE, FakeServer, Row, Script, Step

from .helpers import ANNA, CONTENT, account_on, envelope_to
from .test_sasl import CHALLENGE

ROWS = {row.name: row for row in CATALOGUE}
REFUSALS = [
    "535 5.7.3 Authentication unsuccessful",
    "535 5.7.139 Authentication unsuccessful",
    "535 5.7.139 Authentication unsuccessful, the user credentials were incorrect.",
    "535 5.7.8 Error: authentication failed: token expired",
    "535 Go away",
    "534 5.7.9 Please sign in anew",
]


class Tokens:
    """The tokens of a mailbox, one after the other, counting replacements."""

    secrets = ()

    def __init__(self, fake_server: FakeServer) -> None:
        """Start with the first token."""
        self.renewals = 0
        self._fake_server = fake_server
        self._issue()

    def _issue(self) -> None:
        """Let the server accept the current token."""
        self._fake_server.access_tokens[self._token] = ADDRESS

    @property
    def _token(self) -> str:
        """Return the current token."""
        return f"token {self.renewals}"

    async def get(self) -> str:
        """Return the current token."""
        return self._token

    async def replace(self, refused: str) -> None:
        """Switch to another token."""
        assert refused == self._token
        self.renewals += 1
        self._issue()


@pytest.fixture
def tokens(fake_server: FakeServer) -> Tokens:
    """Return the tokens of the mailbox."""
    return Tokens(fake_server)


@pytest.fixture
def route(fake_server: FakeServer, tokens: Tokens) -> SmtpRoute:
    """Return the route of an account that signed in with Microsoft."""
    return SmtpRoute(account_on(fake_server, credentials=BearerToken(ADDRESS, tokens)))


async def submit(route: SmtpRoute) -> Outcome:
    """Submit a message, and disconnect from the server if that fails."""
    try:
        return await route.submit(envelope_to(ANNA), Content.of(CONTENT))
    except SubmissionError:
        await route.close()
        raise


@pytest.mark.parametrize("words", [*REFUSALS, CHALLENGE])
async def test_token_refused_at_the_sign_in_is_renewed(
    fake_server: FakeServer, route: SmtpRoute, tokens: Tokens, words: str
) -> None:
    """The message is sent with the next token, without an error."""
    if words is CHALLENGE:
        fake_server.access_tokens.clear()
    fake_server.script_next(Script(replies={Step.AUTH: words}))
    assert (await submit(route)).accepted == (ANNA,)
    assert (tokens.renewals, fake_server.connections) == (1, 2)
    await route.close()


@pytest.mark.parametrize("words", REFUSALS)
async def test_renewed_token_refused_at_the_sign_in_is_a_fault(
    fake_server: FakeServer, route: SmtpRoute, tokens: Tokens, words: str
) -> None:
    """Then a person must sign in, and a password is not suggested."""
    fake_server.script = Script(replies={Step.AUTH: words})
    with pytest.raises(SubmissionError) as caught:
        await submit(route)
    fault = caught.value.fault
    assert (fault.kind, fault.problem) == (Kind.CREDENTIALS, Problem.IDENTITY_REFUSED)
    assert fault.reply == words
    assert (tokens.renewals, fake_server.connections) == (1, 2)


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("step", [Step.MAIL, Step.RCPT, Step.DATA, Step.FINAL])
@pytest.mark.parametrize(
    "words",
    [
        *REFUSALS,
        "530 5.7.57 Client not authenticated to send mail. Error: " + REFUSALS[0],
        "530 5.7.57 SMTP; Client was not authenticated to send anonymous mail during MAIL FROM",
        "530 5.7.0 Authentication needed",
    ],
)
async def test_token_refused_during_a_session_is_renewed(
    fake_server: FakeServer, route: SmtpRoute, tokens: Tokens, words: str, step: Step, *, kept: bool
) -> None:
    """The message is sent over another session with the next token."""
    if kept:
        await submit(route)
    fake_server.script = Script(replies={step: words}, times=1)
    assert (await submit(route)).accepted == (ANNA,)
    assert (tokens.renewals, fake_server.connections) == (1, 2)
    assert len(fake_server.received) == 1 + kept
    await route.close()


@pytest.mark.parametrize("step", [Step.MAIL, Step.DATA])
async def test_renewed_token_refused_during_a_session_is_a_fault(
    fake_server: FakeServer, route: SmtpRoute, tokens: Tokens, step: Step
) -> None:
    """One renewal is the limit, wherever it was: there is no third attempt."""
    fake_server.script = Script(replies={step: REFUSALS[0]})
    with pytest.raises(SubmissionError) as caught:
        await submit(route)
    assert caught.value.submitting
    fault = caught.value.fault
    assert (fault.kind, fault.problem) == (Kind.CREDENTIALS, Problem.IDENTITY_REFUSED)
    assert (tokens.renewals, fake_server.connections) == (1, 2)


async def test_renewal_at_the_sign_in_is_not_repeated_later(
    fake_server: FakeServer, route: SmtpRoute, tokens: Tokens
) -> None:
    """The new token is refused the second time."""
    fake_server.script_next(Script(replies={Step.AUTH: REFUSALS[0]}))
    fake_server.script = Script(replies={Step.MAIL: REFUSALS[1]})
    with pytest.raises(SubmissionError, match=REFUSALS[1]):
        await submit(route)
    assert (tokens.renewals, fake_server.connections) == (1, 2)


async def test_renewal_during_a_session_is_not_repeated_at_the_sign_in(
    fake_server: FakeServer, route: SmtpRoute, tokens: Tokens
) -> None:
    """Nor is there a third attempt in the other order."""
    await submit(route)
    fake_server.script = Script(replies={Step.MAIL: REFUSALS[1], Step.AUTH: REFUSALS[0]})
    with pytest.raises(SubmissionError, match=REFUSALS[0]) as caught:
        await submit(route)
    assert not caught.value.submitting
    assert (tokens.renewals, fake_server.connections) == (1, 2)


@pytest.mark.parametrize(
    "row",
    [row for row in CATALOGUE if row.step is Step.AUTH and row.kind != "credentials"],
    ids=lambda row: row.name,
)
async def test_other_refusals_cause_no_renewal(
    fake_server: FakeServer, route: SmtpRoute, tokens: Tokens, row: Row
) -> None:
    """An account that may not send, or a server that is out of order, cause no renewal."""
    fake_server.script = Script.for_row(row)
    with pytest.raises(SubmissionError):
        await submit(route)
    assert (tokens.renewals, fake_server.connections) == (0, 1)


async def test_failed_renewal_is_reported(
    fake_server: FakeServer, route: SmtpRoute, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The renewal's problem is reported, because that is what must be fixed."""
    ended = Fault(Kind.CREDENTIALS, Problem.SIGN_IN_REQUIRED, text="invalid_grant")

    async def fail(refused: str) -> None:
        raise SubmissionError(ended)

    monkeypatch.setattr(tokens, "replace", fail)
    fake_server.script = Script(replies={Step.MAIL: REFUSALS[0]})
    with pytest.raises(SubmissionError) as caught:
        await submit(route)
    assert caught.value.fault == ended
    assert fake_server.connections == 1


async def test_checks_renew_too(fake_server: FakeServer, tokens: Tokens) -> None:
    """A check whose token is refused succeeds in the end."""
    account = account_on(fake_server, credentials=BearerToken(ADDRESS, tokens))
    fake_server.script_next(Script(replies={Step.AUTH: REFUSALS[3]}))
    await probe(account)
    assert tokens.renewals == 1


async def test_password_refused_during_a_session_gets_a_new_session(
    fake_server: FakeServer,
) -> None:
    """A kept session is replaced once; the refusal of a new one is reported."""
    route = SmtpRoute(account_on(fake_server))
    await submit(route)
    fake_server.script = Script.for_row(ROWS["not_authenticated"], times=1)
    assert (await submit(route)).accepted == (ANNA,)
    assert fake_server.connections == 2
    fake_server.script = Script.for_row(ROWS["not_authenticated"])
    with pytest.raises(SubmissionError) as caught:
        await submit(route)
    assert caught.value.fault.problem is Problem.NOT_AUTHENTICATED
    assert fake_server.connections == 3


@pytest.mark.parametrize("step", [Step.AUTH, Step.MAIL])
async def test_refused_password_is_not_sent_again(fake_server: FakeServer, step: Step) -> None:
    """Microsoft counts refusals; the text is about a password and disabled SMTP."""
    route = SmtpRoute(account_on(fake_server))
    fake_server.script = Script(replies={step: REFUSALS[0]})
    with pytest.raises(SubmissionError) as caught:
        await submit(route)
    fault = caught.value.fault
    assert (fault.kind, fault.problem) == (Kind.CREDENTIALS, Problem.PASSWORD_REFUSED)
    assert fake_server.connections == 1
