"""Make replies as long as they are allowed to be."""

import re

WIDEST = 1900
REPLY = re.compile(r"\d{3}[ -]")
# RFC 4954: AUTH challenges have one line.
CHALLENGE = "334"
FILLER = "lorem ipsum dolor sit amet " * 80
ENHANCED_CODE = re.compile(r"\d\.\d+\.\d+")
NUMBERS = range(1, 21)


def long_winded(reply: str) -> str:
    """Insert long, meaningless lines before the last line, or among EHLO's extensions."""
    if not REPLY.match(reply) or reply.startswith(CHALLENGE):
        return reply
    first, *others = reply.splitlines()
    # The beginning of a reply may have a meaning: the enhanced code or the server's name.
    opening = (others or [first])[-1][4:].partition(" ")[0]
    if others and first.startswith("250") and not ENHANCED_CODE.fullmatch(opening):
        return "\n".join(
            [first, *(_line(f"250-X-{number}", number) for number in NUMBERS), *others]
        )
    noise = (_line(f"{reply[:3]}-{opening}", number) for number in NUMBERS)
    return "\n".join([*noise, first, *others])


def _line(beginning: str, number: int) -> str:
    """Return a line whose length grows with its number."""
    return f"{beginning} {FILLER}"[: WIDEST * number // NUMBERS[-1]].rstrip()
