"""The ledger finds missing, duplicated and reappearing messages."""

from collections.abc import Iterable

import pytest

from .ledger import Ledger
from .messages import GONE
from .sender_process import Order
from .supervisor import Life, Share

ANSWERED = Life(Order(number=1, step=1, seed=1, finish=False), found=0, refused={2})
HERS, GONES = (2, "n2@example.com"), (2, GONE)


def life(*found: list[Share], cancel: Iterable[Share] = (), canceled: Iterable[Share] = ()) -> Life:
    """Return a life that found messages at its start, with its reports about recipients."""
    return Life(
        ANSWERED.order,
        found=len(found),
        found_shares=list(found),
        cancel=set(cancel),
        canceled=set(canceled),
    )


@pytest.mark.parametrize(
    ("rounds", "lost", "twice", "back"),
    [
        ([(ANSWERED, [HERS, GONES])], set(), set(), set()),
        ([(ANSWERED, [HERS])], {GONES}, set(), set()),
        ([(ANSWERED, [HERS]), (life(), [GONES])], {GONES}, set(), set()),
        ([(ANSWERED, [HERS]), (life([GONES]), [GONES])], set(), set(), set()),
        ([(ANSWERED, [HERS]), (life([GONES], [HERS, GONES]), [GONES])], set(), {GONES}, set()),
        ([(ANSWERED, [HERS]), (life([GONES], cancel={GONES}), [])], set(), set(), set()),
        (
            [
                (ANSWERED, [HERS]),
                (life([GONES], cancel={GONES}, canceled={GONES}), []),
                (life([GONES]), []),
            ],
            *(set(), set(), {GONES}),
        ),
    ],
    ids=[
        *("all received", "never received", "gone at a start", "kept as failed and retried"),
        *("in two messages", "perhaps canceled", "back though canceled"),
    ],
)
def test_every_recipient_is_accounted_for(
    rounds: list[tuple[Life, list[Share]]],
    lost: set[Share],
    twice: set[Share],
    back: set[Share],
) -> None:
    """Each start and the end are compared with earlier reports."""
    ledger = Ledger.of(rounds)
    assert (ledger.lost, ledger.twice, ledger.back) == (lost, twice, back)
