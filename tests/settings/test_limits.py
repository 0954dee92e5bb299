"""Which limits hold for an orchestrator."""

from __future__ import annotations

from exporter.settings.groups import LimitInForce, Limits


def limits(orchestrators: dict[str, dict[str, str]], **default: str) -> Limits:
    return Limits.model_validate({**default, "orchestrators": orchestrators})


def test_the_defaults_hold_where_nothing_is_set() -> None:
    assert dict(limits({}).for_orchestrator("ProcessOrder")) == {
        "pending": LimitInForce(600.0, "default"),
        "idle": LimitInForce(3600.0, "default"),
        "age": LimitInForce(None, "default"),
        "success": LimitInForce(None, "default"),
        "retention": LimitInForce(None, "default"),
    }


def test_a_set_limit_is_configured_even_where_it_is_the_default() -> None:
    assert limits({}, idle="1h").for_orchestrator("A")["idle"] == LimitInForce(3600.0, "configured")


def test_an_exact_name_comes_before_a_pattern_that_stands_before_it() -> None:
    found = limits({"Process*": {"idle": "1m"}, "ProcessOrder": {"idle": "2m"}})
    assert found.for_orchestrator("ProcessOrder")["idle"].seconds == 120.0


def test_a_name_in_another_case_comes_before_a_pattern_but_after_the_exact_name() -> None:
    found = limits({"*": {"idle": "1m"}, "PROCESSORDER": {"idle": "2m"}})
    assert found.for_orchestrator("ProcessOrder")["idle"].seconds == 120.0
    found = limits({"PROCESSORDER": {"idle": "2m"}, "ProcessOrder": {"idle": "3m"}})
    assert found.for_orchestrator("ProcessOrder")["idle"].seconds == 180.0


def test_of_two_patterns_the_one_written_first_holds() -> None:
    found = limits({"Process*": {"idle": "1m"}, "*Order": {"idle": "2m"}})
    assert found.for_orchestrator("ProcessOrder")["idle"].seconds == 60.0
    assert found.for_orchestrator("ShipOrder")["idle"].seconds == 120.0


def test_the_case_of_a_pattern_counts() -> None:
    assert (
        limits({"process*": {"idle": "1m"}}).for_orchestrator("ProcessOrder")["idle"].seconds
        == 3600
    )


def test_each_limit_is_looked_up_on_its_own() -> None:
    found = limits({"A": {"idle": "1m"}, "*": {"idle": "9m", "pending": "2m"}}, age="1d")
    in_force = found.for_orchestrator("A")
    assert (in_force["idle"].seconds, in_force["pending"].seconds, in_force["age"].seconds) == (
        60,
        120,
        86_400,
    )


def test_none_overrides_a_limit() -> None:
    found = limits({"Eternal": {"idle": "none"}})
    assert found.for_orchestrator("Eternal")["idle"] == LimitInForce(None, "configured")
