"""How a reply becomes as long as it may be."""

import re

WIDEST = 1900
REPLY = re.compile(r"\d{3}[ -]")
# RFC 4954: the challenges of AUTH have one line.
CHALLENGE = "334"
FILLER = "lorem ipsum dolor sit amet " * 80
ENHANCED_CODE = re.compile(r"\d\.\d+\.\d+")
NUMBERS = range(1, 21)


def long_winded(reply: str) -> str:
    """Put long lines of no importance before the one that matters, or among the offers of EHLO."""
    if not REPLY.match(reply) or reply.startswith(CHALLENGE):
        return reply
    first, *others = reply.splitlines()
    # What a reply begins with may mean something: the enhanced code, or the name of the server.
    opening = (others or [first])[-1][4:].partition(" ")[0]
    if others and first.startswith("250") and not ENHANCED_CODE.fullmatch(opening):
        return "\n".join(
            [first, *(_line(f"250-X-{number}", number) for number in NUMBERS), *others]
        )
    noise = (_line(f"{reply[:3]}-{opening}", number) for number in NUMBERS)
    return "\n".join([*noise, first, *others])


def _line(beginning: str, number: int) -> str:
    """Return a line that is the longer the higher its number."""
    return f"{beginning} {FILLER}"[: WIDEST * number // NUMBERS[-1]].rstrip()
