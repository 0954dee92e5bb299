"""Alerts and parameters of the version before: taken until the next minor version, and ignored."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

# By which alert its cause is told of now; empty where dashboards show it.
FORMER_ALERTS: Mapping[str, str] = MappingProxyType(
    {
        "AppStopped": "HubUnreachable",
        "BaselineLost": "",
        "BudgetSpent": "DataStale",
        "EternalStalled": "OrchestrationStalled",
        "FailureRatioHigh": "OrchestrationsFailing",
        "FinishedButRunning": "OrchestrationStalled",
        "FunctionMissing": "DeploymentBroken",
        "KeyRefused": "HubUnreachable",
        "LabelsFolded": "ExporterMisconfigured",
        "NewFailures": "OrchestrationsFailing",
        "NonDeterminism": "DeploymentBroken",
        "SweepTooSlow": "DataStale",
        "TimerOverdue": "OrchestrationStalled",
        "UnresolvedFailures": "OrchestrationsFailing",
    }
)
# What to use instead: a setting of the exporter, another parameter, or nothing.
FORMER_PARAMETERS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                "app_stopped_for",
                "error_window",
                "hub_unreachable_intervals",
                "key_refused_for",
            ),
            "hub_unreachable_for",
        ),
        **dict.fromkeys(("baseline_lost_for", "baseline_memory"), ""),
        **dict.fromkeys(
            (
                "budget_spent_for",
                "data_stale_intervals",
                "data_stale_seconds",
                "sweep_too_slow_for",
            ),
            "data_stale_for",
        ),
        **dict.fromkeys(
            (
                "eternal_cycles",
                "eternal_cycles_known",
                "eternal_stalled_for",
                "eternal_stalled_seconds",
                "finished_but_running_for",
                "timer_overdue_for",
                "timer_overdue_seconds",
            ),
            "limits.idle",
        ),
        "failure_ratio": "limits.failure_ratio",
        **dict.fromkeys(
            ("failure_ratio_high_for", "new_failures_for", "unresolved_failures_for"),
            "orchestrations_failing_for",
        ),
        **dict.fromkeys(("fresh_grace_seconds", "fresh_intervals"), ""),
        **dict.fromkeys(("function_missing_for", "non_determinism_for"), "deployment_broken_for"),
        "hold": "exporter_memory",
        "hub_stalled_seconds": "hub_stalled_window",
        "labels_folded_for": "exporter_misconfigured_for",
        **dict.fromkeys(
            ("new_failures", "unresolved_failures_seconds"), "limits.unresolved_failures"
        ),
        "suspended_forgotten_seconds": "limits.suspended",
    }
)


def remark_on(name: str, today: str) -> str:
    """Return what people are told of the former *name* of an alert or parameter."""
    instead = f"see {today}" if today else "nothing takes its place"
    return f"{name}: is gone and ignored: {instead}"
