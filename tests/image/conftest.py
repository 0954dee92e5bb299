"""The image, built once for all tests that look at it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.image.building import Image, built
from tests.tools import missing, tool


@pytest.fixture(scope="session")
def image() -> Iterator[Image]:
    for name in ("buildah", "podman", "runc", "debootstrap", "newuidmap"):
        tool(name)
    if os.geteuid() != 0:
        missing("images are built as root here: Debian is installed into a folder")
    with built() as made:
        yield made
