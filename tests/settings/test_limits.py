"""Which limits apply to an orchestrator."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from pydantic import ValidationError

from exporter.settings.groups import Limits


def limits(orchestrators: Mapping[str, Mapping[str, object]], **default: str) -> Limits:
    return Limits.model_validate({**default, "orchestrators": orchestrators})


def test_the_defaults_hold_where_nothing_is_set() -> None:
    assert dict(limits({}).for_orchestrator("ProcessOrder")) == {
        "pending": 600.0,
        "idle": 3600.0,
        "age": None,
        "suspended": None,
        "success": None,
        "retention": None,
        "failure_ratio": 0.05,
        "unresolved_failures": 10,
    }


def test_an_orchestrator_has_a_limit_of_its_own_even_where_it_is_that_of_the_hub() -> None:
    found = limits({"A": {"unresolved_failures": 10}})
    assert found.own("A") == {"unresolved_failures": 10}
    assert found.own("B") == {}


def test_a_stopped_app_is_a_matter_of_the_hub() -> None:
    assert limits({}).of_hub()["stopped"] == 4 * 3600.0
    with pytest.raises(ValidationError):
        limits({"A": {"stopped": "1h"}})


def test_an_exact_name_comes_before_a_pattern_that_stands_before_it() -> None:
    found = limits({"Process*": {"idle": "1m"}, "ProcessOrder": {"idle": "2m"}})
    assert found.for_orchestrator("ProcessOrder")["idle"] == 120.0


def test_a_name_in_another_case_comes_before_a_pattern_but_after_the_exact_name() -> None:
    found = limits({"*": {"idle": "1m"}, "PROCESSORDER": {"idle": "2m"}})
    assert found.for_orchestrator("ProcessOrder")["idle"] == 120.0
    found = limits({"PROCESSORDER": {"idle": "2m"}, "ProcessOrder": {"idle": "3m"}})
    assert found.for_orchestrator("ProcessOrder")["idle"] == 180.0


def test_of_two_patterns_the_one_written_first_holds() -> None:
    found = limits({"Process*": {"idle": "1m"}, "*Order": {"idle": "2m"}})
    assert found.for_orchestrator("ProcessOrder")["idle"] == 60.0
    assert found.for_orchestrator("ShipOrder")["idle"] == 120.0


def test_the_case_of_a_pattern_counts() -> None:
    assert limits({"process*": {"idle": "1m"}}).for_orchestrator("ProcessOrder")["idle"] == 3600


def test_each_limit_is_looked_up_on_its_own() -> None:
    found = limits({"A": {"idle": "1m"}, "*": {"idle": "9m", "pending": "2m"}}, age="1d")
    in_force = found.for_orchestrator("A")
    assert (in_force["idle"], in_force["pending"], in_force["age"]) == (60, 120, 86_400)


def test_none_overrides_a_limit() -> None:
    found = limits({"Eternal": {"idle": "none"}})
    assert found.for_orchestrator("Eternal")["idle"] is None
    assert found.own("Eternal") == {"idle": None}


@pytest.mark.parametrize("share", ["5%", "5 %", "0.05", 0.05])
def test_a_share_is_written_in_percent_or_as_a_number(share: object) -> None:
    assert Limits.model_validate({"failure_ratio": share}).failure_ratio == 0.05


@pytest.mark.parametrize("value", ["none", "NONE", None])
def test_numbers_of_failures_can_be_without_limit(value: object) -> None:
    found = Limits.model_validate({"failure_ratio": value, "unresolved_failures": value})
    assert (found.failure_ratio, found.unresolved_failures) == (None, None)


@pytest.mark.parametrize("count", [0, "0", 10_000])
def test_a_limit_of_failures_is_any_whole_number(count: object) -> None:
    found = limits({"A": {"unresolved_failures": count}}).own("A")
    assert found == {"unresolved_failures": int(str(count))}


@pytest.mark.parametrize(
    ("limit", "value"),
    [
        ("failure_ratio", "105%"),
        ("failure_ratio", -0.1),
        ("failure_ratio", True),
        ("failure_ratio", "many"),
        ("failure_ratio", float("nan")),
        ("unresolved_failures", -1),
        ("unresolved_failures", 1.5),
        ("unresolved_failures", True),
        ("unresolved_failures", "1e3"),
        ("unresolved_failures", 1 << 60),
    ],
)
def test_what_is_no_share_or_number_is_refused(limit: str, value: object) -> None:
    with pytest.raises(ValidationError):
        Limits.model_validate({limit: value})
