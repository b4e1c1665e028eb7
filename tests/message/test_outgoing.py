"""Every message is valid; an invalid one names its field and its problem."""

import pytest

from custom_components.outlook_smtp.message.mailbox import Mailbox, parse_mailboxes
from custom_components.outlook_smtp.message.outgoing import Attachment, OutgoingMessage
from custom_components.outlook_smtp.message.problems import InvalidMessageError, MessageProblem
from tests.promises import MAX_RECIPIENTS

ANNA = Mailbox("anna@example.com")


def attachment(content_id: str | None) -> Attachment:
    """Return an attachment that only differs in its content ID."""
    return Attachment(
        content=b"", filename="door.jpg", mime_type="image/jpeg", content_id=content_id
    )


def test_recipients_of_all_fields_are_distinct() -> None:
    """An address gets one email, however often and in whatever case it is given."""
    outgoing = OutgoingMessage(
        to=parse_mailboxes("b@x.yz, A <a@x.yz>", "to"),
        cc=parse_mailboxes("A@X.yz, c@bücher.example, strasse@x.yz", "cc"),
        bcc=parse_mailboxes("d@x.yz, C@xn--bcher-kva.example, straße@x.yz", "bcc"),
        title="",
    )
    assert outgoing.recipients == (
        *("b@x.yz", "a@x.yz", "c@xn--bcher-kva.example", "strasse@x.yz", "d@x.yz", "straße@x.yz"),
    )


def test_message_without_recipient_is_rejected() -> None:
    """At least one recipient is required."""
    with pytest.raises(InvalidMessageError) as caught:
        OutgoingMessage(title="Door", text="open", reply_to=(ANNA,))
    assert (caught.value.field, caught.value.problem) == ("to", MessageProblem.NO_RECIPIENT)


def test_one_recipient_too_many_is_rejected() -> None:
    """A hundred distinct addresses are accepted; one more is named with its field."""
    many = tuple(Mailbox(f"a{number}@example.com") for number in range(MAX_RECIPIENTS))
    assert len(OutgoingMessage(to=many, cc=many, title="").recipients) == MAX_RECIPIENTS
    with pytest.raises(InvalidMessageError) as caught:
        OutgoingMessage(to=many, bcc=(ANNA,), title="")
    problem = MessageProblem.TOO_MANY_RECIPIENTS
    assert (caught.value.field, caught.value.problem, caught.value.value) == ("bcc", problem, "101")


@pytest.mark.parametrize("field", ["to", "cc", "bcc", "reply_to"])
@pytest.mark.parametrize(
    ("mailbox", "problem"),
    [
        (Mailbox("anna"), MessageProblem.MISSING_AT),
        (Mailbox("a@x.yz\r\nRCPT TO:<eve@x.yz>"), MessageProblem.LINE_BREAK),
    ],
)
def test_unparsed_mailboxes_are_checked(
    field: str, mailbox: Mailbox, problem: MessageProblem
) -> None:
    """A message validates mailboxes in every field."""
    fields = {"to": (ANNA,), field: (mailbox,)}
    with pytest.raises(InvalidMessageError) as caught:
        OutgoingMessage(title="", **fields)  # type: ignore[arg-type]
    assert (caught.value.field, caught.value.problem) == (field, problem)


def test_title_is_one_line_of_valid_characters() -> None:
    """The outbox list and repairs quote the same title as the subject."""
    outgoing = OutgoingMessage(to=(ANNA,), title="\r\n Door\topen\n\u2028 Bcc: eve@x.yz\0\ud83d ")
    assert outgoing.title == "Door open Bcc: eve@x.yz \ufffd"


@pytest.mark.parametrize(
    ("content_ids", "problem"),
    [
        *(([bad], MessageProblem.INVALID_CONTENT_ID) for bad in ("", "a b", "<a>", "a\r\nb", "ü")),
        (["a" * 256], MessageProblem.INVALID_CONTENT_ID),
        (["a", "b", "a"], MessageProblem.DUPLICATE_CONTENT_ID),
    ],
)
def test_content_ids_are_unique(content_ids: list[str], problem: MessageProblem) -> None:
    """A content ID that the HTML cannot refer to, or not uniquely, is rejected."""
    with pytest.raises(InvalidMessageError) as caught:
        OutgoingMessage(to=(ANNA,), title="", attachments=tuple(map(attachment, content_ids)))
    assert (caught.value.field, caught.value.problem) == ("attachments", problem)


def test_content_is_not_in_the_repr() -> None:
    """The content of an attachment does not reach a log through its repr."""
    assert "secret" not in repr(
        Attachment(content=b"secret", filename="a.txt", mime_type="text/plain")
    )
