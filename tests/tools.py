"""Where programs and packages of others are, and what a test does without them."""

import importlib
import importlib.util
import os
import shutil
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import pytest

REQUIRE_TOOLS = "REQUIRE_TEST_TOOLS"
OTHER_TOOLS = "TEST_TOOLS"
UNPACKED = Path(__file__).parents[1] / ".tools"
PACKAGES = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "amtool": "prometheus-alertmanager",
    "node": "nodejs",
    "curl": "curl",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "jq": "jq",
    "nginx": "nginx",
    "chromium": "chromium",
    "buildah": "buildah",
    "podman": "podman",
    "runc": "runc",
    "debootstrap": "debootstrap",
    "newuidmap": "uidmap",
}


def tool(name: str) -> Path:
    """
    Find a program that `.ci/run` unpacked, or else one that is installed.

    The environment may name a folder below `.tools` to look into first, with programs of another
    release of Debian.
    Without it the test is skipped; it fails where the environment sets `REQUIRE_TEST_TOOLS`.
    """
    folders = (os.environ.get(OTHER_TOOLS, "*"), "*")
    unpacked = (path for folder in folders for path in UNPACKED.glob(f"{folder}/usr/*bin/{name}"))
    installed = next(unpacked, None) or shutil.which(name)
    if installed is not None:
        return Path(installed)
    return missing(f"{name} is missing: it comes with Debian's package {PACKAGES[name]}")


def node_package(name: str) -> Path:
    """
    Find a package of Node that `.ci/run` installed.

    Without it the test is skipped; it fails where the environment sets `REQUIRE_TEST_TOOLS`.
    """
    for installed in UNPACKED.glob(f"*/node_modules/{name}"):
        return installed
    return missing(f"{name} is missing: it comes from npm, and `.ci/run` installs it")


def python_module(name: str, lock: str) -> ModuleType:
    """
    Import a module of a package that only some tests need; *lock* is the file that locks it.

    Without it the test is skipped; it fails where the environment sets `REQUIRE_TEST_TOOLS`.
    """
    if importlib.util.find_spec(name) is None:
        return missing(f"{name} is missing: `pip install --require-hashes -r {lock}` installs it")
    return importlib.import_module(name)


def missing(reason: str) -> NoReturn:
    """Skip the test, or fail it where the environment sets `REQUIRE_TEST_TOOLS`."""
    if os.environ.get(REQUIRE_TOOLS):
        pytest.fail(reason)
    pytest.skip(reason)
