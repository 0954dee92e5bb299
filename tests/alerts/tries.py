"""Every alert with all its cases."""

from __future__ import annotations

from collections.abc import Mapping

from tests.alerts.cases import BY_NAME, Tried, tried
from tests.alerts.courses import courses_of
from tests.alerts.reading import CASES
from tests.alerts.troubles import TROUBLES

TRIES: Mapping[str, Tried] = {
    **{name: tried(BY_NAME[name], cases) for name, cases in CASES.items()},
    **{
        trouble.name: tried(trouble.alert, courses_of(trouble), step=trouble.step)
        for trouble in TROUBLES
    },
}
