"""A letter that exists can be sent; what cannot be sent names its field and its problem."""

import pytest

from custom_components.outlook_smtp.message.letter import Attachment, Letter
from custom_components.outlook_smtp.message.mailbox import Mailbox, parse_mailboxes
from custom_components.outlook_smtp.message.problems import LetterError, LetterProblem
from tests.promises import MAX_RECIPIENTS

ANNA = Mailbox("anna@example.com")


def attachment(content_id: str | None) -> Attachment:
    """Return an attachment that only its content identifier tells from others."""
    return Attachment(
        content=b"", filename="door.jpg", mime_type="image/jpeg", content_id=content_id
    )


def test_recipients_are_those_of_all_three_fields_once() -> None:
    """An address is written to once, however often and in whatever case it is given."""
    letter = Letter(
        to=parse_mailboxes("b@x.yz, A <a@x.yz>", "to"),
        cc=parse_mailboxes("A@X.yz, c@bücher.example, strasse@x.yz", "cc"),
        bcc=parse_mailboxes("d@x.yz, C@xn--bcher-kva.example, straße@x.yz", "bcc"),
        title="",
    )
    assert letter.recipients == (
        *("b@x.yz", "a@x.yz", "c@xn--bcher-kva.example", "strasse@x.yz", "d@x.yz", "straße@x.yz"),
    )


def test_a_letter_without_recipient_is_refused() -> None:
    """There must be someone to write to."""
    with pytest.raises(LetterError) as caught:
        Letter(title="Door", text="open", reply_to=(ANNA,))
    assert (caught.value.field, caught.value.problem) == ("to", LetterProblem.NO_RECIPIENT)


def test_the_recipient_that_is_one_too_many_is_refused() -> None:
    """A hundred distinct addresses are a letter; one more is named with its field."""
    many = tuple(Mailbox(f"a{number}@example.com") for number in range(MAX_RECIPIENTS))
    assert len(Letter(to=many, cc=many, title="").recipients) == MAX_RECIPIENTS
    with pytest.raises(LetterError) as caught:
        Letter(to=many, bcc=(ANNA,), title="")
    problem = LetterProblem.TOO_MANY_RECIPIENTS
    assert (caught.value.field, caught.value.problem, caught.value.value) == ("bcc", problem, "101")


@pytest.mark.parametrize("field", ["to", "cc", "bcc", "reply_to"])
@pytest.mark.parametrize(
    ("mailbox", "problem"),
    [
        (Mailbox("anna"), LetterProblem.MISSING_AT),
        (Mailbox("a@x.yz\r\nRCPT TO:<eve@x.yz>"), LetterProblem.LINE_BREAK),
    ],
)
def test_mailboxes_that_nobody_parsed_are_checked(
    field: str, mailbox: Mailbox, problem: LetterProblem
) -> None:
    """A letter trusts no mailbox, in whatever field it comes."""
    fields = {"to": (ANNA,), field: (mailbox,)}
    with pytest.raises(LetterError) as caught:
        Letter(title="", **fields)  # type: ignore[arg-type]
    assert (caught.value.field, caught.value.problem) == (field, problem)


def test_a_title_is_one_line_of_whole_characters() -> None:
    """What the outbox lists and repairs quote is what the subject says."""
    letter = Letter(to=(ANNA,), title="\r\n Door\topen\n\u2028 Bcc: eve@x.yz\0\ud83d ")
    assert letter.title == "Door open Bcc: eve@x.yz \ufffd"


@pytest.mark.parametrize(
    ("content_ids", "problem"),
    [
        *(([bad], LetterProblem.INVALID_CONTENT_ID) for bad in ("", "a b", "<a>", "a\r\nb", "ü")),
        (["a" * 256], LetterProblem.INVALID_CONTENT_ID),
        (["a", "b", "a"], LetterProblem.DUPLICATE_CONTENT_ID),
    ],
)
def test_content_identifiers_name_one_attachment(
    content_ids: list[str], problem: LetterProblem
) -> None:
    """What the HTML cannot name, or not unmistakably, is refused."""
    with pytest.raises(LetterError) as caught:
        Letter(to=(ANNA,), title="", attachments=tuple(map(attachment, content_ids)))
    assert (caught.value.field, caught.value.problem) == ("attachments", problem)


def test_contents_are_not_shown() -> None:
    """What an attachment holds does not reach a log by way of its repr."""
    assert "secret" not in repr(
        Attachment(content=b"secret", filename="a.txt", mime_type="text/plain")
    )
