"""Suggested settings that fit one pass over a hub, and why; pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from exporter.collector.snapshot import DUTY_SHARE, Sweep
from exporter.diagnosis.blame import Blame
from exporter.diagnosis.waits import WaitingOn
from exporter.forecast.forecast import Pass, Suggestion
from exporter.forecast.observation import Durations
from exporter.settings.durations import format_duration
from exporter.settings.groups import Limits
from exporter.web.formatting import span

_NONE = "none"
_ENOUGH_TO_JUDGE = 20
# A longer limit would alert too late.
_LONGEST_LIMIT = 2_592_000.0
# A usual duration is exceeded less than once in this many days.
_DAYS_WITHOUT = 10.0
_LARGEST_SHARE = 0.01
_MARGIN = 1.5
_ROUND = (
    60.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 14_400.0, 28_800.0, 43_200.0, 86_400.0,
    172_800.0, 259_200.0, 604_800.0, 1_209_600.0, _LONGEST_LIMIT,
)  # fmt: skip
_DAY = 86_400.0
_MOST_ORCHESTRATORS = 10


@dataclass(frozen=True, slots=True)
class Evidence:
    """
    What is known of one orchestrator.

    `usual` is a duration that hardly any instance exceeds, 0 if too few have completed. `waits` are
    the longest past waits by kind, None without histories. Of instances that are over a limit now,
    `waiting` are the longest waits as expected; `is_stalled` if others are stalled.
    """

    usual: float = 0.0
    waits: Mapping[WaitingOn, float] | None = None
    waiting: Mapping[WaitingOn, float] = field(default_factory=dict)
    is_stalled: bool = False

    def longest(self, waiting_on: WaitingOn) -> float:
        """Return the longest wait of a kind that was certainly as expected."""
        now = 0.0 if self.is_stalled else self.waiting.get(waiting_on, 0.0)
        return max((self.waits or {}).get(waiting_on, 0.0), now)

    @property
    def longest_work(self) -> float:
        """The longest time without progress for other reasons."""
        if self.waits is None:
            return self.usual
        expected = (WaitingOn.EXTERNAL_EVENT, WaitingOn.TIMER, WaitingOn.NOT_STARTED)
        others = (seconds for kind, seconds in self.waits.items() if kind not in expected)
        return max(others, default=0.0)


def usual(made: Pass, name: str) -> float:
    """Return a duration that no instance of an orchestrator exceeds on most days, 0 if unknown."""
    durations = made.observed.completed
    if durations.count(name) < _ENOUGH_TO_JUDGE:
        return 0.0
    per_day = made.observed.lately.count(name)
    return durations.quantile(name, 1 - min(_LARGEST_SHARE, 1 / _DAYS_WITHOUT / max(1, per_day)))


def worth_reading(limits: Limits, durations: Durations) -> Iterator[str]:
    """Yield ids of slow completed instances whose histories tell whether a limit fits."""
    slow = [name for name in durations.names() if _is_over(limits, name, durations.longest(name))]
    slow.sort(key=durations.count, reverse=True)
    for name in slow[:_MOST_ORCHESTRATORS]:
        yield from (instance_id for _, instance_id in durations.longest(name))


def _is_over(limits: Limits, name: str, longest: Sequence[tuple[float, str]]) -> bool:
    in_force = limits.for_orchestrator(name)
    least = [in_force[limit] for limit in ("pending", "idle", "age")]
    seconds = max((seconds for seconds, _ in longest), default=0.0)
    return any(each is not None and seconds > each for each in least)


def suggestions(
    limits: Limits, made: Pass, waits: Mapping[str, Mapping[WaitingOn, float]]
) -> Iterator[Suggestion]:
    """Yield settings that fit, in place of those in force that do not."""
    yield from _intervals(made)
    waiting = _waiting(made)
    diagnosis = made.snapshot.diagnosis
    stalled = {name for name, _, _ in diagnosis.stalled} if diagnosis else set()
    for name in sorted({*made.observed.completed.names(), *waiting}):
        evidence = Evidence(
            usual(made, name), waits.get(name), waiting.get(name, {}), name in stalled
        )
        for limit, value, reason in fitting(limits.for_orchestrator(name), evidence):
            yield Suggestion(f"limits.orchestrators.{name}.{limit}", value, reason)


def _intervals(made: Pass) -> Iterator[Suggestion]:
    for sweep, cost in made.costs.items():
        configured = made.snapshot.sweeps[sweep].configured
        least = cost.seconds / DUTY_SHARE
        if configured is not None and sweep is not Sweep.FINISHED and least > configured:
            reason = f"the sweep takes {cost.seconds:.0f} s, more than half of that"
            yield Suggestion(f"intervals.{sweep.value}", format_duration(_rounded(least)), reason)


def _waiting(made: Pass) -> Mapping[str, Mapping[WaitingOn, float]]:
    """Return the longest waits as expected of instances over a limit, timers to their end."""
    diagnosis = made.snapshot.diagnosis
    found: defaultdict[str, dict[WaitingOn, float]] = defaultdict(dict)
    if diagnosis is None or made.snapshot.active is None:
        return found
    at = made.at
    for name, kind, _ in diagnosis.waiting:
        found[name].setdefault(WaitingOn(kind), 0.0)
    for sample in made.snapshot.active.over_limit_samples:
        blame = diagnosis.blames.get(sample.instance_id)
        if blame is not None and blame.leaf is not None:
            seconds = _length(blame, at)
            known = found[sample.orchestrator]
            kind = blame.leaf.waiting_on
            known[kind] = max(seconds, known.get(kind, 0.0))
    return found


def _length(blame: Blame, at: float) -> float:
    """Return the length of a wait so far, of a timer to its end."""
    leaf = blame.leaf
    if leaf is None or leaf.since is None:
        return 0.0
    return max(at, leaf.fire_at or at) - leaf.since


def fitting(
    limits: Mapping[str, float | None], evidence: Evidence
) -> Iterator[tuple[str, str, str]]:
    """Yield fitting limits of an orchestrator with reasons, in place of those that do not fit."""
    scheduled = evidence.longest(WaitingOn.NOT_STARTED) if evidence.waits else 0.0
    pending, idle, age = (limits[limit] for limit in ("pending", "idle", "age"))
    if pending is not None and scheduled > pending:
        yield "pending", _NONE, f"starts as scheduled, up to {span(scheduled)} after creation"
    if idle is not None:
        yield from _fitting_idle(idle, evidence)
    if age is not None:
        yield from _fitting_age(age, evidence)


def _fitting_idle(limit: float, evidence: Evidence) -> Iterator[tuple[str, str, str]]:
    event = evidence.longest(WaitingOn.EXTERNAL_EVENT)
    timer = evidence.longest(WaitingOn.TIMER)
    if event > limit:
        yield "idle", _NONE, f"waits as expected for an event, up to {span(event)} so far"
    elif timer > limit:
        yield "idle", _limit(timer), f"waits as expected for timers of up to {span(timer)}"
    elif evidence.usual > limit and evidence.longest_work > limit:
        work = max(evidence.usual, evidence.longest_work)
        yield "idle", _limit(work), f"takes up to {span(evidence.usual)} on most days"


def _fitting_age(limit: float, evidence: Evidence) -> Iterator[tuple[str, str, str]]:
    event = evidence.longest(WaitingOn.EXTERNAL_EVENT)
    timer = evidence.longest(WaitingOn.TIMER)
    if event > limit:
        yield "age", _NONE, f"waits as expected for an event, up to {span(event)} so far"
    elif max(timer, evidence.usual) > limit:
        longest = max(timer, evidence.usual)
        yield "age", _limit(longest), f"takes up to {span(longest)} on most days"


def _limit(longest: float) -> str:
    seconds = _rounded(_MARGIN * longest)
    return format_duration(seconds) if seconds <= _LONGEST_LIMIT else _NONE


def _rounded(seconds: float) -> float:
    """Return the next longer round duration."""
    return next((each for each in _ROUND if each >= seconds), seconds // _DAY * _DAY + _DAY)
