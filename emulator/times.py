"""Times as text, as the API writes and reads them."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from functools import lru_cache

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_ISO = re.compile(
    r"(?P<year>\d{1,4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})"
    r"(?:[T ](?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.(?P<fraction>\d+))?)?)?"
    r"\s*(?P<zone>Z|[+-]\d{2}:\d{2})?",
    re.ASCII | re.IGNORECASE,
)
_TIME_OF_DAY = re.compile(r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}))?", re.ASCII)
_RFC_1123 = re.compile(r"[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT", re.ASCII)


def whole_seconds(time: float) -> str:
    """Return a time as in instances, truncated to seconds."""
    return f"{_without_fraction(int(time // 1))}Z"


def precise(time: float) -> str:
    """Return a time with up to seven decimals, trailing zeros trimmed, and `Z`."""
    return f"{_precise(time)}Z"


def precise_with_offset(time: float) -> str:
    """Return a time like `precise`, with the offset of a host in UTC."""
    return f"{_precise(time)}+00:00"


def parse(text: str, now: float) -> float | None:
    """
    Return a time as .NET reads it on a host in UTC, `None` if unreadable.

    `now` gives the day of a bare time of day.
    """
    text = text.strip()
    try:
        if iso := _ISO.fullmatch(text):
            return _from_iso(iso)
        if clock := _TIME_OF_DAY.fullmatch(text):
            day = now // 86_400 * 86_400
            hour, minute, second = (int(part or 0) for part in clock.groups())
            return day + _seconds(datetime(1970, 1, 1, hour, minute, second, tzinfo=UTC))
        if _RFC_1123.fullmatch(text):
            return _seconds(parsedate_to_datetime(text))
    except ValueError:  # a 30th of February, a 25th hour
        return None
    return None


def _from_iso(match: re.Match[str]) -> float:
    year, month, day = (int(match[part]) for part in ("year", "month", "day"))
    hour, minute, second = (int(match[part] or 0) for part in ("hour", "minute", "second"))
    whole = _seconds(datetime(year, month, day, hour, minute, second, tzinfo=UTC))
    whole -= _offset(match["zone"])
    fraction = match["fraction"] or "0"
    # One conversion of the decimal text keeps a time exact.
    return float(f"{whole}.{fraction}") if whole >= 0 else whole + float(f"0.{fraction}")


def _offset(zone: str | None) -> int:
    if zone is None or zone in "Zz":
        return 0
    sign = -1 if zone[0] == "-" else 1
    return sign * (int(zone[1:3]) * 3600 + int(zone[4:6]) * 60)


def _seconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(seconds=1)


# An entity's row shows every request in its queue, and is written anew with each.
@lru_cache(maxsize=4096)
def _precise(time: float) -> str:
    whole, ticks = divmod(int(Decimal(time).scaleb(7).to_integral_value()), 10_000_000)
    text = _without_fraction(whole)
    return f"{text}.{ticks:07}".rstrip("0") if ticks else text


def _without_fraction(seconds: int) -> str:
    return (EPOCH + timedelta(seconds=seconds)).replace(tzinfo=None).isoformat()
