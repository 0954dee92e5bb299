"""What alerts about reading hubs, and about the exporter's being there, are tried on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf

from exporter.collector.snapshot import Sweep
from exporter.metrics import catalogue as c
from exporter.settings.durations import DAY, HOUR
from tests.alerts.cases import MINUTE, Case
from tests.alerts.world import (
    ACTIVE_FIRST,
    ELSEWHERE,
    HUB,
    OWNERS,
    TARGET,
    Series,
    elsewhere,
    only,
    read_hub,
    rises,
    shown,
)

BOTH = ("a", "b")
OF_HUB = {"task_hub": HUB, **TARGET, **OWNERS}
NOBODYS = {"task_hub": HUB, **TARGET}
_DIES = 10 * MINUTE


def _dies(now: float) -> bool:
    return now < _DIES


def _never(_now: float) -> bool:
    return False


def _errors(kind: str, at: float = _DIES) -> list[Series]:
    """Return errors of one kind, one more each minute from *at* on."""
    return [
        shown(
            c.API_ERRORS.name,
            lambda now: max(0.0, (now - at) / MINUTE),
            operation="list",
            kind=kind,
        ),
        shown(c.API_ERRORS.name, 7.0, operation="list", kind="timeout"),
    ]


def _unreachable(now: float) -> float:
    return now - (_DIES - MINUTE - ACTIVE_FIRST)


def _rarely(fails: Callable[[float], bool]) -> list[Series]:
    """Return what is shown of a hub that is swept every quarter of an hour."""
    quarter = 15 * MINUTE

    def completed(now: float) -> float:
        swept = now // quarter * quarter
        while fails(swept):
            swept -= quarter
        return swept

    return [
        *read_hub()[1:2],
        shown(c.UP.name, lambda now: float(not fails(now // quarter * quarter))),
        shown(c.LAST_SWEEP.name, completed, sweep="active"),
        shown(c.SWEEP_CONFIGURED_INTERVAL.name, quarter, sweep="active"),
        shown(c.SWEEP_CONFIGURED_INTERVAL.name, 30.0, sweep="finished"),
    ]


HUB_UNREACHABLE = (
    Case(
        "fires after five minutes, and tells how old the data is",
        read_hub(read=_dies),
        {14 * MINUTE: [], 15 * MINUTE: [{**OF_HUB, "severity": "critical"}]},
        {15 * MINUTE: [_unreachable(15 * MINUTE)]},
    ),
    Case(
        "fires once for two replicas",
        read_hub(read=_dies),
        {15 * MINUTE: [{**OF_HUB, "severity": "critical"}]},
        {15 * MINUTE: [_unreachable(15 * MINUTE)]},
        BOTH,
    ),
    Case(
        "fires for a hub that was never read",
        [one for one in read_hub(read=_never) if one.name != c.LAST_SWEEP.name],
        {5 * MINUTE: [{**OF_HUB, "severity": "critical"}]},
        {5 * MINUTE: [0.0]},
    ),
    Case(
        "fires for nobody's hub",
        read_hub(read=_dies, info=False),
        {15 * MINUTE: [{**NOBODYS, "severity": "critical"}]},
    ),
    Case("is silent while the hub is read", read_hub(), {20 * MINUTE: []}),
    Case(
        "is silent while one sweep fails now and then",
        read_hub(read=lambda now: now % (3 * MINUTE) != 0),
        {30 * MINUTE: []},
    ),
    Case(
        "is silent where only one of two replicas cannot read it",
        [*only("a", read_hub(read=_dies)), *only("b", read_hub())],
        {20 * MINUTE: []},
        {},
        BOTH,
    ),
    Case(
        "tells hubs of two exporters apart that are called the same",
        [*read_hub(), *elsewhere(read_hub(read=_dies))],
        {15 * MINUTE: [{**OF_HUB, **ELSEWHERE, "severity": "critical"}]},
    ),
    Case(
        "is silent for one sweep of those that are a quarter of an hour apart",
        _rarely(lambda swept: swept == 15 * MINUTE),
        {20 * MINUTE: [], 29 * MINUTE: [], 40 * MINUTE: []},
    ),
    Case(
        "fires for the second of them",
        _rarely(lambda swept: swept >= 15 * MINUTE),
        {35 * MINUTE: [], 36 * MINUTE: [{**OF_HUB, "severity": "critical"}]},
        {36 * MINUTE: [36 * MINUTE]},
    ),
    Case("has nothing to say of no hub", [], {20 * MINUTE: []}),
)


def _refused(kind: str, severity: str) -> tuple[Case, ...]:
    dead = read_hub(read=_dies)
    firing = {**OF_HUB, "severity": severity}
    at = 13 * MINUTE
    return (
        Case(
            "fires after more than a rotation's minute",
            [*dead, *_errors(kind)],
            {12 * MINUTE: [], at: [firing]},
        ),
        Case(
            "fires once for two replicas",
            [*dead, *_errors(kind)],
            {at: [firing]},
            {at: [3.0]},
            BOTH,
        ),
        Case(
            "fires for nobody's hub",
            [*read_hub(read=_dies, info=False), *_errors(kind)],
            {at: [{**NOBODYS, "severity": severity}]},
        ),
        Case(
            "goes on while sweeps are a quarter of an hour apart",
            [
                *dead,
                shown(
                    c.API_ERRORS.name,
                    lambda now: (now - _DIES) // (15 * MINUTE) + 1.0 if now >= _DIES else 0.0,
                    operation="list",
                    kind=kind,
                ),
            ],
            {24 * MINUTE: [firing], 39 * MINUTE: [firing]},
        ),
        Case(
            "is silent during a rotation",
            [*read_hub(read=lambda now: not _DIES <= now < 11 * MINUTE), *_errors(kind)],
            {12 * MINUTE: [], 20 * MINUTE: []},
        ),
        Case(
            "is silent where other errors are the cause",
            [*dead, *_errors("connect")],
            {20 * MINUTE: []},
        ),
        Case(
            "is silent where the errors are long gone",
            [
                *read_hub(read=lambda now: now < 40 * MINUTE),
                shown(
                    c.API_ERRORS.name,
                    rises(10 * MINUTE, after=5.0),
                    operation="list",
                    kind=kind,
                ),
            ],
            {50 * MINUTE: []},
        ),
        Case(
            "tells hubs of two exporters apart that are called the same",
            [*dead, *_errors("connect"), *elsewhere([*read_hub(), *_errors(kind)])],
            {20 * MINUTE: []},
        ),
        Case("has nothing to say without data", dead, {20 * MINUTE: []}),
    )


def _hubs(dead: int, alive: int, stopped: int = 0, until: float = inf) -> list[Series]:
    def reads(is_dead: bool) -> Callable[[float], bool]:
        return lambda now: not is_dead or _dies(now) or now >= until

    series = [
        one
        for number in range(dead + alive)
        for one in read_hub(read=reads(number < dead), name=f"hub{number}")
    ]
    errors = [
        Series(
            c.API_ERRORS.name,
            {"task_hub": f"hub{number}", "operation": "list", "kind": kind},
            lambda now: max(0.0, now - _DIES),
        )
        for number in range(dead)
        for kind in ("stopped" if number < stopped else "connect",)
    ]
    return [*series, *errors]


_MANY = {**TARGET, "severity": "critical"}
MANY_HUBS_UNREACHABLE = (
    Case(
        "fires before the single ones",
        _hubs(3, 3),
        {12 * MINUTE: [], 13 * MINUTE: [_MANY]},
        {13 * MINUTE: [3.0]},
    ),
    Case("counts replicas once", _hubs(3, 3), {13 * MINUTE: [_MANY]}, {13 * MINUTE: [3.0]}, BOTH),
    Case("is silent for two hubs", _hubs(2, 0), {30 * MINUTE: []}, {}, BOTH),
    Case("is silent for three of many", _hubs(3, 5), {30 * MINUTE: []}, {}, BOTH),
    Case("is silent for apps that were stopped", _hubs(4, 2, stopped=2), {30 * MINUTE: []}),
    Case(
        "leaves out no hub since one that is called the same was stopped",
        [*_hubs(3, 3), *elsewhere(_hubs(3, 3, stopped=3))],
        {20 * MINUTE: [_MANY]},
    ),
    Case(
        "goes on until the last of them are well again, too",
        _hubs(3, 3, until=30 * MINUTE),
        {34 * MINUTE: [_MANY], 37 * MINUTE: []},
    ),
    Case("counts those of each exporter", [*_hubs(2, 1), *elsewhere(_hubs(2, 1))], {HOUR: []}),
    Case("has nothing to say of no hub", [], {30 * MINUTE: []}),
)


def _stalls(sweep: Sweep, seconds: float, interval: float) -> list[Series]:
    return [
        shown(c.UP.name, 1.0),
        shown(c.LAST_SWEEP.name, -seconds, sweep=sweep.value),
        shown(c.SWEEP_INTERVAL.name, interval, sweep=sweep.value),
        shown(c.LAST_SWEEP.name, lambda now: now, sweep="other"),
        shown(c.SWEEP_INTERVAL.name, 30.0, sweep="other"),
    ]


def _fails_from_the_start(result: str) -> list[Series]:
    """Return a sweep that ends so each minute."""
    return [
        shown(c.SWEEPS.name, lambda now: now / MINUTE + 1.0, sweep="failed", result=result),
        shown(c.SWEEPS.name, 0.0, sweep="failed", result="complete"),
        shown(c.SWEEPS.name, 9.0, sweep="census", result="skipped_budget"),
        shown(c.SWEEP_INTERVAL.name, 60.0, sweep="failed"),
    ]


_STALE = {**NOBODYS, "sweep": "census", "severity": "warning"}
DATA_STALE = (
    Case(
        "fires after five intervals",
        _stalls(Sweep.CENSUS, 5 * HOUR + 1.0, HOUR),
        {4 * MINUTE: [], 5 * MINUTE: [_STALE]},
        {5 * MINUTE: [5 * HOUR + 1.0 + 5 * MINUTE]},
    ),
    Case(
        "fires once for two replicas",
        _stalls(Sweep.CENSUS, 5 * HOUR + 1.0, HOUR),
        {5 * MINUTE: [_STALE]},
        {5 * MINUTE: [5 * HOUR + 1.0 + 5 * MINUTE]},
        BOTH,
    ),
    Case(
        "fires with the labels of the hub",
        [*read_hub()[:2], *_stalls(Sweep.CENSUS, 6 * HOUR, HOUR)],
        {5 * MINUTE: [{**_STALE, **OWNERS}]},
    ),
    Case(
        "fires after a quarter of an hour, where sweeps are frequent",
        _stalls(Sweep.CENSUS, 901.0, 30.0),
        {5 * MINUTE: [_STALE]},
    ),
    Case(
        "is silent for a quarter of an hour",
        _stalls(Sweep.ACTIVE, 400.0, 30.0),
        {6 * MINUTE: []},
    ),
    Case("is silent for three intervals", _stalls(Sweep.CENSUS, 3 * HOUR, HOUR), {6 * MINUTE: []}),
    Case(
        "leaves a hub that cannot be read to its own alert",
        [*read_hub(read=_never), *_stalls(Sweep.CENSUS, 6 * HOUR, HOUR)[1:]],
        {10 * MINUTE: []},
    ),
    Case(
        "fires for a sweep that has failed five times, and never completed since the start",
        [*read_hub()[:2], *_fails_from_the_start("failed")],
        {8 * MINUTE: [], 9 * MINUTE: [{**_STALE, **OWNERS, "sweep": "failed"}]},
        {9 * MINUTE: [0.0]},
    ),
    Case(
        "fires for one that was cut off as often",
        [*read_hub()[:2], *_fails_from_the_start("truncated")],
        {9 * MINUTE: [{**_STALE, **OWNERS, "sweep": "failed"}]},
    ),
    Case(
        "is silent for one that is left out from the start",
        [*read_hub()[:2], *_fails_from_the_start("skipped_budget")],
        {20 * MINUTE: []},
    ),
    Case(
        "is silent for one that fails often, and completed",
        [*read_hub(), *_fails_from_the_start("failed")],
        {20 * MINUTE: []},
    ),
    Case(
        "leaves it so if a hub that is called the same can be read",
        [
            *read_hub(read=_never),
            *_stalls(Sweep.CENSUS, 6 * HOUR, HOUR)[1:],
            *elsewhere(read_hub()),
        ],
        {10 * MINUTE: []},
    ),
    Case("has nothing to say of no hub", [], {20 * MINUTE: []}),
)


def _build(version: str = "1.0", end: float = DAY, **labels: str) -> Series:
    labels = {"version": version, "python_version": "3.12", **labels}
    return Series(c.BUILD_INFO.name, labels, lambda _now: 1.0).between(0.0, end)


_DOWN = {**TARGET, "severity": "critical"}
EXPORTER_DOWN = (
    Case(
        "fires for one that was there, by the name of its job",
        [_build(end=_DIES)],
        {18 * MINUTE: [], 20 * MINUTE: [_DOWN], 3 * HOUR: [_DOWN]},
    ),
    Case("fires once for two replicas", [_build(end=_DIES)], {HOUR: [_DOWN]}, {}, BOTH),
    Case("fires where there never was one", [], {5 * MINUTE: [{"severity": "critical"}]}),
    Case(
        "is silent while one is there, also during an update",
        [_build(end=_DIES), _build("1.1").between(_DIES + MINUTE, DAY)],
        {5 * MINUTE: [], 30 * MINUTE: []},
    ),
    Case(
        "is silent once it is there again, on another node",
        [_build(end=_DIES, node="one"), _build(node="two").between(_DIES + MINUTE, DAY)],
        {30 * MINUTE: []},
    ),
    Case(
        "fires for one of two exporters",
        [_build(end=_DIES), *elsewhere([_build()])],
        {HOUR: [_DOWN]},
    ),
    Case(
        "fires for nothing in particular once it is long gone",
        [_build(end=_DIES)],
        {7 * HOUR: [{"severity": "critical"}]},
    ),
)


def _shards(present: Sequence[int], shards: int, **labels: str) -> list[Series]:
    number = {"shards": str(shards), **labels}
    return [
        Series(c.SHARD_INFO.name, {"shard": str(one), **number}, lambda _now: 1.0)
        for one in present
    ]


def _missing(shards: int) -> dict[str, str]:
    return {**TARGET, "shards": str(shards), "severity": "critical"}


_NUMBERS = range(2, 17)
SHARD_MISSING = (
    Case(
        "fires for the third of three",
        _shards((0, 1), 3),
        {9 * MINUTE: [], 10 * MINUTE: [_missing(3)]},
        {10 * MINUTE: [2.0]},
    ),
    Case(
        "counts replicas once",
        _shards((0, 1), 3),
        {10 * MINUTE: [_missing(3)]},
        {10 * MINUTE: [2.0]},
        BOTH,
    ),
    Case(
        "fires for one of any number",
        [one for shards in _NUMBERS for one in _shards(range(1, shards), shards)],
        {10 * MINUTE: [_missing(shards) for shards in _NUMBERS]},
    ),
    Case(
        "is silent for all of any number",
        [one for shards in (1, *_NUMBERS) for one in _shards(range(shards), shards)],
        {20 * MINUTE: []},
    ),
    Case(
        "is silent where they run on several nodes",
        [*_shards((0, 1), 3, node="one"), *_shards((2,), 3, node="two")],
        {20 * MINUTE: []},
    ),
    Case(
        "counts those of each exporter",
        [*_shards((0, 1), 3), *elsewhere(_shards((2,), 3))],
        {10 * MINUTE: [_missing(3), {**_missing(3), **ELSEWHERE}]},
    ),
    Case("has nothing to say without data", [], {20 * MINUTE: []}),
)

CASES: Mapping[str, tuple[Case, ...]] = {
    "HubUnreachable": HUB_UNREACHABLE,
    "ManyHubsUnreachable": MANY_HUBS_UNREACHABLE,
    "KeyRefused": _refused("auth", "critical"),
    "AppStopped": _refused("stopped", "info"),
    "DataStale": DATA_STALE,
    "ExporterDown": EXPORTER_DOWN,
    "ShardMissing": SHARD_MISSING,
}
