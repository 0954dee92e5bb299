"""Durations: how settings spell them, and the types of fields that hold them."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from exporter.settings.values import Shown, split_list

# The longest first: a compound duration names each unit at most once, in this order.
_UNITS = {
    "d": Decimal(86_400),
    "h": Decimal(3600),
    "m": Decimal(60),
    "s": Decimal(1),
    "ms": Decimal("0.001"),
}
_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_PLAIN = re.compile(_NUMBER)
_SPELLED = re.compile("".join(f"(?:({_NUMBER}){unit})?" for unit in _UNITS))
_LONGEST = 100 * 365 * 86_400
_LONGEST_TEXT = 16
_SHORTEST_INTERVAL = 0.1
_LONGEST_RELOAD_INTERVAL = 30.0

MINUTE = 60.0
HOUR = 3600.0
DAY = 86_400.0


def parse_duration(value: object) -> float:
    """
    Return *value* in seconds: a number, or a text such as `30s`, `1h30m`, `0.5s`, `500ms`, `90`.

    Raises:
        ValueError: not a duration, negative, or longer than a hundred years.
    """
    seconds = _seconds(value)
    if seconds is None:
        raise ValueError(f"{_shown(value)}is not a duration: write it as 30s, 5m, 1h30m or 7d")
    if seconds < 0:
        raise ValueError("is negative: a duration is 0 or longer")
    if seconds > _LONGEST:
        raise ValueError("is longer than a hundred years: shorten it")
    return float(seconds)


def format_duration(seconds: float) -> str:
    """Format *seconds*, 0 or more, so that `parse_duration` returns the same number."""
    rest = Decimal(repr(seconds))
    parts = []
    for unit in ("d", "h", "m"):
        count, rest = divmod(rest, _UNITS[unit])
        if count:
            parts.append(f"{count:f}{unit}")
    if rest or not parts:
        text = f"{rest:f}"
        parts.append(f"{text.rstrip('0').rstrip('.') if '.' in text else text}s")
    return "".join(parts)


def parse_limit(value: object) -> float | None:
    """Return a limit in seconds, None for `none`; raises `ValueError` as `parse_duration` does."""
    if value is None or (isinstance(value, str) and value.strip().lower() == "none"):
        return None
    if parse_duration(value) == 0:
        raise ValueError("is 0: write none for no limit")
    return parse_duration(value)


def _seconds(value: object) -> Decimal | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        number = Decimal(repr(value))
        return number if number.is_finite() else None
    if not isinstance(value, str):
        return None
    text = value.strip()
    sign = -1 if text.startswith("-") else 1
    text = text.removeprefix("-")
    if _PLAIN.fullmatch(text):
        return sign * Decimal(text)
    spelled = _SPELLED.fullmatch(text)
    if not text or spelled is None:
        return None
    counts = zip(spelled.groups(), _UNITS.values(), strict=True)
    return sign * sum((Decimal(count) * unit for count, unit in counts if count), Decimal(0))


def _shown(value: object) -> str:
    """Quote a mistyped value, but nothing long, which may be a secret in a wrong place."""
    return f"{value!r} " if isinstance(value, str) and len(value) <= _LONGEST_TEXT else ""


def _parse_bounds(value: object) -> list[float]:
    bounds = [parse_duration(item) for item in split_list(value)]
    if not bounds:
        raise ValueError("is empty: give at least one bound")
    if bounds[0] == 0:
        raise ValueError("starts at 0: every bound is above 0")
    if any(upper <= lower for lower, upper in pairwise(bounds)):
        raise ValueError("is not ascending: order the bounds, without duplicates")
    return bounds


def at_least(minimum: float) -> Callable[[float], float]:
    """Return the check of a duration that must not be below *minimum* seconds."""

    def check(seconds: float) -> float:
        if seconds < minimum:
            raise ValueError(f"is too short: give at least {format_duration(minimum)}")
        return seconds

    return check


def _check_reload_interval(seconds: float) -> float:
    if seconds > _LONGEST_RELOAD_INTERVAL:
        longest = format_duration(_LONGEST_RELOAD_INTERVAL)
        raise ValueError(f"is too long: give at most {longest}")
    return seconds


def _check_positive(seconds: float) -> float:
    if seconds == 0:
        raise ValueError("is 0: give a duration above 0")
    return seconds


def _check_off_or_interval(seconds: float) -> float:
    if 0 < seconds < _SHORTEST_INTERVAL:
        shortest = format_duration(_SHORTEST_INTERVAL)
        raise ValueError(f"is too short: give at least {shortest}, or 0 for off")
    return seconds


Duration = Annotated[float, BeforeValidator(parse_duration), Shown("duration")]
PositiveDuration = Annotated[Duration, AfterValidator(_check_positive), Shown("duration above 0")]
Interval = Annotated[
    Duration, AfterValidator(at_least(_SHORTEST_INTERVAL)), Shown("duration, at least `0.1s`")
]
ReloadInterval = Annotated[
    Interval,
    AfterValidator(_check_reload_interval),
    Shown("duration, `0.1s` to `30s`"),
]
IntervalOrOff = Annotated[
    Duration,
    AfterValidator(_check_off_or_interval),
    Shown("duration, at least `0.1s`, or `0` for off"),
]
Limit = Annotated[float | None, BeforeValidator(parse_limit), Shown("duration or `none`")]
Bounds = Annotated[
    tuple[float, ...], BeforeValidator(_parse_bounds), Shown("ascending list of durations")
]
