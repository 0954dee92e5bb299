"""The fold of a census, against what it stands for: a look at one row after the other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from exporter.api.times import format_shown_time
from exporter.api.wire import InstanceRow, entity_class
from exporter.ledger.census import CensusFold, Tally
from exporter.ledger.status import known_status

FLOOR, FAILED_FLOOR = 1_795_000_000.0, 1_794_000_000.0
TIMES = st.sampled_from(
    [
        None,
        "",
        "0001-01-01T00:00:00Z",
        *(format_shown_time(at + by) for at in (FLOOR, FAILED_FLOOR) for by in (-1, 0, 1)),
    ]
)
IDS = st.sampled_from(["a", "b", "c", "@cart@1", "@cart@2", "@cart", "x\n@cart@1"])
ROWS = st.builds(
    InstanceRow,
    IDS,
    st.sampled_from([None, "", "Order", "@cart@1", "cart", "Saga"]),
    st.sampled_from(["Completed", "Failed", "Terminated", "Odd", 7, None]),
    TIMES,
    TIMES,
)
PAGES = st.lists(st.lists(ROWS, max_size=8, unique_by=lambda row: row.instance_id), max_size=4)


def may_be_news(row: InstanceRow, followed: set[str]) -> bool:
    created, updated = row.created_time or "", row.last_updated_time or ""
    floor, failed_floor = format_shown_time(FLOOR), format_shown_time(FAILED_FLOOR)
    failed_lately = row.runtime_status == "Failed" and updated >= failed_floor
    return updated >= floor or created >= floor or failed_lately or row.instance_id in followed


def by_row(rows: list[InstanceRow]) -> dict[tuple[str, str | int | None], Tally]:
    tallies: dict[tuple[str, str | int | None], Tally] = {}
    for row in rows:
        created, updated = row.created_time or "", row.last_updated_time or ""
        tally = tallies.setdefault((row.name or "", row.runtime_status), Tally())
        tally.count += 1
        if created[:4] != "0001":
            tally.oldest_created = min(tally.oldest_created, created)
        tally.newest_created = max(tally.newest_created, created)
        tally.newest_updated = max(tally.newest_updated, updated)
    return tallies


@given(PAGES, st.sets(IDS), st.sets(IDS))
def test_groups_come_to_the_same_as_rows(
    pages: list[list[InstanceRow]], active: set[str], failed: set[str]
) -> None:
    fold = CensusFold(FLOOR, FAILED_FLOOR)
    instances = []
    for page in pages:
        of_page = [row for row in page if entity_class(row) is None]
        instances.extend(of_page)
        news = fold.add(page, dict.fromkeys(active).keys(), dict.fromkeys(failed).keys())
        assert list(news) == [row for row in of_page if may_be_news(row, active | failed)]
    expected = [
        (name, known_status(status), tally) for (name, status), tally in by_row(instances).items()
    ]
    found = list(fold.tallies())
    assert len(found) == len(expected)
    assert all(each in expected for each in found)
