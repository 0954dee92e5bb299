"""The rules of the chart, with placeholders for its values, and the schemas of these values."""

from __future__ import annotations

from collections.abc import Mapping

from exporter.alerts.model import PREFIX, Kind, Parameter, places
from exporter.alerts.prometheus import document, written
from exporter.alerts.table import ALERTS, FORMER_ALERTS, FORMER_PARAMETERS, PARAMETERS
from helm.documented import Schema, closed

FILE = "files/rules.yaml"

_HEADING = """\
# Rules and the defaults of their parameters, written by `make docs` from the table of alerts.
# The chart replaces the placeholders of parameters by its values.
"""
_PATTERNS: Mapping[Kind, str] = {
    Kind.DURATION: "^([0-9]+(ms|[smhdwy]))+$",
    Kind.LABELS: r"^([a-zA-Z_]\w*(, ?[a-zA-Z_]\w*)*)?$",
    Kind.SOME_LABELS: r"^[a-zA-Z_]\w*(, ?[a-zA-Z_]\w*)*$",
    Kind.URL: r"^(https?://[^\s\"'{}$\\]+)?$",
    Kind.SEVERITY: r"^[\w.-]+$",
    Kind.TEXT: r"^[\w.-]+$",
}


def rules_file() -> str:
    """Return the file from which the chart makes a PrometheusRule."""
    defaults = {parameter.name: parameter.default for parameter in _used()}
    former = {
        "formerAlerts": {f"{PREFIX}{name}": today for name, today in FORMER_ALERTS.items()},
        "formerParameters": dict(FORMER_PARAMETERS),
    }
    return _HEADING + written(
        {"parameters": defaults, "optIn": _opt_in(), **former, **_with_places()}
    )


def of_parameters() -> Schema:
    """Return the schema of `prometheusRule.parameters`."""
    former = {
        "type": ["string", "number"],
        "description": "Gone and ignored; refused from the next minor version.",
    }
    return closed(
        {
            **{parameter.name: _of(parameter) for parameter in _used()},
            **dict.fromkeys(FORMER_PARAMETERS, former),
        }
    )


def of_disabled() -> Schema:
    """Return the schema of `prometheusRule.disabled`: names of alerts, former ones included."""
    names = [alert.full_name for alert in ALERTS]
    former = [f"{PREFIX}{name}" for name in FORMER_ALERTS]
    return {"type": "array", "items": {"enum": [*names, *former]}}


def of_opt_in() -> Schema:
    """Return the schema of `prometheusRule.optIn`: names of opt-in alerts."""
    return {"type": "array", "items": {"enum": _opt_in()}}


def _opt_in() -> list[str]:
    return [alert.full_name for alert in ALERTS if alert.opt_in]


def _of(parameter: Parameter) -> Schema:
    described = {"description": f"{parameter.reason} Default: {parameter.default or 'none'}"}
    if parameter.kind is Kind.NUMBER:
        return {"type": "number", "minimum": 0, **described}
    return {"type": "string", "pattern": _PATTERNS[parameter.kind], **described}


def _used() -> list[Parameter]:
    """Return the parameters that Prometheus' rules use."""
    used = places(written(_with_places()))
    return [parameter for parameter in PARAMETERS if parameter.name in used]


def _with_places() -> Mapping[str, object]:
    return document({parameter.name: str(parameter) for parameter in PARAMETERS}, alerts=ALERTS)
