"""Figures that several dashboards show, each of its own scope."""

from exporter.metrics import catalogue as c
from exporter.metrics.promql import equal, known_or_zero, one_of, ratio, total
from grafana.scope import Scope

_HOUR = equal("window", "1h")


def stalled(scope: Scope, *by: str) -> str:
    """Count the stalled, and 0 only where what instances wait on is looked at."""
    return known_or_zero(
        total(scope.latest(c.STALLED), *by), total(scope.latest(c.UNDIAGNOSED), *by)
    )


def failed(scope: Scope, *by: str) -> str:
    """Count what failed within the last hour."""
    return total(scope.latest(c.RECENT, _HOUR, equal("runtime_status", "Failed")), *by)


def failure_ratio(scope: Scope, *by: str) -> str:
    """Divide what failed within the last hour by what came to a result."""
    ended = scope.latest(c.RECENT, _HOUR, one_of("runtime_status", "Completed", "Failed"))
    return ratio(failed(scope, *by), total(ended, *by))
