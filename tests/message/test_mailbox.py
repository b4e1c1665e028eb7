"""Recipients are parsed as people write them, with a reason for each rejection."""

from time import process_time

from hypothesis import example, given, strategies as st
import pytest

from custom_components.outlook_smtp.message.mailbox import (
    MAX_FIELD,
    Mailbox,
    parse_mailbox,
    parse_mailboxes,
)
from custom_components.outlook_smtp.message.problems import InvalidMessageError, MessageProblem

CONTROLS = ["\r\nBcc: eve@example.com", "\n", "\r", "\t", "\0", "\x0b", "\x85", "\u2028", "\u2029"]


@pytest.mark.parametrize(
    ("text", "address", "name", "envelope"),
    [
        ("anna@example.com", "anna@example.com", "", None),
        (" \tanna@example.com\r\n", "anna@example.com", "", None),
        ("<anna@example.com>", "anna@example.com", "", None),
        ("Anna <anna@example.com>", "anna@example.com", "Anna", None),
        ("Anna  B.  Smith<anna@example.com>", "anna@example.com", "Anna B. Smith", None),
        ("Zoë Åström 🏠 <zoe@example.com>", "zoe@example.com", "Zoë Åström 🏠", None),
        # Addresses as names, and names that are quoted as a whole or in part.
        ("bob@example.com <bob@example.com>", "bob@example.com", "bob@example.com", None),
        ("bob@a.example <bob@b.example>", "bob@b.example", "bob@a.example", None),
        ('"bob@example.com" <bob@example.com>', "bob@example.com", "bob@example.com", None),
        ('Robert "Bob" Smith <bob@example.com>', "bob@example.com", "Robert Bob Smith", None),
        ('"Smith, Anna" <a@b.example>', "a@b.example", "Smith, Anna", None),
        (r'"The \"A\" \\ B" <a@b.example>', "a@b.example", r'The "A" \ B', None),
        ('"" <a@b.example>', "a@b.example", "", None),
        ("'Bob' <bob@example.com>", "bob@example.com", "'Bob'", None),
        ("Alarm: Hall <a@b.example>", "a@b.example", "Alarm: Hall", None),
        ("Smile :) or :( <a@b.example>", "a@b.example", "Smile :) or :(", None),
        # Comments; one is the name if there is no other (RFC 5322, section 3.4).
        ("bob@example.com (Bob)", "bob@example.com", "Bob", None),
        (r'b@x.yz (Smith, \(Bob; "B (at) home)', "b@x.yz", 'Smith, (Bob; "B (at) home', None),
        ("(Bob) bob@example.com", "bob@example.com", "Bob", None),
        ("(Bob) <bob@example.com>", "bob@example.com", "Bob", None),
        ("bob(home)@example.com", "bob@example.com", "home", None),
        ("Bob <bob@example.com> (home)", "bob@example.com", "Bob", None),
        ("Bob <bob@example.com(home)>", "bob@example.com", "Bob", None),
        ("Ward (4th floor) <a@b.example>", "a@b.example", "Ward (4th floor)", None),
        # Groups.
        ("Family: anna@example.com;", "anna@example.com", "", None),
        ('"The, Smiths": Anna <anna@example.com> ;', "anna@example.com", "Anna", None),
        # Addresses.
        *(
            (address, address, "", None)
            for address in (
                *("a.b+c/d=e!#$%&'*?^_`{|}~-@x-y.example", "zoë@example.com", "Me@NAS.local"),
                *("me@mail.home.arpa", "a@b.test", "a@xn--bcher-kva.example", "1@2.x3"),
            )
        ),
        ("zoe\u0308@example.com", "zoe\u0308@example.com", "", "zoë@example.com"),
        ("a@Bücher.example", "a@Bücher.example", "", "a@xn--bcher-kva.example"),
        ("a@straße.example", "a@straße.example", "", "a@xn--strae-oqa.example"),
    ],
)
def test_one_mailbox_is_parsed(text: str, address: str, name: str, envelope: str | None) -> None:
    """All common forms are parsed, and give the same result when written and parsed again."""
    mailbox = parse_mailbox(text, "to")
    assert (mailbox.address, mailbox.name) == (address, name)
    assert mailbox.envelope == (envelope or address)
    assert parse_mailbox(str(mailbox), "to") == mailbox


