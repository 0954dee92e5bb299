"""PromQL from families of the catalogue: no query names what is not served."""

from __future__ import annotations

from exporter.metrics.family import SPREAD_SUFFIXES, Family


def equal(label: str, value: object) -> str:
    """Return a matcher of one value."""
    return f'{label}="{value}"'


def one_of(label: str, *values: str) -> str:
    """Return a matcher of several values."""
    pattern = "|".join(values)
    return f'{label}=~"{pattern}"'


def none_of(label: str, *values: str) -> str:
    """Return a matcher of all but *values*."""
    pattern = "|".join(values)
    return f'{label}!~"{pattern}"'


def selector(family: Family, *matchers: str, suffix: str = "") -> str:
    """
    Return a selector of *family* with *matchers*, and *suffix* of a histogram or distribution.

    Raises:
        ValueError: the family has no samples with *suffix*.
    """
    if suffix and suffix not in SPREAD_SUFFIXES.get(family.kind, ()):
        raise ValueError(f"{family.name} has no {suffix}")
    name = f"{family.name}{suffix}"
    return f"{name}{{{', '.join(matchers)}}}" if matchers else name


def without(labels: str, expr: str, *, by: str = "max") -> str:
    """Return *expr* aggregated without *labels*."""
    return f"{by} without ({labels}) ({expr})"


def total(expr: str, *by: str) -> str:
    """Return the sum by labels."""
    return _aggregated("sum", expr, by)


def highest(expr: str, *by: str) -> str:
    """Return the maximum by labels."""
    return _aggregated("max", expr, by)


def lowest(expr: str, *by: str) -> str:
    """Return the minimum by labels."""
    return _aggregated("min", expr, by)


def age(moment: str) -> str:
    """Return the seconds since *moment*."""
    return f"time() - {moment}"


def quantile(share: float, buckets: str, *by: str) -> str:
    """Return a quantile from buckets; nothing if they are empty."""
    return f"histogram_quantile({share}, {total(buckets, 'le', *by)}) >= 0"


def ratio(part: str, whole: str) -> str:
    """Return a ratio; nothing if *whole* is 0."""
    return f"{part} / ({whole} > 0)"


def known_or_zero(found: str, known: str) -> str:
    """Return *found*, or 0 where *known* has series."""
    return f"({found}) or (0 * {known})"


def _aggregated(operation: str, expr: str, by: tuple[str, ...]) -> str:
    labels = ", ".join(by)
    return f"{operation} by ({labels}) ({expr})" if labels else f"{operation}({expr})"
