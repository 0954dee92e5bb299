"""Which alerts inhibit which others, as rules of Alertmanager."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from exporter.alerts import failures, hubs, instances, itself, storage
from exporter.alerts.model import Alert, Severity
from exporter.alerts.prometheus import Document, written
from exporter.alerts.shared import TARGET_LABELS
from exporter.alerts.table import ALERTS, DEFAULTS

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
    While one of *sources* fires, *targets* with the same labels *equal* are not notified.

    Both are of one exporter: a stopped hub in test must not inhibit its namesake in production.
    """

    reason: str
    sources: tuple[Alert, ...]
    targets: tuple[Alert, ...]
    equal: tuple[str, ...]

    def labels(self, values: Mapping[str, str] = DEFAULTS) -> list[str]:
        """Return all labels that must be equal, with *values* of the parameters."""
        exporters = values[TARGET_LABELS.name].split(",")
        return [*(label.strip() for label in exporters), *self.equal]


_OF_DATA = tuple(alert for alert in ALERTS if alert.sweep)

INHIBITIONS: tuple[Inhibition, ...] = (
    Inhibition(
        "one shared cause",
        (hubs.MANY_HUBS_UNREACHABLE,),
        (hubs.HUB_UNREACHABLE,),
        _EXPORTER,
    ),
    Inhibition(
        "while a hub cannot be read, its other alerts are outdated",
        (hubs.HUB_UNREACHABLE,),
        (*_OF_DATA, hubs.DATA_STALE),
        _HUB,
    ),
    Inhibition(
        "without an exporter, all other alerts are outdated",
        (itself.EXPORTER_DOWN,),
        (*_OF_DATA, hubs.HUB_UNREACHABLE, hubs.DATA_STALE, itself.SHARD_MISSING),
        _EXPORTER,
    ),
    Inhibition(
        "a new hub name or storage is empty at first",
        (hubs.HUB_REPLACED,),
        (hubs.HUB_EMPTY,),
        _HUB,
    ),
    Inhibition(
        "if no instance makes progress, none starts or continues",
        (hubs.HUB_STALLED,),
        (
            instances.PENDING_STUCK,
            instances.PENDING_BACKLOG_GROWING,
            instances.ORCHESTRATION_STALLED,
        ),
        _HUB,
    ),
    Inhibition(
        "the same failures, with their cause",
        (failures.DEPLOYMENT_BROKEN,),
        (failures.ORCHESTRATIONS_FAILING,),
        _ORCHESTRATOR,
    ),
    Inhibition(
        "an orphaned lock causes the backlog",
        (storage.ENTITY_LOCK_ORPHANED,),
        (storage.ENTITY_BACKLOG,),
        ("task_hub", "entity"),
    ),
)


def inhibition(values: Mapping[str, str] = DEFAULTS) -> str:
    """Return the file of inhibition rules, with *values* of all parameters."""
    rules = [rule for one in INHIBITIONS for rule in _rules(one, values)]
    return _HEADING + written({"inhibit_rules": rules})


def _rules(one: Inhibition, values: Mapping[str, str]) -> Iterator[Document]:
    """Yield one rule, or two if a source may be a warning, which must not inhibit a page."""
    pages = all(source.severity is Severity.CRITICAL for source in one.sources)
    paged = any(target.severity is not Severity.WARNING for target in one.targets)
    if pages or not paged:
        yield _rule(one, values)
        return
    yield _rule(one, values, of_sources=(f"severity != {Severity.WARNING}",))
    yield _rule(one, values, of_targets=(f"severity = {Severity.WARNING}",))


def _rule(
    one: Inhibition,
    values: Mapping[str, str],
    *,
    of_sources: tuple[str, ...] = (),
    of_targets: tuple[str, ...] = (),
) -> Document:
    return {
        "source_matchers": [_matcher(one.sources), *of_sources],
        "target_matchers": [_matcher(one.targets), *of_targets],
        "equal": one.labels(values),
    }


def _matcher(alerts: Iterable[Alert]) -> str:
    names = "|".join(alert.full_name for alert in alerts)
    return f'alertname =~ "{names}"'
