"""Times of the API, also in headers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.api import times
from exporter.api.classify import parse_retry_after
from exporter.api.times import format_filter_time, format_shown_time, parse_time


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
