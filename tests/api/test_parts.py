"""Times, tokens, delays and ids."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.api import times
from exporter.api.classify import parse_retry_after
from exporter.api.errors import ErrorKind, HubThrottled
from exporter.api.listing import UnseenRows
from exporter.api.pacing import RetryPolicy
from exporter.api.query import encode_id
from exporter.api.times import format_filter_time, format_shown_time, parse_time
from exporter.api.wire import InstanceRow, entity_class


class TestTimes:
    @pytest.mark.parametrize(
        ("text", "seconds"),
        [
            ("2026-01-05T09:00:00Z", 1767603600.0),
            ("2026-01-05T09:00:59Z", 1767603659.0),
            ("2026-01-05T09:00:00.25Z", 1767603600.25),
            ("2026-01-05T09:00:03.5000001Z", 1767603603.5),
            ("2026-01-05T10:00:00+01:00", 1767603600.0),
            ("2026-01-05T09:00:01.25+00:00", 1767603601.25),
            ("2026-01-05T09:00:00", 1767603600.0),
            ("0001-01-01T00:00:00Z", None),
            ("0001-01-01T00:00:00+14:00", None),
            ("1899-12-31T23:59:59Z", None),
            ("9999-12-31T23:59:59.9999999Z", None),
            ("9999-12-31T23:59:59-14:00", None),
            ("10000-01-01T00:00:00Z", None),
            ("2026-01-05T09:00:00." + "1" * 100 + "Z", None),
            ("yesterday", None),
            ("2026-13-05T09:00:00Z", None),
            ("2026-01-05T09:00:60Z", None),
            ("", None),
            (None, None),
        ],
    )
    def test_what_the_api_writes_is_read(self, text: str | None, seconds: float | None) -> None:
        assert parse_time(text) == seconds
        assert parse_time(text) == seconds

    @given(
        st.datetimes(datetime(1900, 1, 1), datetime(9998, 12, 31)),  # noqa: DTZ001 - UTC below
        st.sampled_from(["", "Z", "+00:00", "1Z"]),
    )
    def test_a_time_is_the_same_number_whether_its_minute_was_read_before_or_not(
        self, moment: datetime, end: str
    ) -> None:
        text = moment.isoformat(timespec="microseconds") + end
        minute = f"{text[:16]}:00Z"
        first = times._parse_any(text)
        times._parse_any(minute)
        assert times._parse(text) == first == moment.replace(tzinfo=UTC).timestamp()

    def test_no_text_that_is_too_long_is_kept(self) -> None:
        before = len(times.TIMES)
        assert parse_time("9" * 1_000_000) is None
        assert len(times.TIMES) == before

    @given(st.integers(min_value=0, max_value=4_000_000_000))
    def test_a_shown_time_is_read_as_it_was(self, seconds: int) -> None:
        text = format_shown_time(seconds + 0.999)
        assert parse_time(text) == seconds
        assert datetime.fromisoformat(text).timestamp() == seconds

    @given(st.datetimes(datetime(1990, 1, 1), datetime(2200, 1, 1)))  # noqa: DTZ001 - made aware below
    def test_a_filter_is_in_utc_to_the_microsecond(self, moment: datetime) -> None:
        moment = moment.replace(tzinfo=UTC)
        text = format_filter_time(moment.timestamp())
        assert text.endswith("Z")
        assert abs(datetime.fromisoformat(text) - moment).total_seconds() < 1e-5


class TestUnseenRows:
    @given(st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=5), max_size=6))
    def test_no_id_comes_twice_within_the_first_pages(self, pages: list[list[str]]) -> None:
        unseen: UnseenRows[str] = UnseenRows()
        first = [page for page in pages if page][:2]
        shown = [row for page in first for row in unseen.of(page, page)[0]]
        assert shown == list(dict.fromkeys(row for page in first for row in page))

    @given(st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=2, max_size=5), max_size=6))
    def test_where_the_backend_keeps_no_order_every_id_is_remembered(
        self, pages: list[list[str]]
    ) -> None:
        unseen: UnseenRows[str] = UnseenRows()
        unseen.of(["z", "y"], ["z", "y"])
        shown = [row for page in pages for row in unseen.of(page, page)[0]]
        assert shown == list(dict.fromkeys(row for page in pages for row in page))

    def test_in_an_ordered_list_only_the_last_id_is_kept(self) -> None:
        unseen: UnseenRows[str] = UnseenRows()
        for number in range(50):
            page = [f"{number:03}-a", f"{number:03}-b"]
            assert unseen.of(page, page) == (page, page)
        assert len(unseen._seen) <= 4


class TestRetryPolicy:
    def error(self, retry_after: float | None = None, *, retryable: bool = True) -> HubThrottled:
        return HubThrottled(
            "429",
            hub="orders",
            operation="listInstances",
            kind=ErrorKind.THROTTLED,
            hint="",
            retryable=retryable,
            retry_after=retry_after,
        )

    @given(st.integers(0, 60), st.floats(min_value=0, max_value=1, exclude_max=True))
    def test_delays_grow_within_their_bounds(self, retries: int, jitter: float) -> None:
        policy = RetryPolicy(100, 0.5, 30.0)
        delay = policy.delay(self.error(), retries, lambda: jitter)
        assert delay is not None
        ceiling = min(30.0, 0.5 * 2.0**retries)
        assert ceiling / 2 <= delay <= ceiling

    def test_what_the_server_asks_for_is_waited_at_least(self) -> None:
        policy = RetryPolicy(3, 0.5, 30.0)
        assert policy.delay(self.error(7.0), 0, lambda: 0.5) == 7.0
        assert policy.delay(self.error(60.0), 0, lambda: 0.5) == 60.0

    def test_who_asks_for_more_than_a_minute_is_not_waited_for(self) -> None:
        policy = RetryPolicy(3, 0.5, 30.0)
        assert policy.delay(self.error(61.0), 0, lambda: 0.5) is None
        assert RetryPolicy(3, 0.5, 90.0).delay(self.error(61.0), 0, lambda: 0.5) == 61.0

    def test_there_is_an_end(self) -> None:
        policy = RetryPolicy(3, 0.5, 30.0)
        assert policy.delay(self.error(), 3, lambda: 0.5) is None
        assert policy.delay(self.error(retryable=False), 0, lambda: 0.5) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5", 5.0),
        (" 120 ", 120.0),
        ("Mon, 23 Nov 2026 10:01:30 GMT", 90.0),
        ("Mon, 23 Nov 2026 09:00:00 GMT", 0.0),
        ("86400", 3600.0),
        ("9" * 400, 3600.0),
        ("Tue, 24 Nov 2026 10:00:00 GMT", 3600.0),
        ("-5", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_moment(text: str | None, seconds: float | None) -> None:
    assert parse_retry_after(text, "Mon, 23 Nov 2026 10:00:00 GMT") == seconds


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
