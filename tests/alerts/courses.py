"""Courses of events that every trouble of a hub goes through."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from exporter.settings.durations import DAY, HOUR
from tests.alerts.cases import MINUTE, Case
from tests.alerts.troubles import Trouble
from tests.alerts.world import (
    ELSEWHERE,
    FRESH_SECONDS,
    INTERVALS,
    Series,
    elsewhere,
    exporter,
    only,
    read_hub,
)

KEPT = 5 * MINUTE
MEMORY = 6 * HOUR
STALE_AFTER = 15 * MINUTE
# How far the clock of an exporter may be off.
SKEWS = (-1000.0, -150.0, 150.0, 1000.0)
_INTERVALS_BEFORE_STALE = 5
Course = Callable[[Trouble], Iterator[Case]]


def it_fires(trouble: Trouble) -> Iterator[Case]:
    """After it has lasted long enough, and not before."""
    at = trouble.fires_at
    series = [*read_hub(), *trouble.series]
    firing: dict[float, Sequence[dict[str, str]]] = {at: [trouble.firing()]}
    if at > trouble.since:
        firing[at - trouble.step] = []
    yield Case("fires in time", series, firing, {at: [trouble.value]})
    yield Case("fires once for two replicas", series, firing, {at: [trouble.value]}, ("a", "b"))


def it_fires_for_hubs_of_nobody(trouble: Trouble) -> Iterator[Case]:
    """Without configured labels, or without data of the hub."""
    series = [*read_hub(info=False), *trouble.series]
    yield Case("nobody's hub", series, {trouble.fires_at: [trouble.firing(owned=False)]})


def it_fires_for_more(trouble: Trouble) -> Iterator[Case]:
    """The same trouble in another form."""
    late = trouble.fires_at + 2 * trouble.step
    for title, (series, changes) in trouble.also.items():
        yield Case(title, [*read_hub(), *series], {late: [trouble.firing(changes)]})


def it_is_silent(trouble: Trouble) -> Iterator[Case]:
    """Something else is wrong, or nothing is known."""
    late = trouble.fires_at + 2 * trouble.step
    for title, series in {**trouble.silent, "no data": []}.items():
        yield Case(title, [*read_hub(), *series], {late: []}, {}, ("a", "b"))


def it_tells_namesakes_apart(trouble: Trouble) -> Iterator[Case]:
    """Hubs of test and production may have one name: neither says anything of the other."""
    at = trouble.fires_at
    well = [*read_hub(), *next(iter(trouble.silent.values()))]
    ill = [*read_hub(), *trouble.series]
    there, here = trouble.firing(ELSEWHERE), trouble.firing()
    yield Case("its namesake is well", [*ill, *elsewhere(well)], {at: [here]})
    yield Case("its namesake is ill", [*well, *elsewhere(ill)], {at: [there]})
    yield Case("both are ill", [*ill, *elsewhere(ill)], {at: [here, there]})


def it_believes_no_old_data(trouble: Trouble) -> Iterator[Case]:
    """Data that is stale at the first scrape raises nothing; counters do not move."""
    before = max(trouble.since - trouble.step, 0.0)
    shown = (one.frozen(before) if _is_counter(one) else one for one in trouble.series)
    series = [*read_hub(read=lambda _now: False, stale=True), *shown]
    late = trouble.fires_at + trouble.step
    yield Case("old data", series, {late: []})
    own = [one for one in read_hub() if one.labels.get("sweep") != trouble.alert.sweep]
    alone = [one for one in read_hub(stale=True) if one.labels.get("sweep") == trouble.alert.sweep]
    if not any(map(_is_counter, trouble.series)):
        yield Case("old data of its sweep alone", [*own, *alone, *trouble.series], {late: []})
    well = next(iter(trouble.silent.values()))
    both = [*only("a", series), *only("b", [*read_hub(), *well])]
    yield Case("old data on one of two replicas", both, {late: []}, {}, ("a", "b"))


def it_outlasts_its_hub(trouble: Trouble) -> Iterator[Case]:
    """An alert keeps firing while the hub is dead, and ends once it is read again."""
    sweep = trouble.alert.sweep
    assert sweep is not None
    step = trouble.step
    dies = trouble.fires_at + step
    withdrawn = dies + max(STALE_AFTER, _INTERVALS_BEFORE_STALE * INTERVALS[sweep])
    stale = dies + FRESH_SECONDS[sweep]
    returns = _tick(withdrawn + 40 * MINUTE, step)
    series = [
        *exporter(),
        *read_hub(read=lambda now: not dies <= now < returns),
        *(_dead(one, dies, withdrawn, returns) for one in trouble.series),
    ]
    checked = [_tick(stale + MINUTE, step), _tick(stale + 2 * KEPT, step), returns - step]
    firing: dict[float, Sequence[dict[str, str]]] = {at: [trouble.firing()] for at in checked}
    if step < KEPT:
        firing[returns + KEPT - step] = [trouble.firing()]
    firing[_tick(returns + 2 * KEPT, step) + 5 * step] = []
    yield Case("outlasts its hub", [*series, *elsewhere(read_hub())], firing)


def it_minds_no_clock(trouble: Trouble) -> Iterator[Case]:
    """The clock of the exporter is off: the same alerts fire at the same time."""
    at = trouble.fires_at
    firing: dict[float, Sequence[dict[str, str]]] = {at: [trouble.firing()]}
    if at > trouble.since:
        firing[at - trouble.step] = []
    for skew in SKEWS:
        series = [*read_hub(skew=skew), *trouble.series]
        yield Case(f"the exporter's clock is {skew:+g} s off", series, firing)


def it_ends_where_nobody_reads_any_more(trouble: Trouble) -> Iterator[Case]:
    """A sweep was turned off, or a hub removed: the alert ends within ten minutes."""
    off = trouble.fires_at + trouble.step
    swept = [one for one in read_hub() if one.labels.get("sweep") == trouble.alert.sweep]
    others = [one for one in read_hub() if one.labels.get("sweep") != trouble.alert.sweep]
    gone = [one.between(0.0, off) for one in (*swept, *trouble.series)]
    hub = [one.between(0.0, off) for one in others]
    firing = {off: [trouble.firing()], off + 10 * MINUTE: [], off + HOUR: []}
    yield Case("its sweep is turned off", [*exporter(), *others, *gone], {off + HOUR: []})
    yield Case("the hub is removed", [*exporter(), *hub, *gone], firing)
    shards = [one for shard in range(3) for one in exporter(shard, of=3)]
    yield Case("the hub is removed from three shards", [*shards, *hub, *gone], firing)
    moved = [one.on_job("renamed") for one in (*exporter(), *read_hub())]
    old = [one.between(0.0, off) for one in exporter()]
    new = [one.between(off, 10 * DAY) for one in moved]
    yield Case("the job is renamed", [*old, *hub, *gone, *new], firing)


def it_outlasts_its_exporter(trouble: Trouble) -> Iterator[Case]:
    """Its shard is dead, or all of them: whether it is over is unknown."""
    off = trouble.fires_at + trouble.step
    gone = [one.between(0.0, off) for one in (*read_hub(), *trouble.series)]
    firing = {off + HOUR: [trouble.firing()], off + 5 * HOUR: [trouble.firing()]}
    shards = [one for shard in (0, 2) for one in exporter(shard, of=3)]
    yield Case("one of three shards is dead", [*shards, *gone], firing)
    ended = _tick(off + MEMORY + 4 * KEPT, trouble.step)
    down = [one.between(0.0, off) for one in exporter()]
    yield Case("the exporter is down", [*down, *gone], {**firing, ended: []})


def it_outlasts_a_restart_of_prometheus(trouble: Trouble) -> Iterator[Case]:
    """Prometheus restarts: only what it wrote before tells of an unreadable hub."""
    firing = trouble.firing()
    labels = {"alertname": trouble.alert.full_name, "alertstate": "firing", **firing}
    written = Series("ALERTS", labels, lambda _now: 1.0, bare=True).between(0.0, MINUTE)
    again = trouble.wait + MINUTE
    unread = [*exporter(), *read_hub(read=lambda _now: False, stale=True), written]
    yield Case("Prometheus was restarted", unread, {again: [firing], HOUR: [firing]})
    fresh = [*exporter(), *read_hub(), written]
    yield Case("it was, and the hub is read", fresh, {HOUR: []})


def _dead(series: Series, dies: float, withdrawn: float, returns: float) -> Series:
    """Return the series of a hub that dies: frozen, removed, and back at the end."""
    frozen = series.frozen(dies)
    return frozen if _is_counter(series) else frozen.between(0.0, min(withdrawn, returns))


def _is_counter(series: Series) -> bool:
    return series.name.endswith(("_total", "_count", "_sum"))


def _tick(second: float, step: float) -> float:
    return -(-second // step) * step


def courses_of(trouble: Trouble) -> list[Case]:
    """Return all cases of *trouble*."""
    # What fired is seen for five minutes: not where rules are evaluated once an hour.
    holds = (
        it_outlasts_its_hub,
        it_ends_where_nobody_reads_any_more,
        it_outlasts_its_exporter,
        it_outlasts_a_restart_of_prometheus,
    )
    of_data: tuple[Course, ...] = (
        it_believes_no_old_data,
        it_minds_no_clock,
        *(holds if trouble.step == MINUTE else ()),
    )
    courses: tuple[Course, ...] = (
        it_fires,
        it_fires_for_hubs_of_nobody,
        it_fires_for_more,
        it_is_silent,
        it_tells_namesakes_apart,
        *(of_data if trouble.alert.sweep else ()),
    )
    return [case for course in courses for case in course(trouble)]
