"""Where the programs of Debian's packages are, and what a test does without them."""

import os
import shutil
from pathlib import Path

import pytest

REQUIRE_TOOLS = "REQUIRE_TEST_TOOLS"
UNPACKED = Path(__file__).parents[2] / ".tools"
PACKAGES = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "amtool": "prometheus-alertmanager",
}


def tool(name: str) -> Path:
    """
    Find a program that `.ci/run` unpacked, or else one that is installed.

    Without it the test is skipped; it fails where the environment sets `REQUIRE_TEST_TOOLS`.
    """
    unpacked = next(UNPACKED.glob(f"*/usr/bin/{name}"), None)
    installed = unpacked or shutil.which(name)
    if installed is not None:
        return Path(installed)
    reason = f"{name} is missing: it comes with Debian's package {PACKAGES[name]}"
    if os.environ.get(REQUIRE_TOOLS):
        pytest.fail(reason)
    pytest.skip(reason)
