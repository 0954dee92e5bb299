"""The fold of a census, against what it stands for: a look at one row after the other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from exporter.api.times import format_shown_time, parse_time
from exporter.api.wire import InstanceRow, entity_class
from exporter.ledger.census import CensusFold, Tally
from exporter.ledger.status import RuntimeStatus, known_status

FLOOR, FAILED_FLOOR = 1_795_000_000.0, 1_794_000_000.0
TIMES = st.sampled_from(
    [
        None,
        "",
        "0001-01-01T00:00:00Z",
        *(format_shown_time(at + by) for at in (FLOOR, FAILED_FLOOR) for by in (-1, 0, 1)),
        *(format_shown_time(FLOOR - by) for by in (1e6, 2e6, 2e6 + 1, 3e6)),
    ]
)
IDS = st.sampled_from([*"abcdefgh", "@cart@1", "@cart@2", "@cart", "x\n@cart@1"])
NAMES = st.sampled_from(["", "Order", "@cart@1", "cart", "Saga"])
KNOWN = st.none() | st.sampled_from([FLOOR - 2e6, FLOOR - 1, FAILED_FLOOR, FLOOR + 0.5, FLOOR + 9])
ROWS = st.builds(
    InstanceRow,
    IDS,
    st.none() | NAMES,
    st.sampled_from(["Completed", "Failed", "Terminated", "Odd", 7, None]),
    TIMES,
    TIMES,
)
PAGES = st.lists(st.lists(ROWS, max_size=12, unique_by=lambda row: row.instance_id), max_size=4)


def may_be_news(row: InstanceRow, followed: set[str]) -> bool:
    created, updated = row.created_time or "", row.last_updated_time or ""
    floor, failed_floor = format_shown_time(FLOOR), format_shown_time(FAILED_FLOOR)
    failed_lately = row.runtime_status == "Failed" and updated >= failed_floor
    return updated >= floor or created >= floor or failed_lately or row.instance_id in followed


def ids_of(rows: list[InstanceRow]) -> list[str]:
    return [row.instance_id for row in rows]


def unknown(_name: str) -> tuple[float | None, float | None]:
    return None, None


def by_row(rows: list[InstanceRow]) -> dict[tuple[str, str | int | None], Tally]:
    tallies: dict[tuple[str, str | int | None], Tally] = {}
    for row in rows:
        created, updated = row.created_time or "", row.last_updated_time or ""
        tally = tallies.setdefault((row.name or "", row.runtime_status), Tally())
        tally.count += 1
        tally.newest_created = max(tally.newest_created, created)
        tally.newest_updated = max(tally.newest_updated, updated)
    return tallies


def oldest_by_row(rows: list[InstanceRow]) -> dict[RuntimeStatus, str]:
    oldest: dict[RuntimeStatus, str] = {}
    for row in rows:
        created, status = row.created_time or "", known_status(row.runtime_status)
        if created and not created.startswith("0001"):
            oldest[status] = min(oldest.get(status, created), created)
    return oldest


@given(PAGES, st.sets(IDS))
def test_pages_come_to_the_same_as_rows(pages: list[list[InstanceRow]], followed: set[str]) -> None:
    fold = CensusFold(FLOOR, FAILED_FLOOR, unknown)
    instances = []
    for page in pages:
        of_page = [row for row in page if entity_class(row) is None]
        instances.extend(of_page)
        news = fold.add(page, ids_of(page), followed)
        assert list(news) == [row for row in of_page if may_be_news(row, followed)]
    expected = [
        (name, known_status(status), tally) for (name, status), tally in by_row(instances).items()
    ]
    found = list(fold.tallies())
    assert len(found) == len(expected)
    assert all(each in expected for each in found)
    assert oldest_by_row(instances) == fold.oldest()


def later(text: str, moment: float | None) -> float:
    return max(parse_time(text) or 0.0, moment or 0.0)


@given(PAGES, st.dictionaries(NAMES, st.tuples(KNOWN, KNOWN)))
def test_what_is_known_already_changes_nothing_but_the_work(
    pages: list[list[InstanceRow]], known: dict[str, tuple[float | None, float | None]]
) -> None:
    fold = CensusFold(FLOOR, FAILED_FLOOR, lambda name: known.get(name, (None, None)))
    instances = [row for page in pages for row in page if entity_class(row) is None]
    for page in pages:
        news = fold.add(page, ids_of(page), set())
        assert list(news) == [
            row for row in page if entity_class(row) is None and may_be_news(row, set())
        ]
    expected = by_row(instances)
    found = {(name, status): tally for (name, status), tally in fold._tallies.items()}
    assert expected.keys() == found.keys()
    for key, tally in found.items():
        created, completed = known.get(key[0], (None, None))
        updated = completed if key[1] == "Completed" else None
        assert expected[key].count == tally.count
        assert later(expected[key].newest_created, created) == later(tally.newest_created, created)
        assert later(expected[key].newest_updated, updated) == later(tally.newest_updated, updated)
    assert oldest_by_row(instances) == fold.oldest()
