"""Times of the API and seconds since the epoch."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

# .NET writes DateTime.MinValue and MaxValue where it means no time at all.
_UNKNOWN_BEFORE = datetime(1900, 1, 1, tzinfo=UTC).timestamp()
_UNKNOWN_FROM = datetime(9999, 1, 1, tzinfo=UTC).timestamp()
_LONGEST_TEXT = 40
_SHORTEST_FRACTION = 20
_SECONDS = {f":{second:02d}Z": float(second) for second in range(60)}
_MOST_TIMES = 32_768
_MOST_MINUTES = 32_768


class _Times(dict[str | None, float | None]):
    """Parsed times by their text: rows show the same ones in every sweep."""

    def __missing__(self, text: str | None) -> float | None:
        if text is not None and len(text) > _LONGEST_TEXT:
            return None
        if len(self) >= _MOST_TIMES:
            self.clear()
        seconds = self[text] = _parse(text) if text else None
        return seconds


TIMES = _Times()
_minutes: dict[str, float] = {}


def parse_time(text: str | None) -> float | None:
    """
    Return seconds since the epoch, None if missing, unreadable or unknown.

    MSSQL shows the unknown year 1 for an instance that never ran (reference 2.2).
    A text without a zone is UTC; more than six fractional digits are cut. `TIMES[text]` is the same
    without a call, for hot loops.
    """
    return TIMES[text]


def later(one: float | None, other: float | None) -> float | None:
    """Return the later of two times, None if neither is known."""
    if one is None or other is None:
        return other if one is None else one
    return max(one, other)


def known_time(seconds: float | None) -> float | None:
    """Return *seconds* since the epoch, None if they lie outside the years 1900 to 9998."""
    if seconds is None or not _UNKNOWN_BEFORE <= seconds < _UNKNOWN_FROM:
        return None
    return seconds


def _parse(text: str) -> float | None:
    try:
        return _minutes[text[:16]] + _SECONDS[text[16:]]
    except KeyError:
        seconds = _parse_fraction(text) if len(text) > _SHORTEST_FRACTION else None
        return _parse_any(text) if seconds is None else seconds


def _parse_fraction(text: str) -> float | None:
    """Parse `...:SS.ffffffZ` of a known minute, to the same number as `_parse_any`."""
    minute = _minutes.get(text[:16])
    seconds, fraction = text[17:19], text[20:-1]
    if minute is None or text[16] + text[19:20] + text[-1] != ":.Z" or not text.isascii():
        return None
    if not (seconds.isdigit() and fraction.isdigit() and seconds < "60"):
        return None
    micros = int(seconds) * 1_000_000 + int(fraction[:6].ljust(6, "0"))
    return (int(minute) * 1_000_000 + micros) / 1_000_000


def _parse_any(text: str) -> float | None:
    """Parse *text*, and keep its minute, which many rows share."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    seconds = known_time(moment.timestamp())
    # Only without an offset after the minute.
    if seconds is not None and moment.tzinfo is UTC and text[16:17] == ":":
        if len(_minutes) >= _MOST_MINUTES:
            _minutes.clear()
        _minutes[text[:16]] = seconds // 60 * 60
    return seconds


def format_filter_time(seconds: float) -> str:
    """
    Format *seconds* for a query parameter, in full precision and UTC.

    With `Z`: the plus sign of an offset would make the server drop the filter (reference 2.1).
    """
    moment = datetime.fromtimestamp(0, UTC) + timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def format_shown_time(seconds: float) -> str:
    """Format *seconds* as answers do: cut to the second."""
    moment = datetime.fromtimestamp(0, UTC) + timedelta(seconds=int(seconds // 1))
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
