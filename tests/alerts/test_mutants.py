"""A changed threshold, label or guard is found by some case of the alert."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.alerts.cases import BY_NAME, MINUTE
from tests.alerts.mutants import excused, found_mutants, mutants
from tests.alerts.tries import TRIES

pytestmark = pytest.mark.proof

# A week of samples takes long to try, and so do alerts of many causes.
LONG = pytest.mark.nightly
MANY_CAUSES = ("OrchestrationsFailing", "DeploymentBroken")
NAMES = [
    pytest.param(name, marks=LONG if name in MANY_CAUSES or tried.step > MINUTE else ())
    for name, tried in TRIES.items()
]


@pytest.mark.parametrize("name", NAMES)
def test_each_mutant_is_found_and_what_is_shipped_is_not(name: str, tmp_path: Path) -> None:
    wrong = dict(mutants(BY_NAME[name]))
    found = found_mutants(TRIES[name], wrong, tmp_path)
    assert len(wrong) >= 3
    assert "shipped" not in found
    survivors = set(wrong) - found
    assert survivors == excused(name, survivors, hourly=TRIES[name].step > MINUTE)
