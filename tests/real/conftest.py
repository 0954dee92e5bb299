"""Tests against real programs: a test that fails shows their logs."""

from collections.abc import Generator

import pytest

from tests.real.program import running_programs
from tests.tools import tool


@pytest.fixture(scope="session")
def prometheus_at_hand() -> None:
    """
    Skip where Prometheus is missing, before anything else is set up.

    A skip that leaves nested async contexts and is raised again for each test of a module ends
    the whole run on Python 3.11, which miscounts its own depth while pytest formats it.
    """
    tool("prometheus")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for program in running_programs:
            report.sections.append((f"Log of {program.name}", program.log()))
    return report
