"""Without what a test needs it is skipped, and fails where everything must be there."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.tools import REQUIRE_TOOLS, node_package, python_module

ABSENT: list[Callable[[], object]] = [
    lambda: python_module("no_such_module_anywhere", "requirements-chart.lock"),
    lambda: node_package("no-such-package-anywhere"),
]


@pytest.mark.parametrize("find", ABSENT)
def test_what_is_missing_skips_a_test_and_is_named(
    find: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(REQUIRE_TOOLS, raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"no.such.*is missing"):
        find()


@pytest.mark.parametrize("find", ABSENT)
def test_what_is_missing_fails_a_test_where_everything_must_be_there(
    find: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(REQUIRE_TOOLS, "1")
    with pytest.raises(pytest.fail.Exception, match=r"no.such.*is missing"):
        find()


def test_what_is_there_is_found() -> None:
    assert python_module("json", "requirements.lock").dumps([]) == "[]"
