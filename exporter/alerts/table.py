"""The one table of every alert, and of the parameters of them all."""

from __future__ import annotations

from collections.abc import Mapping

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
)
PARAMETERS: tuple[Parameter, ...] = (
    *SHARED,
    *(parameter for alert in ALERTS for parameter in alert.own_parameters),
)
DEFAULTS: Mapping[str, str] = {parameter.name: parameter.default for parameter in PARAMETERS}
