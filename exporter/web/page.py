"""The page at `/`: what a person wants to know first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from jinja2 import Environment, PackageLoader, select_autoescape

from exporter import __version__
from exporter.collector.snapshot import HubSnapshot, Sweep, Trouble
from exporter.ledger.status import ACTIVE, TERMINAL, USUAL, RuntimeStatus

_WINDOW = "1h"
NOT_KNOWN = "\N{EN DASH}"

_pages = Environment(
    loader=PackageLoader("exporter.web"),
    autoescape=select_autoescape(default=True),
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True, slots=True)
class OrchestratorLine:
    """One line of the table of orchestrators; texts, as they are shown."""

    name: str
    counts: tuple[str, ...]
    over_limit: int
    failure_ratio: str
    unresolved: str


@dataclass(frozen=True, slots=True)
class HubPanel:
    """What the page shows of one hub; texts, as they are shown."""

    name: str
    app: str
    up: bool
    begun: bool
    trouble: Trouble | None
    freshness: tuple[tuple[str, str, bool], ...]
    orchestrators: tuple[OrchestratorLine, ...]
    entities: tuple[tuple[str, str, str, str], ...]


def status_page(snapshots: Sequence[HubSnapshot], now: float) -> str:
    """Return the page as HTML, everything escaped."""
    return _pages.get_template("status.html").render(
        version=__version__,
        now=datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
        columns=[str(column) for column in USUAL],
        window=_WINDOW,
        hubs=[_panel(snapshot, now) for snapshot in snapshots],
    )


def _panel(snapshot: HubSnapshot, now: float) -> HubPanel:
    return HubPanel(
        name=snapshot.identity.name,
        app=snapshot.identity.function_app,
        up=snapshot.up,
        begun=snapshot.up or snapshot.trouble is not None,
        trouble=snapshot.trouble,
        freshness=tuple(_freshness(snapshot, now)),
        orchestrators=tuple(
            _line(snapshot, label, now) for label in sorted(snapshot.known.orchestrators)
        ),
        entities=tuple(_entities(snapshot, now)),
    )


def _freshness(snapshot: HubSnapshot, now: float) -> list[tuple[str, str, bool]]:
    lines = []
    for sweep, state in snapshot.sweeps.items():
        if state.configured is None:
            lines.append((sweep.value, "off", True))
        elif state.completed is None:
            lines.append((sweep.value, "not yet", False))
        else:
            age = f"{span(now - state.completed)} ago"
            lines.append((sweep.value, age, snapshot.is_fresh(sweep, now)))
    return lines


def _line(snapshot: HubSnapshot, label: str, now: float) -> OrchestratorLine:
    active = snapshot.active if snapshot.is_fresh(Sweep.ACTIVE, now) else None
    finished = snapshot.finished if snapshot.is_fresh(Sweep.FINISHED, now) else None
    ratio = finished.failure_ratio.get((label, _WINDOW)) if finished else None
    over = active.over_limit.items() if active else ()
    return OrchestratorLine(
        name=label,
        counts=tuple(_count(snapshot, label, status, now) for status in USUAL),
        over_limit=sum(count for (name, _), count in over if name == label),
        failure_ratio=NOT_KNOWN if ratio is None else f"{ratio:.1%}",
        unresolved=_unresolved(snapshot, label, now),
    )


def _unresolved(snapshot: HubSnapshot, label: str, now: float) -> str:
    if snapshot.unresolved is None or not snapshot.is_fresh(Sweep.FAILED, now):
        return NOT_KNOWN
    count = snapshot.unresolved.failures.get(label, 0)
    oldest = snapshot.unresolved.oldest.get(label)
    return f"{count:,}" if oldest is None else f"{count:,}, oldest {span(now - oldest)}"


def _count(snapshot: HubSnapshot, label: str, status: RuntimeStatus, now: float) -> str:
    """Return a count, or a dash where it is not known: never a zero that may be wrong."""
    if status in ACTIVE and snapshot.active and snapshot.is_fresh(Sweep.ACTIVE, now):
        return f"{snapshot.active.instances.get((label, status), 0):,}"
    if status in TERMINAL and snapshot.retained and snapshot.is_fresh(Sweep.CENSUS, now):
        return f"{snapshot.retained.instances.get((label, status), 0):,}"
    return NOT_KNOWN


def _entities(snapshot: HubSnapshot, now: float) -> list[tuple[str, str, str, str]]:
    listed = snapshot.entities if snapshot.is_fresh(Sweep.ENTITIES, now) else None
    active = snapshot.active if snapshot.is_fresh(Sweep.ACTIVE, now) else None
    shown = snapshot.whole.locks if listed and snapshot.whole else active and active.locks
    lines = []
    for label in sorted(snapshot.known.entities):
        locks = shown.get(label) if shown else None
        lines.append(
            (
                label,
                f"{listed.entities.get(label, 0):,}" if listed else NOT_KNOWN,
                f"{locks.locked:,}" if locks else NOT_KNOWN,
                f"{locks.backlog:,}" if locks else NOT_KNOWN,
            )
        )
    return lines


def span(seconds: float) -> str:
    """Write a span of time the way people do: 5 s, 12 min, 3 h, 2 d."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
