"""Tests against real programs: a test that fails shows their logs."""

from collections.abc import Generator

import pytest

from tests.real.program import running_programs


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for program in running_programs:
            report.sections.append((f"Log of {program.name}", program.log()))
    return report
