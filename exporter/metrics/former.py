"""Families, labels and label values removed since the previous version, and their replacements."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.metrics import catalogue as c
from exporter.metrics.family import sample_names

_IDLE = "durable_functions_instance_idle_seconds"
_NOT_WORTH_IT = "nothing: few queries used it"


@dataclass(frozen=True, slots=True)
class Former:
    """
    Removed samples `name`, or one of their labels, or one of its values.

    A `label` without a `value` is removed altogether.
    """

    name: str
    instead: str
    label: str = ""
    value: str = ""


FORMER: tuple[Former, ...] = (
    Former(
        f"{_IDLE}_bucket",
        f"{c.OVER_LIMIT.name}{{limit='idle'}}, or the age of {c.OLDEST_UPDATED.name}",
    ),
    Former(f"{_IDLE}_gcount", f"{c.INSTANCES.name} counts active instances"),
    Former(f"{_IDLE}_gsum", _NOT_WORTH_IT),
    Former(f"{c.INSTANCE_AGE.name}_gcount", f"{c.INSTANCE_AGE.name}_bucket{{le='+Inf'}}"),
    Former(f"{c.INSTANCE_AGE.name}_gsum", _NOT_WORTH_IT),
    Former(f"{c.ENTITY_IDLE.name}_gcount", c.ENTITIES.name),
    Former(f"{c.ENTITY_IDLE.name}_gsum", _NOT_WORTH_IT),
    *(
        Former(name, "leave it out: only Completed is counted", label="runtime_status")
        for name in sample_names(c.DURATION)
    ),
    Former(
        c.LIMIT.name,
        "orchestrator!='' selects limits that an orchestrator has of its own",
        label="source",
    ),
    Former(c.REOPENED.name, "leave it out: it is counted by hub", label="orchestrator"),
    Former(c.VANISHED.name, "leave it out: it is counted by hub", label="orchestrator"),
    Former(c.UNDIAGNOSED.name, "leave it out: it is counted by hub", label="orchestrator"),
    Former(
        c.RECENT.name,
        f"window='1h', or increase({c.FINISHED.name}[5m])",
        label="window",
        value="5m",
    ),
    *(
        Former(
            c.RECENT.name,
            f"increase({c.FINISHED.name}{{runtime_status='{status}'}}[1h])",
            label="runtime_status",
            value=status,
        )
        for status in ("Terminated", "Canceled")
    ),
    Former(c.FAILURE_RATIO.name, "window='1h' or window='24h'", label="window", value="5m"),
    # Recorded by the rules of that version.
    *(
        Former(f"durable_functions:fresh_{sweep}:last", f"{c.SWEEP_FRESH.name}{{sweep='{sweep}'}}")
        for sweep in ("active", "finished", "census", "failed", "entities")
    ),
)