@pytest.mark.parametrize(
    ("problem", "texts"),
    [
        (
            "missing_at",
            ["", " ", "anna", "A <>", "(a@example.com)", "Anna Smith", "a\uff20b.example"],
        ),
        ("nothing_before_at", ["@example.com", "Anna <@example.com>"]),
        ("nothing_after_at", ["anna@", "Bert <b@>"]),
        ("several_at", ["a@b@example.com", "a@@example.com", "<a@example.com@>"]),
        (
            "invalid_local_part",
            [
                *("a..b@example.com", ".a@example.com", "a.@example.com", '"a b"@example.com'),
                *("a\ud800@example.com", "a\u200b@example.com", "a\u037eb@example.com", "a[b@x.yz"),
            ],
        ),
        (
            "invalid_domain",
            [
                *("anna@example", "a@example..com", "a@.example.com", "a@example.com."),
                *("a@-example.com", "a@example-.com", "a@exam_ple.com", "a@192.0.2.1"),
                *(
                    "a@[192.0.2.1]",
                    "a@b\uff20c.example",
                    "a@☃\u200d.example",
                    "a@xn--\u00fc.example",
                ),
                *("a@" + "b" * 64 + ".example", "a@exam\\ple.com", "a@\u0661.example\ud800"),
            ],
        ),
        (
            "address_too_long",
            [
                *("a" * 65 + "@example.com", "ë" * 33 + "@example.com", "a" * 1_000_000),
                "a@" + ".".join(["b" * 61] * 4) + ".example",
                "a@" + ".".join(["ü" * 40] * 6) + ".example",
                *("a@" + ".".join(["ü" * 20] * 8) + ".example", "()" * 5_000 + "a@example.com"),
            ],
        ),
        (
            "space_in_address",
            [
                *("a b@example.com", "a@exam ple.com", "a\u00a0b@example.com", "a@x.yz b@x.yz"),
                *("A a@x.yz", '"A" a@x.yz', "a @x.yz", "a@ x.yz", "Anna <a b@x.yz>"),
            ],
        ),
        (
            "text_after_address",
            [
                *("A <a@x.yz> <b@x.yz>", "A <a@x.yz> b", "<a@x.yz> SIZE=1", '<a@x.yz> "A"'),
                *("a@x.yz, b@x.yz", "a@x.yz;b@x.yz"),
            ],
        ),
        (
            "colon_in_address",
            ["mailto:a@x.yz", "<mailto:a@x.yz>", "To: a@x.yz", "Family: a@x.yz", ": a@x.yz;"],
        ),
        ("unclosed_quote", ['"A <a@x.yz>', 'A" <a@x.yz>', 'a@x.yz "', '"A\\" <a@x.yz>', '"']),
        (
            "unmatched_bracket",
            [
                *("A <<a@x.yz>>", "A <a@x.yz", "a@x.yz>", "a@x.yz> SIZE=1", "a@x.yz>,<b@x.yz"),
                *("a@x.yz (A", "a@x.yz A)", "a@x.yz (A (B)", "(a@x.yz", "<a)@x.yz>", "("),
            ],
        ),
    ],
)
def test_invalid_mailbox_is_rejected_with_its_problem(problem: str, texts: list[str]) -> None:
    """Anything but exactly one plain mailbox is rejected with its problem and its field."""
    for text in texts:
        with pytest.raises(InvalidMessageError) as caught:
            parse_mailbox(text, "cc")
        assert (caught.value.field, caught.value.problem) == ("cc", problem), text[:99]
        assert len(caught.value.value) <= 100 + len(r"\ud800")
        assert caught.value.value.isprintable()
        assert str(caught.value) == f"cc: {problem}"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Bert <b@>", "b@"),
        ("a@x.yz, Smith, Anna <b@x.yz>", "Smith"),
        ("a@x.yz, Anna <b@x.yz> home, c@x.yz", "Anna <b@x.yz> home"),
        ('a@x.yz, Anna "B <b@x.yz>, c@x.yz', 'Anna "B <b@x.yz>, c@x.yz'),
    ],
)
def test_only_the_invalid_mailbox_is_quoted(text: str, value: str) -> None:
    """Of several, the error quotes the one that needs to be corrected."""
    with pytest.raises(InvalidMessageError) as caught:
        parse_mailboxes(text, "to")
    assert caught.value.value == value


@pytest.mark.parametrize("control", CONTROLS)
@pytest.mark.parametrize("form", ["a{}b@example.com", "a@exa{}mple.com", "A <a@example.com{}b>"])
def test_address_with_a_control_character_is_rejected(form: str, control: str) -> None:
    """An address is never changed; the error shows the character escaped."""
    with pytest.raises(InvalidMessageError) as caught:
        parse_mailbox(form.format(control), "to")
    assert caught.value.problem is MessageProblem.LINE_BREAK
    assert "\\" in caught.value.value
    assert caught.value.value.isprintable()


