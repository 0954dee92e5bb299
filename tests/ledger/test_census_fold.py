"""The fold of a census, against what it stands for: a look at one row after the other."""

from __future__ import annotations

import pytest
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
        "9999-12-31T23:59:59.9999999Z",
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
    st.just("Order") | st.none() | NAMES,
    st.just("Completed") | st.sampled_from(["Completed", "Failed", "Terminated", "Odd", 7, None]),
    TIMES,
    TIMES,
)
PAGES = st.lists(st.lists(ROWS, max_size=12, unique_by=lambda row: row.instance_id), max_size=4)


def may_be_news(row: InstanceRow, followed: set[str]) -> bool:
    created, updated = known_text(row.created_time), known_text(row.last_updated_time)
    floor, failed_floor = format_shown_time(FLOOR), format_shown_time(FAILED_FLOOR)
    failed_lately = row.runtime_status == "Failed" and updated >= failed_floor
    return updated >= floor or created >= floor or failed_lately or row.instance_id in followed


def ids_of(rows: list[InstanceRow]) -> list[str]:
    return [row.instance_id for row in rows]


def unknown(_name: str) -> tuple[float | None, float | None]:
    return None, None


def known_text(text: str | None) -> str:
    return text if text and parse_time(text) is not None else ""


def by_row(rows: list[InstanceRow]) -> dict[tuple[str, str | int | None], Tally]:
    tallies: dict[tuple[str, str | int | None], Tally] = {}
    for row in rows:
        created, updated = known_text(row.created_time), known_text(row.last_updated_time)
        tally = tallies.setdefault((row.name or "", row.runtime_status), Tally())
        tally.count += 1
        tally.newest_created = max(tally.newest_created, created)
        tally.newest_updated = max(tally.newest_updated, updated)
    return tallies


def oldest_by_row(rows: list[InstanceRow]) -> dict[RuntimeStatus, str]:
    oldest: dict[RuntimeStatus, str] = {}
    for row in rows:
        created, status = known_text(row.created_time), known_status(row.runtime_status)
        if created:
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


def shown(offset: float) -> str:
    """Write a time by its seconds after the floor."""
    return format_shown_time(FLOOR + offset)


OLD = [
    InstanceRow("a", "Order", "Completed", shown(-900), shown(-100)),
    InstanceRow("b", "Saga", "Completed", shown(-900), shown(-100)),
]
FOUND = {
    "older than the oldest": (-901, -500),
    "newer than the newest": (-90, -500),
    "updated later than the last": (-500, -90),
    "created lately": (0, -500),
    "updated lately": (-500, 0),
    "neither": (-500, -500),
}


@pytest.mark.parametrize("name", ["Order", "Saga"])
@pytest.mark.parametrize("saga_ended", [-100.0, -300.0])
@pytest.mark.parametrize("order_ended", [-100.0, 300.0])
@pytest.mark.parametrize("times", FOUND.values(), ids=FOUND)
def test_a_row_is_looked_at_for_each_of_its_times(
    times: tuple[float, float], order_ended: float, saga_ended: float, name: str
) -> None:
    ended = {"Order": FLOOR + order_ended, "Saga": FLOOR + saga_ended}
    fold = CensusFold(FLOOR, FAILED_FLOOR, lambda name: (ended[name], ended[name]))
    fold.add(OLD, ids_of(OLD), set())
    rows = [
        InstanceRow("c", name, "Completed", shown(times[0]), shown(times[1])),
        InstanceRow("d", "Order", "Completed", shown(-500), shown(-500)),
        InstanceRow("e", "Saga", "Completed", shown(-500), shown(-500)),
    ]
    news = fold.add(rows, ids_of(rows), set())
    assert list(news) == [row for row in rows if may_be_news(row, set())]
    for key, expected in by_row([*OLD, *rows]).items():
        found = fold._tallies[key]
        known = ended[key[0]]
        assert found.count == expected.count
        assert later(expected.newest_created, known) == later(found.newest_created, known)
        assert later(expected.newest_updated, known) == later(found.newest_updated, known)
    assert fold.oldest() == oldest_by_row([*OLD, *rows])


@pytest.mark.parametrize("known", [(-300.0, -100.0), (-100.0, -300.0)])
def test_created_and_completed_have_times_of_their_own(known: tuple[float, float]) -> None:
    """A name was started last long before it completed last, or the other way round."""
    latest = (FLOOR + known[0], FLOOR + known[1])
    fold = CensusFold(FLOOR, FAILED_FLOOR, lambda _: latest)
    row = InstanceRow("c", "Order", "Completed", shown(-200), shown(-200))
    fold.add([OLD[0]], ["a"], set())
    fold.add([row], ["c"], set())
    tally = fold._tallies["Order", "Completed"]
    assert later(shown(-200), latest[0]) == later(tally.newest_created, latest[0])
    assert later(shown(-100), latest[1]) == later(tally.newest_updated, latest[1])


def test_a_page_with_a_row_that_lacks_a_time_is_counted_whole() -> None:
    fold = CensusFold(FLOOR, FAILED_FLOOR, lambda _: (FLOOR, FLOOR))
    rows = [*OLD, InstanceRow("c", "Order", "Completed", None, shown(0))]
    for number in range(2):
        assert fold.add(rows, ids_of(rows), set()) == rows[2:]
        assert fold._tallies["Order", "Completed"].count == 2 * (number + 1)
    assert fold.oldest() == {RuntimeStatus.COMPLETED: shown(-900)}


def test_a_recent_row_is_news_also_after_a_more_recent_one() -> None:
    fold = CensusFold(FLOOR, FAILED_FLOOR, unknown)
    for instance_id, at in (("a", 0), ("b", 100), ("c", 50)):
        row = InstanceRow(instance_id, "Order", "Completed", shown(at), shown(at))
        assert fold.add([row], [instance_id], set()) == [row]
