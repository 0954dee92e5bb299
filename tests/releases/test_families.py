"""Families that a release called stable are as they were, or a recording rule makes the old one."""

from __future__ import annotations

import msgspec
import pytest
import yaml

from exporter import __version__
from exporter.alerts.prometheus import rules
from tests.releases.release import Described, Release, broken_promises, described, releases

NOW = described()
STABLE = "durable_functions_up"
SPREAD = "durable_functions_instance_age_seconds"
EXPERIMENTAL = "durable_functions_failure_reasons_total"


def recorded() -> frozenset[str]:
    groups = yaml.safe_load(rules())["groups"]
    names = (rule.get("record") for group in groups for rule in group["rules"])
    return frozenset(filter(None, names))


def but_for(name: str, **changes: object) -> dict[str, Described]:
    return {**NOW, name: msgspec.structs.replace(NOW[name], **changes)}


def without(name: str) -> dict[str, Described]:
    return {other: family for other, family in NOW.items() if other != name}


@pytest.mark.parametrize("release", releases(), ids=str)
def test_what_was_promised_holds(release: Release) -> None:
    assert len(release.families) > 40
    broken = broken_promises(release.families, NOW, recorded())
    assert not broken, (
        "docs/stability.md: a stable family stays; one that is renamed gets a recording rule."
        " Where the release is not out yet, `python -m tests.releases.record` writes it anew"
    )


def test_the_present_version_is_remembered() -> None:
    assert __version__ in [str(each) for each in releases()], "CONTRIBUTING.md says how"


@pytest.mark.parametrize(
    "now",
    [
        without(STABLE),
        but_for(STABLE, kind="counter"),
        but_for(STABLE, labels=("task_hub", "region")),
        but_for(STABLE, labels=()),
        but_for(STABLE, stability="experimental"),
    ],
)
def test_a_stable_family_that_changed_is_found(now: dict[str, Described]) -> None:
    assert len(broken_promises(NOW, now, frozenset())) == 1
    assert not broken_promises(NOW, now, frozenset({STABLE}))


def test_all_series_of_a_family_must_be_recorded() -> None:
    before = but_for(SPREAD, names=(f"{SPREAD}_bucket", f"{SPREAD}_count"))
    names = before[SPREAD].names
    assert broken_promises(before, without(SPREAD), frozenset(names[:1]))
    assert not broken_promises(before, without(SPREAD), frozenset(names))


def test_what_is_experimental_may_change_and_what_is_new_may_come() -> None:
    assert not broken_promises(NOW, without(EXPERIMENTAL), frozenset())
    assert not broken_promises(NOW, but_for(EXPERIMENTAL, labels=()), frozenset())
    assert not broken_promises(without(STABLE), NOW, frozenset())
