"""Every alert with all its cases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from exporter.metrics import catalogue as c
from exporter.settings.durations import DAY, HOUR
from tests.alerts import days, failure_troubles, instance_troubles, other_troubles
from tests.alerts.cases import BY_NAME, MINUTE, Case, Tried, tried
from tests.alerts.courses import courses_of
from tests.alerts.reading import CASES
from tests.alerts.troubles import Trouble
from tests.alerts.world import Series, of_orchestrator, read_hub

_BY_NAME: Mapping[str, Trouble] = {
    trouble.name: trouble
    for trouble in (
        *instance_troubles.TROUBLES,
        *failure_troubles.TROUBLES,
        *other_troubles.TROUBLES,
    )
}


def _down_for_half_a_day() -> Case:
    """Failures during a gap in scraping raise an alert after it."""
    again = 12 * HOUR

    def failures(now: float) -> float | None:
        if now < again:
            return 7.0 if now < 5 * MINUTE else None
        return 57.0

    gap = [one.between(0.0, 5 * MINUTE) for one in read_hub()]
    back = [one.between(again, 2 * DAY) for one in read_hub()]
    series = [
        *(_joined(one, other, again) for one, other in zip(gap, back, strict=True)),
        of_orchestrator(c.LAST_FINISHED.name, -DAY, runtime_status="Completed"),
        of_orchestrator(c.FAILURES.name, failures, category="non_determinism"),
    ]
    firing = _BY_NAME["DeploymentBroken"].firing()
    return Case("down for half a day", series, {again + MINUTE: [firing]}, {again: [50.0]})


def _joined(before: Series, after: Series, again: float) -> Series:
    return replace(before, at=lambda now: (before if now < again else after).at(now))


_MORE: Mapping[str, tuple[Case, ...]] = {
    **days.CASES,
    **failure_troubles.CASES,
    "DeploymentBroken": (*failure_troubles.CASES["DeploymentBroken"], _down_for_half_a_day()),
}
TRIES: Mapping[str, Tried] = {
    **{name: tried(BY_NAME[name], cases) for name, cases in CASES.items()},
    **{
        name: tried(trouble.alert, [*courses_of(trouble), *_MORE.get(name, ())], step=trouble.step)
        for name, trouble in _BY_NAME.items()
    },
}
