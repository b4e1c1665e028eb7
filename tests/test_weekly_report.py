"""The blueprint of the weekly report: its table comes from the recorder's statistics."""

from datetime import UTC, datetime, timedelta
import logging
from pathlib import Path
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.recorder import Recorder
from homeassistant.components.recorder.models import StatisticData, StatisticMeanType
from homeassistant.components.recorder.statistics import async_import_statistics
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
)
from pytest_homeassistant_custom_component.components.recorder.common import (
    async_wait_recording_done,
)
from pytest_homeassistant_custom_component.typing import RecorderInstanceContextManager

from .fake_microsoft import FakeServer
from .helpers import ANNA, BERT, run_due_timers
from .test_blueprints import html_of, rows_of, text_of, unpack

MONDAY = datetime(2026, 11, 23, 6, 59, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)
GRID, CELLAR = "sensor.grid", "sensor.cellar"


@pytest.fixture
async def mock_recorder_before_hass(
    async_test_recorder: RecorderInstanceContextManager,
) -> None:
    """Prepare the recorder before Home Assistant, as the plugin demands, and let it be quiet."""
    logging.getLogger("sqlalchemy.engine").setLevel(logging.WARNING)


@pytest.fixture
async def recorded(
    recorder_mock: Recorder,
    hass: HomeAssistant,
    account: MockConfigEntry,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Record two weeks: 1 kWh an hour, then 2 kWh, and a cellar that warms up every day."""
    freezer.move_to(MONDAY)
    await hass.config.async_set_time_zone("UTC")
    states = {GRID: ("Grid <import>", "kWh", "energy"), CELLAR: ("Cellar", "°C", "temperature")}
    for entity_id, (name, unit, kind) in states.items():
        attributes = {"friendly_name": name, "unit_of_measurement": unit, "device_class": kind}
        hass.states.async_set(entity_id, "1", attributes)
    energy: list[StatisticData] = []
    climate: list[StatisticData] = []
    total = 0.0
    for hour in range(-15 * 24, 0):
        start = MIDNIGHT + timedelta(hours=hour)
        total += 2 if hour >= -7 * 24 else 1
        energy.append({"start": start, "state": total, "sum": total})
        low = 10.0 + start.hour / 10
        climate.append({"start": start, "mean": low + 1, "min": low, "max": low + 2})
    _record(hass, GRID, "energy", "kWh", energy)
    _record(hass, CELLAR, "temperature", "°C", climate)
    await async_wait_recording_done(hass)


def _record(
    hass: HomeAssistant, entity_id: str, kind: str, unit: str, rows: list[StatisticData]
) -> None:
    """Store the statistics of a sensor."""
    counts = kind == "energy"
    async_import_statistics(
        hass,
        {
            "statistic_id": entity_id,
            "source": "recorder",
            "name": None,
            "has_sum": counts,
            "mean_type": StatisticMeanType.NONE if counts else StatisticMeanType.ARITHMETIC,
            "unit_class": kind,
            "unit_of_measurement": unit,
        },
        rows,
    )


async def automate(hass: HomeAssistant, *inputs: dict[str, Any]) -> None:
    """Create an automation for each of the given inputs."""
    unpack(Path(hass.config.config_dir), "weekly_report")
    config = []
    for each in inputs:
        values = {"recipients": {"entity_id": "notify.family"}} | each
        blueprint = {"path": "outlook_smtp/weekly_report.yaml", "input": values}
        config.append({"alias": "Report", "use_blueprint": blueprint})
    assert await async_setup_component(hass, "automation", {"automation": config})


@pytest.mark.usefixtures("recorded")
async def test_report_has_a_table_with_bars_in_the_language_of_the_household(
    hass: HomeAssistant, fake_server: FakeServer, freezer: FrozenDateTimeFactory
) -> None:
    """On its day; the week is compared with the one before, and bars show in any email app."""
    german = {
        "climate": [CELLAR],
        "decimals": 0,
        "title": "Woche bis {{ last }}",
        "heading_climate": "Klima",
        "heading_lowest": "Tiefst",
        "heading_mean": "Mittel",
        "heading_highest": "Höchst",
    }
    await automate(hass, {"meters": [GRID], "climate": [CELLAR, "sensor.new"]}, german)
    for day in range(7):
        freezer.move_to(MONDAY + timedelta(days=day))
        run_due_timers(hass)
        freezer.tick(timedelta(minutes=2))
        run_due_timers(hass)
        await fake_server.async_wait_for_mail(2)
        await hass.async_block_till_done()
    await hass.services.async_call(
        "automation", "turn_off", {"entity_id": hass.states.async_entity_ids("automation")}, True
    )

    english, german_mail = sorted(fake_server.received, key=lambda it: it.message["Subject"])
    rows = rows_of(english)
    assert english.recipients == (ANNA, BERT)
    assert english.message["Subject"] == "2026-11-16 to 2026-11-22"
    assert rows[:2] == [
        ["Energy", "Seven days", "Before", "Change"],
        ["Grid &lt;import&gt;", "336.0 kWh", "168.0 kWh", "+100 %"],
    ]
    assert rows[-3:] == [
        ["Climate", "Lowest", "Mean", "Highest"],
        ["Cellar", "10.0 °C", "12.2 °C", "14.3 °C"],
        ["sensor.new", "\N{EN DASH}", "\N{EN DASH}", "\N{EN DASH}"],
    ]
    assert html_of(english).count('width="100%"') == 7
    assert html_of(english).count("48.0 kWh") == 7
    assert "2026-11-16 48.0 kWh" in text_of(english)
    assert german_mail.message["Subject"] == "Woche bis 2026-11-22"
    assert rows_of(german_mail) == [
        ["Klima", "Tiefst", "Mittel", "Höchst"],
        ["Cellar", "10 °C", "12 °C", "14 °C"],
    ]
