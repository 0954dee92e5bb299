"""Numbers and times as people read them."""

from __future__ import annotations

from datetime import UTC, datetime

_UNITS = ((86_400, "d", 24, 3600, "h"), (3600, "h", 60, 60, "min"))
_SHORT_OF_A_NEXT_UNIT = 10
_KIB = 1024
_SPELLINGS = {
    "http_poll": "HTTP poll",
    "non_determinism": "non-determinism",
    "sub_orchestration": "sub-orchestration",
}


def rfc3339(moment: float | None) -> str | None:
    """Format a moment in UTC, to the second; None stays None."""
    if moment is None:
        return None
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def span(seconds: float) -> str:
    """Format a duration: 5 s, 12 min, 3 h 20 min, 2 d 4 h; from ten units on without the rest."""
    whole = round(max(0.0, seconds))
    for size, unit, many, smaller, below in _UNITS:
        if whole >= size:
            number, rest = divmod(whole // smaller, many)
            has_rest = rest and number < _SHORT_OF_A_NEXT_UNIT
            return f"{number} {unit} {rest} {below}" if has_rest else f"{number} {unit}"
    return f"{whole // 60} min" if whole >= 60 else f"{whole} s"  # noqa: PLR2004 - a minute


def words_of(name: str) -> str:
    """Return a name in snake case as words."""
    return _SPELLINGS.get(name) or name.replace("_", " ")


def plural(count: float, singular: str, many: str = "") -> str:
    """Format a count with its noun."""
    return f"{count:,} {singular if count == 1 else many or singular + 's'}"


def size(count: float) -> str:
    """Format a number of bytes."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < _KIB:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= _KIB
    return f"{count:.1f} TiB"


def percent(ratio: float) -> str:
    """Format a share; only 0 is 0%, only 1 is 100%."""
    if 0 < ratio < 0.001:  # noqa: PLR2004 - a tenth of a percent
        return "< 0.1%"
    if 0.999 < ratio < 1:  # noqa: PLR2004
        return "> 99.9%"
    return f"{ratio * 100:.1f}%".replace(".0%", "%")
