"""A letter that exists can be sent; what cannot be sent names its field and its problem."""

from time import process_time

from hypothesis import given, strategies as st
import pytest

from custom_components.outlook_smtp.message.letter import Attachment, Letter
from custom_components.outlook_smtp.message.mailbox import (
    Mailbox,
    parse_mailbox,
    parse_mailboxes,
)
from custom_components.outlook_smtp.message.problems import LetterError, LetterProblem
from tests.promises import MAX_RECIPIENTS

ANNA = Mailbox("anna@example.com")
BROKEN_LINES = ["\r\nBcc: eve@example.com", "\n", "\r", "\0", "\x0b", "\x85", "\u2028", "\u2029"]


def attachment(content_id: str | None) -> Attachment:
    """Return an attachment that only its content identifier tells from others."""
    return Attachment(
        content=b"", filename="door.jpg", mime_type="image/jpeg", content_id=content_id
    )


@pytest.mark.parametrize(
    ("text", "address", "name", "envelope"),
    [
        ("anna@example.com", "anna@example.com", "", None),
        (" \tanna@example.com\r\n", "anna@example.com", "", None),
        ("<anna@example.com>", "anna@example.com", "", None),
        ("Anna <anna@example.com>", "anna@example.com", "Anna", None),
        ("Anna  B.  Smith<anna@example.com>", "anna@example.com", "Anna B. Smith", None),
        ("Ward (4th floor) <a@b.example>", "a@b.example", "Ward (4th floor)", None),
        ('"Smith, Anna" <a@b.example>', "a@b.example", "Smith, Anna", None),
        (r'"The \"A\" \\ B" <a@b.example>', "a@b.example", r'The "A" \ B', None),
        ("Zoë Åström 🏠 <zoe@example.com>", "zoe@example.com", "Zoë Åström 🏠", None),
        (
            "a.b+c/d=e!#$%&'*?^_`{|}~-@x-y.example",
            "a.b+c/d=e!#$%&'*?^_`{|}~-@x-y.example",
            "",
            None,
        ),
        ("zoë@example.com", "zoë@example.com", "", None),
        ("zoe\u0308@example.com", "zoe\u0308@example.com", "", "zoë@example.com"),
        ("a@Bücher.example", "a@Bücher.example", "", "a@xn--bcher-kva.example"),
        ("a@straße.example", "a@straße.example", "", "a@xn--strae-oqa.example"),
        ("a@xn--bcher-kva.example", "a@xn--bcher-kva.example", "", None),
    ],
)
def test_one_mailbox_is_read(text: str, address: str, name: str, envelope: str | None) -> None:
    """The forms that people write are understood, and written back they read the same."""
    mailbox = parse_mailbox(text, "to")
    assert (mailbox.address, mailbox.name) == (address, name)
    assert mailbox.envelope == (envelope or address)
    assert parse_mailbox(str(mailbox), "to") == mailbox


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "anna", "anna@", "@example.com", "anna@example", "a b@example.com"),
        *("a@b@example.com", "a@exam ple.com", "a..b@example.com", ".a@example.com"),
        *("a.@example.com", "a@example..com", "a@.example.com", "a@example.com."),
        *("a@-example.com", "a@example-.com", "a@exam_ple.com", "a@192.0.2.1", "a@[192.0.2.1]"),
        *('"a b"@example.com', "mailto:a@example.com", "a@example.com (Anna)"),
        *("a@example.com, b@example.com", "a@example.com;b@example.com", "a@x.yz b@x.yz"),
        *("a@x.yz, B <b@x.yz>", "A <a@x.yz> <b@x.yz>", "A <a@x.yz> b", "A <<a@x.yz>>", "A <>"),
        *("Smith, Anna <a@x.yz>", "a@x.yz <b@x.yz>", 'A "B" <a@x.yz>', '"A <a@x.yz>', "A a@x.yz"),
        *("a@x.yz> SIZE=1", "a@x.yz>,<b@x.yz", "a\ud800@example.com", "a\u00a0b@example.com"),
        *("a\u200b@example.com", "a\u037eb@example.com", "a@b\uff20c.example", "a@☃\u200d.example"),
        *("a@xn--\u00fc.example", "a" * 65 + "@example.com", "ë" * 33 + "@example.com"),
        "a@" + "b" * 64 + ".example",
        "a@" + ".".join(["b" * 61] * 4) + ".example",
        "a@" + ".".join(["ü" * 40] * 6) + ".example",
    ],
)
def test_what_is_no_mailbox_is_refused(text: str) -> None:
    """Anything but exactly one plain mailbox is an invalid address of its field."""
    with pytest.raises(LetterError) as caught:
        parse_mailbox(text, "cc")
    assert (caught.value.field, caught.value.problem) == ("cc", LetterProblem.INVALID_ADDRESS)
    assert len(caught.value.value) <= 100 + len(r"\ud800")
    assert caught.value.value.isprintable()
    assert str(caught.value) == "cc: invalid_address"


