"""The translations: complete, with the same placeholders, and not in English."""

from collections.abc import Iterator
import json
from pathlib import Path
import re
from typing import Any, Final

import pytest

from custom_components import outlook_smtp

TRANSLATIONS: Final = Path(outlook_smtp.__file__).parent / "translations"
PHONE_TITLE: Final = 32  # Characters.
LANGUAGES: Final = ("cs", "da", "de", "es", "fr", "it", "nl", "pl", "pt-BR", "sv")
# Words that are the same in several languages, and names.
SAME: Final = re.compile(
    r"[\W\d_]*(?:(?:Status|Outbox|Reply-To|E-mail|Port|Host|Server|Tenant|Problem|Name|Browser|"
    r"HTML|Markdown|Message-ID|Cc|Bcc|TLS|STARTTLS|ID|OK|Microsoft|Graph|Outlook|com|SMTP|Normal|"
    r"Contact|Message|Priority|Options|Client|Test|Check|Home Assistant|Normal|Code|Format|"
    r"Failed|Media|Recipient|Advanced|Personal|Account|Accounts|Type|personal|Error|"
    r"messages|messages|account|on|port|Content-ID|Password|Cloud|China|Vianet|Urgent)[\W\d_]*)+"
)


def texts(language: str) -> dict[str, str]:
    """Return the texts of a language by their keys."""
    tree = json.loads((TRANSLATIONS / f"{language}.json").read_text("utf-8"))
    return dict(walk(tree))


def walk(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text of a tree with its key."""
    for key, value in node.items():
        if isinstance(value, dict):
            yield from walk(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def blanks(text: str) -> list[str]:
    """Return what must be the same in every language: placeholders, links, code and paragraphs."""
    return sorted(re.findall(r"\{\w+\}|https?://[^)\s]+|```|`[^`\n]+`|\n\n|\]\(", text))


ENGLISH: Final = texts("en")


def test_all_languages_exist() -> None:
    """None is missing and none is untested."""
    assert sorted(path.stem for path in TRANSLATIONS.iterdir()) == sorted((*LANGUAGES, "en"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_translated(language: str) -> None:
    """Every key has a text in that language, with the same placeholders, that the UI can show."""
    translated = texts(language)
    assert list(translated) == list(ENGLISH)
    for key, english in ENGLISH.items():
        text = translated[key]
        assert text.strip(), key
        assert blanks(text) == blanks(english), key
        assert "<" not in text, key
        assert "[%" not in text, key
        assert text.count("\n") == english.count("\n"), key


@pytest.mark.parametrize("language", [*LANGUAGES, "en"])
def test_titles_of_repairs_fit_a_phone(language: str) -> None:
    """The head of a dialog on a phone shows this many characters, in the list and in each step."""
    is_title = re.compile(r"issues\..*\btitle").fullmatch
    titles = [text for key, text in texts(language).items() if is_title(key)]
    assert len(titles) > 40
    long = [title for title in titles if len(title.replace("{count}", "1000")) > PHONE_TITLE]
    assert long == []


@pytest.mark.parametrize("language", [*LANGUAGES, "en"])
def test_ways_to_sign_in_are_said_in_five_words(language: str) -> None:
    """What each is, "(recommended)" included, and what it needs."""
    is_way = re.compile(r"config\.step\.user\.menu_option.*").fullmatch
    ways = [text for key, text in texts(language).items() if is_way(key)]
    assert len(ways) == 6
    assert [way for way in ways if len(way.split()) > 5] == []


@pytest.mark.parametrize("language", [*LANGUAGES, "en"])
def test_repairs_of_an_account_have_three_paragraphs(language: str) -> None:
    """What happened, since when, and what to do."""
    told = texts(language)
    for key, english in ENGLISH.items():
        if key.startswith("issues.") and "{since}" in english:
            what, when, remedy = told[key].split("\n\n")
            assert ("{since}" in what, "{since}" in when, "{since}" in remedy) == (0, 1, 0), key
            assert remedy.strip(), key


@pytest.mark.parametrize("language", [*LANGUAGES, "en"])
def test_counts_read_right_for_one(language: str) -> None:
    """A count stands alone, not before a noun, which would need a singular."""
    before_noun = re.compile(r"\{(?:max_)?(?:count|more)\}\**\s+\w")
    assert [key for key, text in texts(language).items() if before_noun.search(text)] == []


@pytest.mark.parametrize("language", [*LANGUAGES, "en"])
def test_integration_has_one_name(language: str) -> None:
    """*Add integration* shows the name of the manifest, and all other pages show the title."""
    manifest = json.loads((TRANSLATIONS.parent / "manifest.json").read_text("utf-8"))
    assert texts(language)["title"] == manifest["name"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_left_in_english(language: str) -> None:
    """Only names, and words shared with English, are the same."""
    left = [
        key
        for key, text in texts(language).items()
        if text == ENGLISH[key] and key != "title" and not SAME.fullmatch(text)
    ]
    assert left == []