@pytest.mark.parametrize("control", [*CONTROLS[1:], "\r\n", " \r\n\t "])
@pytest.mark.parametrize("form", ["An{}na <a@x.yz>", '"An{}na" <a@x.yz>', "a@x.yz (An{}na)"])
def test_control_character_in_a_name_becomes_a_space(form: str, control: str) -> None:
    """Whatever the source of the name, it stays on one line."""
    assert parse_mailbox(form.format(control), "to").name == "An na"
    assert Mailbox("a@x.yz", f" An{control}na\n").name == "An na"


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], []),
        ("", []),
        (" , ;\n", []),
        ("Undisclosed: ;", []),
        ("a@x.yz", ["a@x.yz"]),
        ("a@x.yz,b@x.yz ; C <c@x.yz>,", ["a@x.yz", "b@x.yz", "C <c@x.yz>"]),
        (["a@x.yz", "b@x.yz,\n c@x.yz", ""], ["a@x.yz", "b@x.yz", "c@x.yz"]),
        (("a@x.yz",), ["a@x.yz"]),
        ('"A; b, \\"c" <a@x.yz>, b@x.yz', ['"A; b, \\"c" <a@x.yz>', "b@x.yz"]),
        ("a@x.yz (A, b; c), b@x.yz", ['"A, b; c" <a@x.yz>', "b@x.yz"]),
        ("Family: anna@x.yz, bert@x.yz;", ["anna@x.yz", "bert@x.yz"]),
        (
            'c@x.yz, Family: "S: A" <a@x.yz>, b@x.yz (B);, Friends (old): d@x.yz; e@x.yz',
            ["c@x.yz", '"S: A" <a@x.yz>', "B <b@x.yz>", "d@x.yz", "e@x.yz"],
        ),
        ("Family:, a@x.yz,, b@x.yz,;", ["a@x.yz", "b@x.yz"]),
    ],
)
def test_several_mailboxes_are_parsed(texts: list[str] | str, expected: list[str]) -> None:
    """One or more texts, each with none, one or several mailboxes, give all of them in order."""
    assert [str(mailbox) for mailbox in parse_mailboxes(texts, "to")] == expected


@pytest.mark.parametrize(
    "texts",
    [
        *("a@x.yz b@x.yz", "a@x.yz, b", ["a@x.yz", "Smith, A <b@x.yz>"]),
        *("Family: a@x.yz, b;", "a@x.yz: b@x.yz;", "Family: Friends: a@x.yz;", "A: a@x.yz; b:"),
    ],
)
def test_one_bad_mailbox_rejects_them_all(texts: list[str] | str) -> None:
    """No recipient is dropped silently."""
    with pytest.raises(InvalidMessageError):
        parse_mailboxes(texts, "to")


def test_too_many_mailboxes_are_not_parsed() -> None:
    """Up to five hundred addresses are parsed to report the limit; more are only counted."""
    many = [f'"Anna, {number}" <a{number}@example.com> (home)' for number in range(500)]
    assert len(parse_mailboxes(many, "to")) == 500
    assert len(parse_mailboxes(", ".join(many), "to")) == 500
    with pytest.raises(InvalidMessageError) as caught:
        parse_mailboxes([*many, "a@example.com"], "to")
    problem = MessageProblem.TOO_MANY_RECIPIENTS
    assert (caught.value.problem, caught.value.value) == (problem, "501")


@pytest.mark.parametrize(("before", "after"), [("", ""), ('"', ""), ("(", ")"), ("<", ">;")])
@pytest.mark.parametrize(
    "unit",
    [
        *('"', '\\"', '"\\', " ", "<", "a,", "a@", "ü.", "@ü", "\\", "(", ")", "()", "(<", '"("'),
        *(":", "@:", "a:", ":;", "a;:", ",", "<>", "\n"),
    ],
)
def test_hostile_texts_are_fast(unit: str, before: str, after: str) -> None:
    """A text of any length is handled at once, whatever its content."""
    for length in (MAX_FIELD, 1_000_000):
        text = (before + unit * length)[: length - len(after)] + after
        started = process_time()
        with pytest.raises(InvalidMessageError):
            parse_mailbox(text, "to")
        assert process_time() - started < 0.2


@given(st.text(st.characters()) | st.text(st.sampled_from('a@.<>(),;:"\\ \n')))
@example("a@x.yz\r\nRCPT TO:<eve@x.yz>")
def test_any_text_is_a_mailbox_or_an_error(text: str) -> None:
    """Nothing else is raised, and an accepted mailbox is safe in a command and in a header."""
    for candidate in (text, f"{text}@example.com", f"a@{text}.example", f"{text} <a@example.com>"):
        try:
            mailboxes = parse_mailboxes(candidate, "to")
        except InvalidMessageError as error:
            assert error.value.isprintable()  # noqa: PT017 - some inputs raise nothing
        else:
            for mailbox in mailboxes:
                assert parse_mailbox(str(mailbox), "to") == mailbox
                assert mailbox.envelope.isprintable()
                assert not set(mailbox.envelope) & set(' <>,;:"()[]\\')
                assert mailbox.domain.isascii()


@given(st.text(st.characters()))
def test_any_name_can_be_written_and_parsed(name: str) -> None:
    """The written form of a mailbox is one line that can be parsed again."""
    mailbox = Mailbox("a@x.yz", name)
    assert len(str(mailbox).splitlines()) == 1
    assert str(mailbox).encode()
    assert parse_mailbox(str(mailbox), "to") == mailbox
