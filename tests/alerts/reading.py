"""Cases of alerts about reading hubs, and about the exporter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import inf

from exporter.collector.snapshot import Sweep
from exporter.metrics import catalogue as c
from exporter.metrics.azure_families import DISCOVERY_ERRORS, DISCOVERY_LAST_SUCCESS
from exporter.settings.durations import DAY, HOUR
from tests.alerts.cases import MINUTE, Case, Labels
from tests.alerts.troubles import limit_of
from tests.alerts.world import (
    ACTIVE_FIRST,
    ELSEWHERE,
    HUB,
    OWNERS,
    TARGET,
    Series,
    elsewhere,
    exporter,
    only,
    read_hub,
    shown,
)

BOTH = ("a", "b")
OF_HUB = {"task_hub": HUB, **TARGET, **OWNERS}
NOBODYS = {"task_hub": HUB, **TARGET}
CRITICAL = {**OF_HUB, "severity": "critical"}
WARNING = {**OF_HUB, "severity": "warning"}
_DIES = 10 * MINUTE
# It is fresh until 150 s after its last sweep, in the minute before it dies.
_UNREAD = _DIES + 2 * MINUTE
_FIRES = _UNREAD + 3 * MINUTE


def _dies(now: float) -> bool:
    return now < _DIES


def _never(_now: float) -> bool:
    return False


def _now_and_then(turn: int, kind: str) -> Series:
    """Return a cause that changes every other minute while a hub is down."""
    return shown(
        c.HUB_ERROR.name,
        lambda now: 1.0 if now >= _DIES and now // MINUTE % 2 == turn else None,
        kind=kind,
    )


def _unreachable(now: float, skew: float = 0.0) -> float:
    return now - (_DIES - MINUTE - ACTIVE_FIRST) - skew


def _rarely(fails: Callable[[float], bool]) -> list[Series]:
    """Return the series of a hub that is swept every quarter of an hour."""
    quarter = 15 * MINUTE

    def completed(now: float) -> float:
        swept = now // quarter * quarter
        while fails(swept):
            swept -= quarter
        return swept

    return [
        *read_hub()[1:2],
        shown(c.UP.name, lambda now: float(not fails(now // quarter * quarter))),
        shown(
            c.HUB_ERROR.name,
            lambda now: 1.0 if fails(now // quarter * quarter) else None,
            kind="timeout",
        ),
        shown(c.LAST_SWEEP.name, completed, sweep="active"),
        shown(
            c.SWEEP_FRESH.name,
            lambda now: float(now - completed(now) <= 3 * quarter + MINUTE),
            sweep="active",
        ),
    ]


HUB_UNREACHABLE = (
    Case(
        "fires before the data is removed, and says how old it is",
        read_hub(read=_dies),
        {_FIRES - MINUTE: [], _FIRES: [CRITICAL]},
        {_FIRES: [_unreachable(_FIRES)]},
    ),
    Case(
        "fires once for two replicas",
        read_hub(read=_dies),
        {_FIRES: [CRITICAL]},
        {_FIRES: [_unreachable(_FIRES)]},
        BOTH,
    ),
    *(
        Case(
            f"minds no clock that is {skew:+g} s off",
            read_hub(read=_dies, skew=skew),
            {_FIRES - MINUTE: [], _FIRES: [CRITICAL]},
            {_FIRES: [_unreachable(_FIRES, skew)]},
        )
        for skew in (-1000.0, -150.0, 150.0, 1000.0)
    ),
    Case(
        "fires for a hub that was never read",
        [one for one in read_hub(read=_never, stale=True) if one.name != c.LAST_SWEEP.name],
        {2 * MINUTE: [], 3 * MINUTE: [CRITICAL]},
        {3 * MINUTE: [0.0]},
    ),
    Case(
        "is silent while the first sweep is under way",
        [
            one
            for one in read_hub(read=_never, stale=True)
            if one.name not in (c.LAST_SWEEP.name, c.HUB_ERROR.name)
        ],
        {20 * MINUTE: []},
    ),
    Case(
        "fires for nobody's hub",
        read_hub(read=_dies, info=False),
        {_FIRES: [{**NOBODYS, "severity": "critical"}]},
    ),
    *(
        Case(
            f"fires whatever the cause: {kind}",
            [*read_hub(read=_dies, error=kind), limit_of("stopped", 4 * HOUR, own=False)],
            {_FIRES: [CRITICAL]},
            {_FIRES: [_unreachable(_FIRES)]},
        )
        for kind in ("auth", "restricted", "timeout", "connect", "not_found")
    ),
    Case(
        "goes on where the cause changes",
        [
            *(one for one in read_hub(read=_dies) if one.name != c.HUB_ERROR.name),
            *(_now_and_then(turn, kind) for turn, kind in enumerate(("connect", "timeout"))),
        ],
        {_FIRES: [CRITICAL], 50 * MINUTE: [CRITICAL]},
    ),
    Case(
        "warns of a stopped app, and pages after four hours",
        [
            *read_hub(read=_dies, error="stopped"),
            limit_of("stopped", 4 * HOUR, own=False),
            limit_of("retention", DAY, own=False),
            limit_of("stopped", DAY),
        ],
        {
            _FIRES - MINUTE: [],
            _FIRES: [WARNING],
            _DIES + 4 * HOUR - 2 * MINUTE: [WARNING],
            # It is never silent in between.
            _DIES + 4 * HOUR + 2 * MINUTE: [CRITICAL, WARNING],
            _DIES + 4 * HOUR + 12 * MINUTE: [CRITICAL],
            9 * HOUR: [CRITICAL],
        },
    ),
    Case(
        "still knows when it was stopped after a restart of the exporter",
        [
            *(
                one.between(0.0, HOUR) if one.name == c.LAST_SWEEP.name else one
                for one in read_hub(read=_dies, error="stopped")
            ),
            limit_of("stopped", 4 * HOUR, own=False),
        ],
        {3 * HOUR: [WARNING], 5 * HOUR: [CRITICAL]},
    ),
    Case(
        "pages for a stopped app that was never read",
        [
            *(
                one
                for one in read_hub(read=_never, stale=True, error="stopped")
                if one.name != c.LAST_SWEEP.name
            ),
            limit_of("stopped", 4 * HOUR, own=False),
        ],
        {3 * MINUTE: [CRITICAL]},
    ),
    Case(
        "says nothing of a stopped app that may stop",
        [*read_hub(read=_dies, error="stopped"), limit_of("pending", own=False)],
        {_FIRES: [], HOUR: [], 9 * HOUR: []},
    ),
    Case(
        "fires for an app that may stop and is not stopped",
        [*read_hub(read=_dies, error="auth"), limit_of("pending", own=False)],
        {_FIRES: [CRITICAL]},
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
        "distinguishes hubs of two exporters that have one name",
        [*read_hub(), *elsewhere(read_hub(read=_dies))],
        {_FIRES: [{**CRITICAL, **ELSEWHERE}]},
    ),
    Case(
        "is silent for two sweeps of those that are a quarter of an hour apart",
        _rarely(lambda swept: 15 * MINUTE <= swept < 45 * MINUTE),
        {40 * MINUTE: [], HOUR: []},
    ),
    Case(
        "fires for the third of them",
        _rarely(lambda swept: swept >= 15 * MINUTE),
        {49 * MINUTE: [], 50 * MINUTE: [CRITICAL]},
        {50 * MINUTE: [50 * MINUTE]},
    ),
    Case(
        "ends some minutes after the hub is read again",
        read_hub(read=lambda now: not _DIES <= now < HOUR),
        {HOUR + 6 * MINUTE: [CRITICAL], HOUR + 8 * MINUTE: []},
    ),
    Case(
        "ends where the hub is removed",
        [*exporter(), *(one.between(0.0, HOUR) for one in read_hub(read=_dies))],
        {HOUR: [CRITICAL], HOUR + 10 * MINUTE: []},
    ),
    Case("has nothing to say of no hub", [], {20 * MINUTE: []}),
)


def _hubs(
    dead: int, alive: int, stopped: int = 0, until: float = inf, *, may_stop: bool = False
) -> list[Series]:
    def reads(is_dead: bool) -> Callable[[float], bool]:
        return lambda now: not is_dead or _dies(now) or now >= until

    series = [
        one
        for number in range(dead + alive)
        for one in read_hub(
            read=reads(number < dead),
            name=f"hub{number}",
            error="stopped" if number < stopped else "connect",
        )
    ]
    limits = [
        Series(
            c.LIMIT.name,
            {"task_hub": f"hub{number}", "orchestrator": "", "limit": "stopped"},
            lambda _now: 4 * HOUR,
        )
        for number in range(dead)
    ]
    return [*series, *(() if may_stop else limits)]


_MANY = {**TARGET, "severity": "critical"}
_MANY_FIRES = _UNREAD + MINUTE
MANY_HUBS_UNREACHABLE = (
    Case(
        "fires before the single ones",
        _hubs(3, 3),
        {_MANY_FIRES - MINUTE: [], _MANY_FIRES: [_MANY]},
        {_MANY_FIRES: [3.0]},
    ),
    Case("counts replicas once", _hubs(3, 3), {_MANY_FIRES: [_MANY]}, {_MANY_FIRES: [3.0]}, BOTH),
    Case("is silent for two hubs", _hubs(2, 0), {30 * MINUTE: []}, {}, BOTH),
    Case("is silent for three of many", _hubs(3, 5), {30 * MINUTE: []}, {}, BOTH),
    Case(
        "counts apps that were stopped: all five, for nine hours",
        _hubs(5, 0, stopped=5),
        {_MANY_FIRES: [_MANY], 9 * HOUR: [_MANY]},
        {9 * HOUR: [5.0]},
    ),
    Case(
        "leaves out apps that may stop",
        _hubs(4, 2, stopped=4, may_stop=True),
        {30 * MINUTE: []},
    ),
    Case(
        "goes on until the last of them are well again, too",
        _hubs(3, 3, until=30 * MINUTE),
        {39 * MINUTE: [_MANY], 41 * MINUTE: []},
    ),
    Case("counts those of each exporter", [*_hubs(2, 1), *elsewhere(_hubs(2, 1))], {HOUR: []}),
    Case("has nothing to say of no hub", [], {30 * MINUTE: []}),
)


def _stalls(sweep: Sweep, seconds: float) -> list[Series]:
    """Return a sweep that is not fresh since this time, and one that is."""
    return [
        shown(c.UP.name, 1.0),
        shown(c.LAST_SWEEP.name, -seconds, sweep=sweep.value),
        shown(c.SWEEP_FRESH.name, 0.0, sweep=sweep.value),
        shown(c.LAST_SWEEP.name, -2 * seconds, sweep="entities"),
        shown(c.SWEEP_FRESH.name, 1.0, sweep="entities"),
        shown(c.SWEEP_FRESH.name, 1.0, sweep="active"),
    ]


def _fails_from_the_start(result: str) -> list[Series]:
    """Return a sweep with this result each minute."""
    return [
        shown(c.SWEEPS.name, lambda now: now / MINUTE + 1.0, sweep="failed", result=result),
        shown(c.SWEEPS.name, 0.0, sweep="failed", result="complete"),
        shown(c.SWEEPS.name, 9.0, sweep="failed", result="canceled"),
        shown(c.SWEEP_FRESH.name, 0.0, sweep="failed"),
    ]


def _first_of_all() -> list[Series]:
    """Return a hub with one sweep that never completed."""
    return [one for one in read_hub() if one.labels.get("sweep") != "failed"]


def _intervals(effective: float | Callable[[float], float], configured: float) -> list[Series]:
    return [
        shown(c.SWEEP_INTERVAL.name, effective, sweep="other"),
        shown(c.SWEEP_CONFIGURED_INTERVAL.name, configured, sweep="other"),
    ]


_STALE = {**NOBODYS, "severity": "warning"}
DATA_STALE = (
    Case(
        "fires before the data is removed",
        _stalls(Sweep.CENSUS, 3 * HOUR + MINUTE),
        {9 * MINUTE: [], 10 * MINUTE: [_STALE]},
        {10 * MINUTE: [3 * HOUR + 11 * MINUTE]},
    ),
    Case(
        "fires once for two replicas",
        _stalls(Sweep.CENSUS, 4 * HOUR),
        {10 * MINUTE: [_STALE]},
        {10 * MINUTE: [4 * HOUR + 10 * MINUTE]},
        BOTH,
    ),
    Case(
        "fires with the labels of the hub",
        [*read_hub()[:2], *_stalls(Sweep.CENSUS, 6 * HOUR)],
        {10 * MINUTE: [{**_STALE, **OWNERS}]},
    ),
    Case(
        "fires while single sweeps of the active instances fail",
        [
            *(
                one
                for one in read_hub(read=lambda now: now % (2 * MINUTE) != 0)
                if one.labels.get("sweep") != "census"
            ),
            *_stalls(Sweep.CENSUS, 6 * HOUR)[1:3],
        ],
        {10 * MINUTE: [WARNING], 15 * MINUTE: [WARNING]},
    ),
    *(
        Case(
            f"minds no clock that is {skew:+g} s off",
            [
                *read_hub(skew=skew),
                *_intervals(30.0, 30.0),
            ],
            {HOUR: []},
        )
        for skew in (-1000.0, 1000.0)
    ),
    Case(
        "leaves a hub that cannot be read to its own alert",
        [*read_hub(read=_never, stale=True)],
        {20 * MINUTE: []},
    ),
    Case(
        "says nothing of a stopped app that may stop",
        [*read_hub(read=_dies, error="stopped"), limit_of("pending", own=False)],
        {HOUR: [], 6 * HOUR: []},
    ),
    Case(
        "fires where only one of two replicas is told that the app is stopped",
        [
            *only("a", read_hub(read=_dies, error="stopped")),
            *only("b", [*read_hub(), shown(c.PAGE_BUDGET_REMAINING.name, 0.0)]),
        ],
        {10 * MINUTE: [WARNING], HOUR: [WARNING]},
        replicas=BOTH,
    ),
    Case(
        "fires where one of two replicas cannot reach a hub and the other reads it late",
        [
            *only("a", read_hub(read=_never, stale=True)),
            *only(
                "b",
                [
                    *read_hub()[1:2],
                    shown(c.UP.name, 1.0),
                    shown(c.LAST_SWEEP.name, -10 * MINUTE, sweep="active"),
                    shown(c.SWEEP_FRESH.name, 0.0, sweep="active"),
                ],
            ),
        ],
        {20 * MINUTE: [WARNING]},
        replicas=BOTH,
    ),
    Case(
        "fires for a sweep that has failed five times, and never completed since the start",
        [*_first_of_all(), *_fails_from_the_start("failed")],
        {13 * MINUTE: [], 14 * MINUTE: [WARNING]},
        {14 * MINUTE: [0.0]},
    ),
    Case(
        "fires for one that was cut off as often",
        [*_first_of_all(), *_fails_from_the_start("truncated")],
        {14 * MINUTE: [WARNING]},
    ),
    Case(
        "is silent for one that is left out from the start",
        [*_first_of_all(), *_fails_from_the_start("skipped_budget")[1:]],
        {20 * MINUTE: []},
    ),
    Case(
        "is silent for the first census, however long it takes",
        [
            *(one for one in read_hub() if one.labels.get("sweep") != "census"),
            shown(c.SWEEP_FRESH.name, 0.0, sweep="census"),
        ],
        {5 * HOUR: []},
    ),
    Case(
        "fires for a sweep that is stretched",
        [*read_hub(), *_intervals(lambda now: 75.0 if now >= 10 * MINUTE else 30.0, 30.0)],
        {49 * MINUTE: [], 51 * MINUTE: [WARNING]},
        {51 * MINUTE: [75.0]},
    ),
    Case("is silent for one a little slow", [*read_hub(), *_intervals(45.0, 30.0)], {HOUR: []}),
    Case("is silent for a rare one", [*read_hub(), *_intervals(75.0, 75.0)], {HOUR: []}),
    Case(
        "is silent for twenty busy minutes",
        [
            *read_hub(),
            *_intervals(lambda now: 75.0 if 40 <= now / MINUTE < 61 else 30.0, 30.0),
        ],
        {50 * MINUTE: [], 60 * MINUTE: []},
    ),
    Case(
        "says nothing of the pace of a hub that hangs",
        [
            *read_hub(read=_dies, error="timeout"),
            *_intervals(lambda now: 30.0 if _dies(now) else 240.0, 30.0),
        ],
        {HOUR: []},
    ),
    Case(
        "fires for a budget that is spent",
        [*read_hub(), shown(c.PAGE_BUDGET_REMAINING.name, 0.0)],
        {9 * MINUTE: [], 10 * MINUTE: [WARNING]},
        {10 * MINUTE: [0.0]},
    ),
    Case(
        "names the budget first",
        [*_stalls(Sweep.CENSUS, 6 * HOUR), shown(c.PAGE_BUDGET_REMAINING.name, 0.0)],
        {10 * MINUTE: [_STALE]},
        {10 * MINUTE: [0.0]},
    ),
    Case(
        "fires for sweeps that are left out",
        [
            *read_hub(),
            shown(c.PAGE_BUDGET_REMAINING.name, 10.0),
            shown(c.SWEEPS.name, lambda now: now, sweep="census", result="skipped_budget"),
        ],
        {11 * MINUTE: [WARNING]},
    ),
    Case(
        "is silent while pages remain and sweeps fail now and then, but complete",
        [
            *read_hub(),
            shown(c.PAGE_BUDGET_REMAINING.name, 10.0),
            shown(c.SWEEPS.name, lambda now: now, sweep="census", result="failed"),
        ],
        {HOUR: []},
    ),
    Case(
        "fires where a hub with the same name cannot be read",
        [
            *read_hub()[:2],
            *_stalls(Sweep.CENSUS, 6 * HOUR)[1:],
            *elsewhere(read_hub(read=_never, stale=True)),
        ],
        {10 * MINUTE: [WARNING]},
    ),
    Case(
        "leaves it so if a hub with the same name can be read",
        [
            *read_hub(read=_never, stale=True),
            *elsewhere(read_hub()),
        ],
        {20 * MINUTE: []},
    ),
    Case("has nothing to say of no hub", [], {20 * MINUTE: []}),
)

_MISCONFIGURED = {**OF_HUB, "severity": "warning"}
_OF_TARGET = {**TARGET, "severity": "warning"}


def _wrong(title: str, series: Series, value: float, found: Labels) -> tuple[Case, ...]:
    firing = {9 * MINUTE: [], 10 * MINUTE: [found]}
    values = {10 * MINUTE: [value]}
    return (
        Case(title, [*read_hub(), series], firing, values),
        Case(f"{title}, once for two replicas", [*read_hub(), series], firing, values, BOTH),
    )


_FOLDED = shown(c.LABEL_VALUES_FOLDED.name, 3.0, label="orchestrator")


def _searches() -> Series:
    """Return a search for apps that fails each minute for one reason."""
    return Series(DISCOVERY_ERRORS.name, {"kind": "azure_auth"}, lambda now: now // MINUTE)


def _found(until: float = 10 * HOUR) -> Series:
    """Return the last search that succeeded, one every ten minutes."""
    ten = 10 * MINUTE
    return Series(DISCOVERY_LAST_SUCCESS.name, {}, lambda now: min(now, until) // ten * ten - HOUR)


EXPORTER_MISCONFIGURED = (
    *_wrong("fires for names that share a label", _FOLDED, 3.0, _MISCONFIGURED),
    *_wrong(
        "fires for instances outside the prefixes",
        shown(c.OUTSIDE_PREFIXES.name, 4.0),
        4.0,
        _MISCONFIGURED,
    ),
    *_wrong(
        "fires for a clock that is behind",
        shown(c.CLOCK_SKEW.name, 150.0),
        150.0,
        _MISCONFIGURED,
    ),
    *_wrong(
        "fires for a clock that is ahead",
        shown(c.CLOCK_SKEW.name, -150.0),
        150.0,
        _MISCONFIGURED,
    ),
    *_wrong(
        "fires for a file that cannot be used",
        Series(c.RELOAD_SUCCESSFUL.name, {}, lambda _now: 0.0),
        0.0,
        _OF_TARGET,
    ),
    *(
        Case(title, [_searches()], {10 * MINUTE: [], 11 * MINUTE: [_OF_TARGET]}, {}, replicas)
        for title, replicas in (
            ("fires for searches for apps of which all fail", ("a",)),
            ("fires for searches of two replicas once", BOTH),
        )
    ),
    Case(
        "fires once for an exporter with two causes",
        [_searches(), Series(c.RELOAD_SUCCESSFUL.name, {}, lambda _now: 0.0)],
        {11 * MINUTE: [_OF_TARGET]},
        {11 * MINUTE: [0.0]},
    ),
    Case(
        "fires while the last search that succeeded is an hour ago, and not before",
        [_searches(), _found(until=30 * MINUTE)],
        {89 * MINUTE: [], 101 * MINUTE: [_OF_TARGET]},
    ),
    Case(
        "is silent while some searches fail",
        [_searches(), _found()],
        {HOUR: [], 3 * HOUR: []},
    ),
    Case(
        "fires once for a hub with several causes",
        [*read_hub(), _FOLDED, shown(c.CLOCK_SKEW.name, 150.0)],
        {10 * MINUTE: [_MISCONFIGURED]},
        {10 * MINUTE: [150.0]},
    ),
    Case(
        "fires where one of two replicas cannot use the file",
        [
            *only("a", [Series(c.RELOAD_SUCCESSFUL.name, {}, lambda _now: 0.0)]),
            *only("b", [Series(c.RELOAD_SUCCESSFUL.name, {}, lambda _now: 1.0)]),
        ],
        {10 * MINUTE: [{**TARGET, "severity": "warning"}]},
        {},
        BOTH,
    ),
    Case(
        "fires for nobody's hub",
        [*read_hub(info=False), _FOLDED],
        {10 * MINUTE: [{**NOBODYS, "severity": "warning"}]},
    ),
    Case(
        "distinguishes hubs of two exporters that have one name",
        [*read_hub(), *elsewhere([*read_hub(), _FOLDED])],
        {10 * MINUTE: [{**_MISCONFIGURED, **ELSEWHERE}]},
    ),
    Case(
        "is silent where all is right",
        [
            *read_hub(),
            shown(c.LABEL_VALUES_FOLDED.name, 0.0, label="orchestrator"),
            shown(c.OUTSIDE_PREFIXES.name, 0.0),
            shown(c.CLOCK_SKEW.name, -20.0),
            Series(c.RELOAD_SUCCESSFUL.name, {}, lambda _now: 1.0),
        ],
        {HOUR: []},
    ),
    Case("has nothing to say of nobody", [], {HOUR: []}),
)


def _gone(end: float = _DIES, job: str = "exporter") -> list[Series]:
    """Return an exporter of one hub that is scraped until *end*."""
    whole = [*exporter(), *read_hub()]
    return [one.on_job(job).between(0.0, end) for one in whole]


def _node(series: Sequence[Series], node: str) -> list[Series]:
    return [Series(one.name, {**one.labels, "node": node}, one.at) for one in series]


def _restarted(series: Series) -> Series:
    return replace(series, at=lambda now: None if now == _DIES else series.at(now))


_DOWN = {**TARGET, "severity": "critical"}
EXPORTER_DOWN = (
    Case(
        "fires for one that was there, by the name of its job",
        _gone(),
        {14 * MINUTE: [], 15 * MINUTE: [_DOWN], 3 * HOUR: [_DOWN]},
    ),
    Case("fires once for two replicas", _gone(), {HOUR: [_DOWN]}, {}, BOTH),
    Case("fires where there never was one", [], {5 * MINUTE: [{"severity": "critical"}]}),
    Case(
        "is silent while one is there, also during an update",
        [_restarted(one) for one in (*exporter(), *read_hub())],
        {5 * MINUTE: [], 30 * MINUTE: []},
    ),
    Case(
        "is silent once it is there again, on another node",
        [
            *_node(_gone(), "one"),
            *_node([one.between(_DIES + MINUTE, DAY) for one in (*exporter(), *read_hub())], "two"),
        ],
        {30 * MINUTE: []},
    ),
    Case(
        "fires for one of two exporters of other hubs",
        [*_gone(), *elsewhere([*exporter(), *read_hub(name="billing")])],
        {HOUR: [_DOWN]},
    ),
    Case(
        "is silent where its job is renamed",
        [
            *_gone(),
            *(one.on_job("renamed").between(_DIES, 2 * DAY) for one in (*exporter(), *read_hub())),
        ],
        {20 * MINUTE: [], HOUR: [], 5 * HOUR: []},
    ),
    Case(
        "is silent where the last hub is removed",
        [*exporter(), *(one.between(0.0, _DIES) for one in read_hub())],
        {HOUR: []},
    ),
    Case(
        "fires for nothing in particular once it is long gone",
        _gone(),
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
    "DataStale": DATA_STALE,
    "ExporterDown": EXPORTER_DOWN,
    "ShardMissing": SHARD_MISSING,
    "ExporterMisconfigured": EXPORTER_MISCONFIGURED,
}
