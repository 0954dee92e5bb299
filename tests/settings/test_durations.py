"""Durations as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.settings.durations import format_duration, parse_duration, parse_limit

A_CENTURY = 100 * 365 * 86_400.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30.0),
        ("5m", 300.0),
        ("1h", 3600.0),
        ("7d", 604_800.0),
        ("500ms", 0.5),
        ("0.5s", 0.5),
        ("1.5h", 5400.0),
        ("1h30m", 5400.0),
        ("1d2h3m4s5ms", 93_784.005),
        ("90", 90.0),
        ("90.25", 90.25),
        (" 30s ", 30.0),
        ("0", 0.0),
        (90, 90.0),
        (0.1, 0.1),
    ],
)
def test_a_duration_is_read_in_seconds(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", " ", "s", "30 s", "30S", "30m1h", "5m5m", "1h 30m", "1e3", "٣s", "1.s", "--5s", "never"],
)
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration: write it as 30s, 5m"):
        parse_duration(text)


@pytest.mark.parametrize("value", [True, False, None, [], {}, float("nan"), float("inf")])
def test_what_is_neither_number_nor_text_is_no_duration(value: object) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(value)


@pytest.mark.parametrize("value", ["-1s", -1, "-0.5"])
def test_a_negative_duration_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="is negative"):
        parse_duration(value)


@pytest.mark.parametrize("value", ["40000d", 1e300, "9" * 400])
def test_a_duration_beyond_a_century_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="longer than a hundred years"):
        parse_duration(value)


def test_a_long_text_is_not_in_the_message() -> None:
    with pytest.raises(ValueError, match=r"^is not a duration"):
        parse_duration("x" * 17)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0s"), (0.5, "0.5s"), (10.0, "10s"), (600.0, "10m"), (5400.0, "1h30m"), (864e3, "10d")],
)
def test_a_duration_is_spelled_with_the_largest_units(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.floats(min_value=0.0, max_value=A_CENTURY))
def test_a_spelled_duration_is_read_as_the_very_same(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@given(st.text())
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    try:
        seconds = parse_duration(text)
    except ValueError:
        return
    assert 0 <= seconds <= A_CENTURY


@pytest.mark.parametrize("value", ["none", "None", " NONE ", None])
def test_a_limit_may_be_none(value: object) -> None:
    assert parse_limit(value) is None


def test_a_limit_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="write none for no limit"):
        parse_limit("0s")
