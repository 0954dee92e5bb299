"""What durations and listings of one pass tell about a day."""

from __future__ import annotations

import pytest

from exporter.collector.schedule import SweepCost
from exporter.forecast.forecast import Listing
from exporter.forecast.observation import Durations
from tests.ledger.world import row


class TestDurations:
    def test_a_quantile_is_never_below_the_truth_and_a_little_above(self) -> None:
        durations = Durations()
        durations.add(
            row(f"i{number}", "Completed", created=0.0, updated=float(number))
            for number in range(1, 1001)
        )
        for share in (0.5, 0.9, 0.99, 1.0):
            found = durations.quantile(row("x").name or "", share)
            assert share * 1000 <= found <= share * 1000 * 1.15

    def test_only_what_completed_counts(self) -> None:
        durations = Durations()
        durations.add([row("a", "Failed", created=0.0, updated=9.0), row("b", created=0.0)])
        durations.add([row("@cart@x", "Completed", name="@cart@x", created=0.0, updated=9.0)])
        assert list(durations.names()) == []

    def test_short_ones_are_seldom_seen_active(self) -> None:
        durations = Durations()
        durations.add(row(f"i{n}", "Completed", created=0.0, updated=3.0) for n in range(100))
        assert durations.share_seen(30.0) == pytest.approx(0.1, abs=0.02)
        assert durations.share_seen(1.0) == 1.0
        assert Durations().share_seen(30.0) == 1.0

    def test_the_longest_are_kept_with_their_ids_and_no_others(self) -> None:
        durations = Durations()
        durations.add(
            row(f"i{n}", "Completed", created=0.0, updated=float(n * 37 % 101)) for n in range(101)
        )
        kept = durations.longest(row("x").name or "")
        assert [seconds for seconds, _ in kept] == [100.0, 99.0, 98.0]
        assert all(int(each[1:]) * 37 % 101 == seconds for seconds, each in kept)

    def test_the_longest_of_many_is_longer_than_that_of_few(self) -> None:
        durations = Durations()
        durations.add(row(f"i{n}", "Completed", created=0.0, updated=float(n)) for n in range(1000))
        # As of that many numbers drawn evenly.
        assert durations.longest_of(1, 0.001) == pytest.approx(500, rel=0.1)
        assert durations.longest_of(9, 0.001) == pytest.approx(900, rel=0.1)
        assert Durations().longest_of(9, 30.0) == 0.0

    def test_of_the_first_seconds_instances_spend_as_many_as_they_take(self) -> None:
        durations = Durations()
        durations.add(row(f"i{n}", "Completed", created=0.0, updated=float(n)) for n in range(1000))
        assert durations.mean_within(10_000.0) == pytest.approx(500, rel=0.1)
        assert durations.mean_within(100.0) == pytest.approx(95, rel=0.1)
        assert Durations().mean_within(100.0) == 0.0


def cost(rows: float, pages: float) -> SweepCost:
    return SweepCost(pages, rows, pages * 0.5, rows * 100.0)


class TestListing:
    def test_full_pages_are_as_many_as_rows_fill(self) -> None:
        listing = Listing.of(cost(300, 1), cost(40_000, 40))
        assert [listing.cost(rows).pages for rows in (0, 900, 1001, 5500)] == [1, 1, 2, 6]
        assert listing.cost(5500) == cost(5500, 6)

    def test_where_all_rows_are_looked_at_rows_add_little(self) -> None:
        listing = Listing.of(cost(300, 500), cost(40_000, 500))
        assert listing.cost(5000).pages == 500

    def test_of_short_lists_alone_nothing_is_known_but_that_they_are_short(self) -> None:
        listing = Listing.of(cost(0, 1), cost(0, 1))
        assert listing.cost(10) == SweepCost(1, 10, 0.5, 0.0)
