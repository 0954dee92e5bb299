"""Rows, decoded with shared strings as without, and ids."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.api.query import InstanceQuery, encode_id
from exporter.api.wire import InstanceDecoder, InstanceRow, entity_class
from exporter.ledger.status import RuntimeStatus

STATUSES = ("Completed", "Failed")
ANY = msgspec.json.Decoder(list[InstanceRow])


def page(
    *names: str | None, status: str | int | None = "Completed", rows: int = 120
) -> list[dict[str, object]]:
    return [
        {"instanceId": f"i{number}", "name": names[number % len(names)], "runtimeStatus": status}
        for number in range(rows)
    ]


def written(rows: object) -> bytes:
    return json.dumps(rows).encode()


def fields(rows: list[InstanceRow]) -> list[tuple[object, ...]]:
    return [
        (
            row.instance_id,
            row.name,
            row.runtime_status,
            row.created_time,
            row.last_updated_time,
            bytes(row.custom_status),
            bytes(row.output),
        )
        for row in rows
    ]


ROW = st.fixed_dictionaries(
    {"instanceId": st.text(max_size=3)},
    optional={
        "name": st.none() | st.sampled_from(["a", "b", "c", "d"]),
        "runtimeStatus": st.none() | st.sampled_from([*STATUSES, "Odd"]) | st.integers(0, 9),
        "createdTime": st.none() | st.just("2026-11-23T10:00:00Z"),
        "output": st.none() | st.integers() | st.text(max_size=3),
        "customStatus": st.none() | st.text(max_size=3),
        "input": st.none() | st.text(max_size=3),
    },
)


@given(st.lists(st.tuples(st.lists(ROW, min_size=1, max_size=3), st.sampled_from([1, 100]))))
def test_every_page_has_the_rows_that_any_decoder_reads(
    pages: list[tuple[list[dict[str, object]], int]],
) -> None:
    decoder = InstanceDecoder(STATUSES)
    for some, times in pages:
        body = written(some * times)
        assert fields(ANY.decode(body)) == fields(decoder.decode(body))


def test_a_page_of_known_names_shares_its_texts() -> None:
    decoder = InstanceDecoder(STATUSES)
    decoder.decode(written(page("Order", "Saga")))
    rows = decoder.decode(written(page("Order", "Saga")))
    assert len({id(row.name) for row in rows}) == 2
    assert len({id(row.runtime_status) for row in rows}) == 1


def is_shared(rows: list[InstanceRow]) -> bool:
    return len({id(row.name) for row in rows}) == len({row.name for row in rows})


def test_a_new_name_is_known_on_the_next_page() -> None:
    decoder = InstanceDecoder(STATUSES)
    pages = [page("Order"), page("Order", "Saga"), page("Order", "Saga"), page("Ship")]
    assert [is_shared(decoder.decode(written(rows))) for rows in pages] == [
        False, False, True, False,
    ]  # fmt: skip


@pytest.mark.parametrize("status", ["Running", "completed", 7, None])
def test_a_status_that_was_not_asked_for_is_seen_on_every_page(status: str | int | None) -> None:
    decoder = InstanceDecoder(STATUSES)
    decoder.decode(written(page("Order")))
    mixed = [*page("Order"), *page("Order", status=status, rows=1)]
    for _ in range(2):
        rows = decoder.decode(written(mixed))
        assert InstanceQuery(STATUSES).violation(rows) == "runtimeStatus"


def test_small_pages_and_lists_of_any_status_take_no_types() -> None:
    small, any_status = InstanceDecoder(STATUSES), InstanceDecoder(())
    for _ in range(3):
        assert not is_shared(small.decode(written(page("Order", rows=99))))
        assert not is_shared(any_status.decode(written(page("Order"))))


def test_too_many_names_are_not_kept() -> None:
    decoder = InstanceDecoder(STATUSES)
    decoder.decode(written(page("Order")))
    for number in range(30):
        names = [f"{number}-{each}" for each in range(100)]
        decoder.decode(written(page(*names)))
    assert len(decoder._names) <= 400
    assert not is_shared(decoder.decode(written(page("Order"))))


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[{}]", b"[1]", b'[{"instanceId": "a"', b'[{"instanceId": "\xff"}]']
)
def test_what_is_no_page_is_none_with_known_names_either(body: bytes) -> None:
    decoder = InstanceDecoder(STATUSES)
    decoder.decode(written(page("Order")))
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        decoder.decode(body)


def test_an_id_that_is_too_long_is_refused_on_any_page() -> None:
    query = InstanceQuery(statuses=(RuntimeStatus.COMPLETED,))
    decoder = query.decoder()
    usual = page("a")
    decoder.decode(written(usual))
    for length, kept in ((1024, 121), (1025, 120)):
        odd = {"instanceId": "x" * length, "name": "a", "runtimeStatus": "Completed"}
        rows = decoder.decode(written([*usual, odd]))
        assert query.violation(rows) is None
        assert len(query.bounded(rows)[0]) == kept


@pytest.mark.parametrize(
    ("instance_id", "name", "entity"),
    [
        ("@counter@a", "@counter@a", "counter"),
        ("@Counter@a@b", "Counter", "counter"),
        ("@counter@", "@counter@", "counter"),
        ("@counter@a", None, "counter"),
        ("@counter@x", "RealOrchestrator", None),
        ("@counter", "@counter", None),
        ("@@x", "@@x", None),
        ("order@home@work", "Order", None),
        ("", "", None),
    ],
)
def test_an_entity_is_told_by_its_id_and_its_name(
    instance_id: str, name: str | None, entity: str | None
) -> None:
    assert entity_class(InstanceRow(instance_id=instance_id, name=name)) == entity


@pytest.mark.parametrize(
    ("instance_id", "once", "twice"),
    [
        ("plain-1.2_3~", "plain-1.2_3~", "plain-1.2_3~"),
        ("a+b", "a%2Bb", "a%252Bb"),
        ("@c@k", "%40c%40k", "%2540c%2540k"),
        ("ž", "%C5%BE", "%25C5%25BE"),
        ("p:0001", "p%3A0001", "p%253A0001"),
    ],
)
def test_ids_are_encoded_but_for_unreserved_characters(
    instance_id: str, once: str, twice: str
) -> None:
    assert encode_id(instance_id) == once
    assert encode_id(instance_id, twice=True) == twice
