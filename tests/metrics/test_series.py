"""How many series a hub has: what Prometheus pays for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.metrics.week import Hub, series_by_family, series_table

MOST = 1800
GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "sizing.md"


@pytest.fixture(scope="module")
def hub() -> Hub:
    return Hub(30)


def test_a_hub_of_thirty_orchestrators_has_few_series_at_first_and_after_a_week(hub: Hub) -> None:
    fresh = sum(series_by_family(hub).values())
    hub.live_a_week()
    after = sum(series_by_family(hub).values())
    assert fresh < after <= MOST


def test_the_guide_says_how_many_there_are_of_each_family() -> None:
    """`python -m tests.metrics.week` prints the table anew."""
    assert series_table() in GUIDE.read_text(encoding="utf-8")


def test_what_is_told_of_the_week_is_all_there(hub: Hub) -> None:
    hub.live_a_week()
    counts = series_by_family(hub)
    absent = {name for name, number in counts.items() if number == 0}
    assert absent == {
        "durable_functions_hub_replaced_timestamp_seconds",
        "durable_functions_exporter_hub_error",
        "durable_functions_exporter_page_budget_remaining",
        "durable_functions_exporter_rows_refused_total",
        "durable_functions_exporter_instances_outside_prefixes",
    }
