"""Courses of events that every trouble of a hub is tried on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tests.alerts.cases import MINUTE, Case
from tests.alerts.troubles import Trouble
from tests.alerts.world import (
    ELSEWHERE,
    FRESH_SECONDS,
    INTERVALS,
    Series,
    elsewhere,
    only,
    read_hub,
)

KEPT = 5 * MINUTE
HOLD = 120 * MINUTE
STALE_AFTER = 15 * MINUTE
_INTERVALS_BEFORE_STALE = 5
Course = Callable[[Trouble], Iterator[Case]]


def it_fires(trouble: Trouble) -> Iterator[Case]:
    """Once it has lasted for long enough, and not before."""
    at = trouble.fires_at
    series = [*read_hub(), *trouble.series]
    firing: dict[float, Sequence[dict[str, str]]] = {at: [trouble.firing()]}
    if at > trouble.since:
        firing[at - trouble.step] = []
    yield Case("fires in time", series, firing, {at: [trouble.value]})
    yield Case("fires once for two replicas", series, firing, {at: [trouble.value]}, ("a", "b"))


def it_fires_for_hubs_of_nobody(trouble: Trouble) -> Iterator[Case]:
    """Where no labels are configured, or nothing is known of the hub."""
    series = [*read_hub(info=False), *trouble.series]
    yield Case("nobody's hub", series, {trouble.fires_at: [trouble.firing(owned=False)]})


def it_fires_for_more(trouble: Trouble) -> Iterator[Case]:
    """Where the same is the case in another way."""
    late = trouble.fires_at + 2 * trouble.step
    for title, (series, changes) in trouble.also.items():
        yield Case(title, [*read_hub(), *series], {late: [trouble.firing(changes)]})


def it_is_silent(trouble: Trouble) -> Iterator[Case]:
    """Where something else is the case, or nothing is known."""
    late = trouble.fires_at + 2 * trouble.step
    for title, series in {**trouble.silent, "no data": []}.items():
        yield Case(title, [*read_hub(), *series], {late: []}, {}, ("a", "b"))


def it_tells_namesakes_apart(trouble: Trouble) -> Iterator[Case]:
    """Test and production may call their hubs the same: one tells nothing of the other."""
    at = trouble.fires_at
    well = [*read_hub(), *next(iter(trouble.silent.values()))]
    ill = [*read_hub(), *trouble.series]
    there, here = trouble.firing(ELSEWHERE), trouble.firing()
    yield Case("its namesake is well", [*ill, *elsewhere(well)], {at: [here]})
    yield Case("its namesake is ill", [*well, *elsewhere(ill)], {at: [there]})
    yield Case("both are ill", [*ill, *elsewhere(ill)], {at: [here, there]})


def it_believes_no_old_data(trouble: Trouble) -> Iterator[Case]:
    """What was already stale when it was first scraped raises nothing; counters stand still."""
    before = max(trouble.since - trouble.step, 0.0)
    shown = (one.frozen(before) if _is_counter(one) else one for one in trouble.series)
    series = [*read_hub(read=lambda _now: False, stale=True), *shown]
    late = trouble.fires_at + trouble.step
    yield Case("old data", series, {late: []})
    well = next(iter(trouble.silent.values()))
    both = [*only("a", series), *only("b", [*read_hub(), *well])]
    yield Case("old data on one of two replicas", both, {late: []}, {}, ("a", "b"))


def it_outlasts_its_hub(trouble: Trouble) -> Iterator[Case]:
    """While the hub is dead nobody says that all is well; it ends once the hub is read again."""
    sweep = trouble.alert.sweep
    assert sweep is not None
    step = trouble.step
    dies = trouble.fires_at + step
    withdrawn = dies + max(STALE_AFTER, _INTERVALS_BEFORE_STALE * INTERVALS[sweep])
    stale = dies + FRESH_SECONDS[sweep]
    returns = _tick(withdrawn + 40 * MINUTE, step)
    series = [
        *read_hub(read=lambda now: not dies <= now < returns),
        *(_dead(one, dies, withdrawn, returns) for one in trouble.series),
    ]
    checked = [_tick(stale + MINUTE, step), _tick(stale + 2 * KEPT, step), returns - step]
    firing: dict[float, Sequence[dict[str, str]]] = {at: [trouble.firing()] for at in checked}
    if step < KEPT:
        firing[returns + KEPT - step] = [trouble.firing()]
    firing[_tick(returns + 2 * KEPT, step) + 5 * step] = []
    yield Case("outlasts its hub", [*series, *elsewhere(read_hub())], firing)


def it_ends_where_nothing_is_read_any_more(trouble: Trouble) -> Iterator[Case]:
    """A sweep that was turned off, or a hub that was removed: it holds no longer than `hold`."""
    sweep = trouble.alert.sweep
    off = trouble.fires_at + trouble.step
    end = _tick(off + HOLD + 3 * KEPT, trouble.step) + 2 * trouble.step
    swept = [one for one in read_hub() if one.labels.get("sweep") == sweep]
    others = [one for one in read_hub() if one.labels.get("sweep") != sweep]
    gone = [one.between(0.0, off) for one in (*swept, *trouble.series)]
    held = off + max(HOLD / 2, trouble.step)
    firing = {held: [trouble.firing()], end: []}
    yield Case("its sweep is turned off", [*others, *gone], firing)
    yield Case("the hub is removed", [one.between(0.0, off) for one in others] + gone, firing)


def _dead(series: Series, dies: float, withdrawn: float, returns: float) -> Series:
    """Return what is shown of a hub that dies: frozen, withdrawn, and well again in the end."""
    frozen = series.frozen(dies)
    return frozen if _is_counter(series) else frozen.between(0.0, min(withdrawn, returns))


def _is_counter(series: Series) -> bool:
    return series.name.endswith(("_total", "_count", "_sum"))


def _tick(second: float, step: float) -> float:
    return -(-second // step) * step


def courses_of(trouble: Trouble) -> list[Case]:
    """Return all cases of *trouble*."""
    # What fired is seen for five minutes: not where rules are evaluated once an hour.
    holds = (it_outlasts_its_hub, it_ends_where_nothing_is_read_any_more)
    of_data: tuple[Course, ...] = (
        it_believes_no_old_data,
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
