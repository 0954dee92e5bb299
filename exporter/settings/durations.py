"""Lengths of time, as settings spell them."""

from __future__ import annotations

import re
from decimal import Decimal

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

MINUTE = 60.0
HOUR = 3600.0
DAY = 86_400.0


def parse_duration(value: object) -> float:
    """
    Return *value* in seconds: a number, or a text as `30s`, `1h30m`, `0.5s`, `500ms`, `90`.

    Raises:
        ValueError: it is not a duration, is negative, or is longer than a hundred years.
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
    """Spell *seconds*, 0 or more, so that `parse_duration` returns the very same number."""
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
    """Quote what was mistyped, not a secret that came here by mistake."""
    return f"{value!r} " if isinstance(value, str) and len(value) <= _LONGEST_TEXT else ""
