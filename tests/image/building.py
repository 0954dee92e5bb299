"""Building the image from this folder, and looking into what came out."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.image.base import ROOT, base_image, run, wheels
from tests.tools import tool

# Any folder that every Debian has, so that none is made for it.
WHEELS = "/mnt"
CREATED = "1577836800"


@dataclass(frozen=True, slots=True)
class Image:
    """An image in the local storage."""

    name: str

    def described(self) -> dict[str, Any]:
        """Return what podman knows of it."""
        said = podman("image", "inspect", self.name)
        (description,) = json.loads(said)
        assert isinstance(description, dict)
        return description

    @contextmanager
    def files(self) -> Iterator[Path]:
        """Show its files below a folder."""
        yield Path(podman("image", "mount", self.name).strip())
        podman("image", "unmount", self.name)


@contextmanager
def built() -> Iterator[Image]:
    """Build the image anew, with no index of packages; it is gone when the block is left."""
    name = f"localhost/durable-exporter-test:{uuid.uuid4().hex}"
    run(
        tool("buildah"), "bud", "--layers=false", "--pull-never", "--isolation=chroot",
        "--network=host", "--format=docker", f"--timestamp={CREATED}",
        f"--build-arg=BASE={base_image()}", "--build-arg=VERSION=1.2.3",
        "--build-arg=PIP_NO_INDEX=1", f"--build-arg=PIP_FIND_LINKS={WHEELS}",
        f"--volume={wheels()}:{WHEELS}:ro", f"--tag={name}", ROOT,
    )  # fmt: skip
    try:
        yield Image(name)
    finally:
        podman("image", "rm", "--force", name)


def podman(*arguments: str | Path) -> str:
    """Run podman and return what it printed."""
    return run(tool("podman"), *arguments)
