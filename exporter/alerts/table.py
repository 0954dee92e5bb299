"""The one table of every alert, and of the parameters of them all."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from exporter.alerts import failures, hubs, instances, itself, storage
from exporter.alerts.model import Alert, Parameter
from exporter.alerts.shared import SHARED

ALERTS: tuple[Alert, ...] = (
    *hubs.ALERTS,
    *instances.ALERTS,
    # In one group with those that it holds back, and behind them: else it would end a moment before
    # they do, and they would be told of.
    hubs.HUB_STALLED,
    *failures.ALERTS,
    *storage.ALERTS,
    *itself.ALERTS,
    *instances.OPT_IN,
)
PARAMETERS: tuple[Parameter, ...] = (
    *SHARED,
    *(parameter for alert in ALERTS for parameter in alert.own_parameters),
)
DEFAULTS: Mapping[str, str] = {parameter.name: parameter.default for parameter in PARAMETERS}


def chosen(*, without: Collection[str] = (), opted: Collection[str] = ()) -> list[Alert]:
    """Return the alerts but those *without*, and of those that are opt-in only the *opted*."""
    return [
        alert
        for alert in ALERTS
        if alert.full_name not in without and (not alert.opt_in or alert.full_name in opted)
    ]
