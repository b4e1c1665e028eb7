"""The fields that say when an email is sent: what they accept, and what is wrong with the rest."""

from datetime import UTC, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.outlook_smtp.actions.timing import read_timing

from ..fake_microsoft import FakeServer
from ..helpers import ANNA, act, mailer_of

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")  # It is 13:00 there.


TIMES: Final[tuple[tuple[Any, datetime], ...]] = (
    ("2026-11-28 18:30:00", datetime(2026, 11, 28, 18, 30, tzinfo=BERLIN)),
    ("2026-11-28T18:30:00Z", datetime(2026, 11, 28, 18, 30, tzinfo=UTC)),
    (datetime(2026, 12, 1, 7), datetime(2026, 12, 1, 7, tzinfo=BERLIN)),  # noqa: DTZ001
    (NOW, NOW),
    ("13:01", datetime(2026, 11, 28, 13, 1, tzinfo=BERLIN)),
    ("07:00:00", datetime(2026, 11, 29, 7, tzinfo=BERLIN)),
    (time(13), datetime(2026, 11, 29, 13, tzinfo=BERLIN)),
    ("2020-01-01 00:00", datetime(2020, 1, 1, tzinfo=BERLIN)),
    ("2027-11-28 13:00", datetime(2027, 11, 28, 13, tzinfo=BERLIN)),
)


async def test_times_are_read(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, subtests: pytest.Subtests
) -> None:
    """Without a zone, they are local; without a date, they are the next such time."""
    freezer.move_to(NOW)
    await hass.config.async_set_time_zone("Europe/Berlin")
    for given, expected in TIMES:
        with subtests.test(str(given)):
            assert read_timing({"send_at": given}) == {"send_at": expected}
    assert dt_util.utcnow() == NOW


@pytest.mark.parametrize("field", ["expires_after", "deduplicate"])
@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (1, 1),
        (90.5, 90.5),
        ("600", 600),
        ("00:30", 1800),
        ("01:02:03", 3723),
        ({"hours": 1, "minutes": "5"}, 3900),
        (timedelta(days=7), 604_800),
    ],
)
def test_durations_are_read(field: str, given: Any, seconds: float) -> None:
    """In seconds, as text or as a duration selector gives them."""
    assert read_timing({field: given}) == {field: seconds}


def test_deduplication_can_be_turned_off() -> None:
    """By a number, because a template has to give something."""
    assert (
        read_timing({"deduplicate": 0}) == read_timing({"deduplicate": "0"}) == {"deduplicate": 0}
    )


BAD: Final = {
    "send_at": (
        *("soon", "24:00", "9999-12-31 23:59", "2028-01-01", 5),
        *("2026-13-01 00:00", True, ["07:00"], {"at": 7}),
    ),
    "expires_after": (
        *(0, -5, "a day", "1e30", "nan", 604_801, True),
        *({"hours": 1e300}, {"years": 1}, ["5"], "00:00:00"),
    ),
    "deduplicate": (-1, "often", 1e9, 0.5),
}


@pytest.mark.usefixtures("no_pace")
async def test_bad_times_are_refused_with_the_field_and_the_remedy(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    subtests: pytest.Subtests,
) -> None:
    """Nothing is sent, and an older automation that passes them is warned and still sends."""
    queue = mailer_of(account).queue
    for field, value in ((field, value) for field, values in BAD.items() for value in values):
        with subtests.test(f"{field}: {value}"):
            fake_server.received.clear()
            waiting = [*queue.waiting]
            with pytest.raises(ServiceValidationError) as refused:
                await act(hass, "send_message", to=ANNA, message="Hi", **{field: value})
            key = "invalid_time" if field == "send_at" else "invalid_duration"
            assert refused.value.translation_key == key
            assert refused.value.translation_placeholders
            assert refused.value.translation_placeholders["field"] == field
            assert [*queue.waiting] == waiting
            assert fake_server.received == []
            data = {"message": "Hi", "data": {field: value}}
            await hass.services.async_call("notify", "me_outlook_com", data, blocking=True)
            assert len(fake_server.received) == 1