@pytest.mark.parametrize("broken", BROKEN_LINES)
@pytest.mark.parametrize("form", ["a{}b@example.com", "a@exa{}mple.com", "An{}na <a@example.com>"])
def test_a_mailbox_stays_on_its_line(form: str, broken: str) -> None:
    """No control character gets into a mailbox; the error shows it without obeying it."""
    with pytest.raises(LetterError) as caught:
        parse_mailbox(form.format(broken), "to")
    assert caught.value.problem is LetterProblem.LINE_BREAK
    assert "\\" in caught.value.value
    assert caught.value.value.isprintable()


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], []),
        ("", []),
        (" , ;\n", []),
        ("a@x.yz", ["a@x.yz"]),
        ("a@x.yz,b@x.yz ; C <c@x.yz>,", ["a@x.yz", "b@x.yz", "C <c@x.yz>"]),
        (["a@x.yz", "b@x.yz,\n c@x.yz", ""], ["a@x.yz", "b@x.yz", "c@x.yz"]),
        ('"A; b, \\"c" <a@x.yz>, b@x.yz', ['"A; b, \\"c" <a@x.yz>', "b@x.yz"]),
    ],
)
def test_many_mailboxes_are_read(texts: list[str] | str, expected: list[str]) -> None:
    """One text or many, each with none, one or several: all come out in order."""
    assert [str(mailbox) for mailbox in parse_mailboxes(texts, "to")] == expected


@pytest.mark.parametrize("texts", ["a@x.yz b@x.yz", "a@x.yz, b", ["a@x.yz", "Smith, A <b@x.yz>"]])
def test_one_bad_mailbox_refuses_them_all(texts: list[str] | str) -> None:
    """No recipient is dropped quietly."""
    with pytest.raises(LetterError):
        parse_mailboxes(texts, "to")


@pytest.mark.parametrize("unit", ['"', '\\"', '"\\', " ", "<", "a,", "a@", "ü.", "@ü", "\\"])
def test_hostile_texts_take_no_time(unit: str) -> None:
    """A text as long as a template may yield is settled at once, whatever it is made of."""
    started = process_time()
    with pytest.raises(LetterError):
        parse_mailboxes(f'"a{unit * 100_000}b', "to")
    with pytest.raises(LetterError):
        parse_mailbox(f"a{unit * 100_000}b", "to")
    assert process_time() - started < 1


@given(st.text(st.characters()))
def test_any_text_is_a_mailbox_or_a_letter_error(text: str) -> None:
    """Nothing else is raised, and what is accepted is safe in a command and in a header."""
    for candidate in (text, f"{text}@example.com", f"a@{text}.example", f"{text} <a@example.com>"):
        try:
            mailbox = parse_mailbox(candidate, "to")
        except LetterError as error:
            assert error.value.isprintable()  # noqa: PT017 - some inputs raise nothing
        else:
            assert parse_mailbox(str(mailbox), "to") == mailbox
            assert mailbox.envelope.isprintable()
            assert not set(mailbox.envelope) & set(' <>,;:"()[]\\')
            assert mailbox.domain.isascii()


@given(st.text(st.characters(exclude_categories=["Cc", "Zl", "Zp"])).map(str.strip))
def test_any_name_survives_being_written_and_read(name: str) -> None:
    """The written form of a mailbox is one that is read back."""
    assert parse_mailbox(str(Mailbox("a@x.yz", name)), "to") == Mailbox("a@x.yz", name)


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
        (Mailbox("anna"), LetterProblem.INVALID_ADDRESS),
        (Mailbox("a@x.yz\r\nRCPT TO:<eve@x.yz>"), LetterProblem.LINE_BREAK),
        (Mailbox("a@x.yz", "A\r\nBcc: eve@x.yz"), LetterProblem.LINE_BREAK),
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


@pytest.mark.parametrize("broken", BROKEN_LINES)
@pytest.mark.parametrize("field", ["title", "sender_name"])
def test_no_header_holds_a_second_line(field: str, broken: str) -> None:
    """A line break is refused within a value, and forgiven around it, as YAML blocks leave it."""
    with pytest.raises(LetterError) as caught:
        Letter(to=(ANNA,), **{"title": "", field: f"Door{broken}s"})  # type: ignore[arg-type]
    assert (caught.value.field, caught.value.problem) == (field, LetterProblem.LINE_BREAK)
    Letter(to=(ANNA,), **{"title": "", field: "\r\n Door\n"})  # type: ignore[arg-type]


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
