"""The images of others: each is named as `images.lock` has it, and `make images` pins them all."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOCK = "images.lock"
NAMING = ("Dockerfile", "compose.yaml", ".github/workflows/ci.yml", "docs/container.md")
IMAGE = r"[a-z0-9./-]+:[A-Za-z0-9._-]+(?:@sha256:[0-9a-f]{64})?"
# What is built here, and what users put in for themselves.
OWN = re.compile(r"durable-functions-exporter(:.*)?|registry\.example\.com/.*")
DIGEST = f"sha256:{'5' * 64}"


def locked(root: Path) -> list[str]:
    lines = (root / LOCK).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def named(root: Path) -> Iterator[str]:
    """Yield every image that is run, built on, or told to be the default."""
    (base,) = re.findall(r"^ARG BASE=(\S+)$", read(root, "Dockerfile"), re.MULTILINE)
    yield base
    yield from re.findall(
        r"^FROM (?!\$\{BASE\}|scratch)(\S+)", read(root, "Dockerfile"), re.MULTILINE
    )
    yield from re.findall(
        r"^\| `BASE` \| `(\S+)` \|", read(root, "docs/container.md"), re.MULTILINE
    )
    files = [root / "compose.yaml", *(root / ".github").rglob("*.yml")]
    files += [root / "helm/durable-functions-exporter/values.yaml"]
    files += (root / "tests/chart/values").glob("*.yaml")
    for path in files:
        if path.exists():
            yield from re.findall(r"^ *image: +\"?([^\s{\"]+)", read(root, path), re.MULTILINE)


def read(root: Path, path: str | Path) -> str:
    return (root / path).read_text(encoding="utf-8")


def test_every_image_is_named_as_the_lock_has_it_and_none_is_there_for_nothing() -> None:
    others = {image for image in named(ROOT) if not OWN.fullmatch(image)}
    assert others == set(locked(ROOT))
    assert all(re.fullmatch(IMAGE, image) for image in others)


@pytest.fixture
def registry(tmp_path: Path) -> dict[str, str]:
    """Return an environment in which skopeo knows one digest, in place of any registry."""
    skopeo = tmp_path / "bin/skopeo"
    skopeo.parent.mkdir()
    skopeo.write_text(f"#!/bin/sh\necho {DIGEST}\n")
    skopeo.chmod(0o755)
    return {"PATH": f"{skopeo.parent}:{os.environ['PATH']}"}


def test_one_command_pins_them_all_and_again(tmp_path: Path, registry: dict[str, str]) -> None:
    root = tmp_path / "copy"
    for name in (LOCK, "Makefile", *NAMING):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    for _ in range(2):
        subprocess.run(["make", "images"], cwd=root, env=registry, check=True, capture_output=True)
        assert {image for image in named(root) if not OWN.fullmatch(image)} == set(locked(root))
        assert all(image.endswith(f"@{DIGEST}") for image in locked(root))
        assert all(image.count("@") == 1 for image in locked(root))
