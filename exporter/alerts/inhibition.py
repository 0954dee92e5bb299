"""Which alerts hold back which others, as rules of Alertmanager."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from exporter.alerts import failures, hubs, instances, itself, storage
from exporter.alerts.model import Alert
from exporter.alerts.shared import TARGET_LABELS
from exporter.alerts.table import ALERTS, DEFAULTS
from exporter.alerts.yaml_text import Document, written

_HEADING = """\
# Inhibition rules for Alertmanager 0.22 or newer: copy the list into its configuration.
# Written by `durable-exporter rules --format inhibition`: see docs/alerts.md.
"""
_EXPORTER = ()
_HUB = ("task_hub",)
_ORCHESTRATOR = ("task_hub", "orchestrator")


@dataclass(frozen=True, slots=True)
class Inhibition:
    """
    While one of *sources* fires, *targets* with the same labels *equal* are not told of.

    Both are of one exporter: a hub of test that is stopped says nothing of the one that production
    calls the same.
    """

    reason: str
    sources: tuple[Alert, ...]
    targets: tuple[Alert, ...]
    equal: tuple[str, ...]

    def labels(self, values: Mapping[str, str] = DEFAULTS) -> list[str]:
        """Return all labels that are the same, with *values* of the parameters."""
        exporters = values[TARGET_LABELS.name].split(",")
        return [*(label.strip() for label in exporters), *self.equal]


_UNREADABLE = (hubs.HUB_UNREACHABLE, hubs.KEY_REFUSED, hubs.APP_STOPPED)
_OF_DATA = tuple(alert for alert in ALERTS if alert.sweep)

INHIBITIONS: tuple[Inhibition, ...] = (
    Inhibition(
        "many hubs have one cause",
        (hubs.MANY_HUBS_UNREACHABLE,),
        (hubs.HUB_UNREACHABLE,),
        _EXPORTER,
    ),
    Inhibition(
        "the cause is known; nobody is woken since somebody stopped an app",
        (hubs.KEY_REFUSED, hubs.APP_STOPPED),
        (hubs.HUB_UNREACHABLE,),
        _HUB,
    ),
    Inhibition(
        "nothing is known of a hub that cannot be read: neither new trouble nor the end of old",
        _UNREADABLE,
        (*_OF_DATA, hubs.DATA_STALE),
        _HUB,
    ),
    Inhibition(
        "nothing is known of any hub",
        (itself.EXPORTER_DOWN,),
        (*_OF_DATA, *_UNREADABLE, hubs.DATA_STALE, itself.SHARD_MISSING),
        _EXPORTER,
    ),
    Inhibition(
        "sweeps that are left out feed nothing",
        (itself.BUDGET_SPENT,),
        (hubs.DATA_STALE, itself.SWEEP_TOO_SLOW),
        _HUB,
    ),
    Inhibition(
        "nothing starts where nothing moves",
        (hubs.HUB_STALLED,),
        (instances.PENDING_STUCK, instances.PENDING_BACKLOG_GROWING, instances.TIMER_OVERDUE),
        _HUB,
    ),
    Inhibition(
        "the same instances, with the step that holds them",
        (instances.ORCHESTRATION_STALLED,),
        (instances.ETERNAL_STALLED,),
        _ORCHESTRATOR,
    ),
    Inhibition(
        "the same failures, with their cause",
        (failures.NON_DETERMINISM, failures.FUNCTION_MISSING),
        (failures.FAILURE_RATIO_HIGH,),
        _ORCHESTRATOR,
    ),
    Inhibition(
        "a lock that nobody releases makes the queue",
        (storage.ENTITY_LOCK_ORPHANED,),
        (storage.ENTITY_BACKLOG,),
        ("task_hub", "entity"),
    ),
)


def inhibition(values: Mapping[str, str] = DEFAULTS) -> str:
    """Return the file of inhibition rules, with *values* of all parameters."""
    return _HEADING + written({"inhibit_rules": [_rule(one, values) for one in INHIBITIONS]})


def _rule(one: Inhibition, values: Mapping[str, str]) -> Document:
    return {
        "source_matchers": [_matcher(one.sources)],
        "target_matchers": [_matcher(one.targets)],
        "equal": one.labels(values),
    }


def _matcher(alerts: Iterable[Alert]) -> str:
    names = "|".join(alert.full_name for alert in alerts)
    return f'alertname =~ "{names}"'
