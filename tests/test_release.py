"""What a release is made of: the same sources give the same bytes, wherever and whenever."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from exporter import __version__
from helm.published import Publication
from release import release_notes

ROOT = Path(__file__).parents[1]
PUBLICATION = Publication(
    "https://github.com/example/durable", "v1.2.3", "registry.example/durable"
)
OPTIONS = ("--repository", PUBLICATION.repository, "--image", PUBLICATION.image)
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
CHECKED_OUT = 1577836800
NAME = "durable-functions-exporter"


def checkout(folder: Path, *, modified: int, mode: int) -> Path:
    """Copy what git would, with other times and rights of files."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.split("\0")):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).exists():
            shutil.copyfile(ROOT / name, path, follow_symlinks=False)
        if path.is_file() and not path.is_symlink():
            path.chmod(mode)
            os.utime(path, (modified, modified))
    return folder


def released(folder: Path, **environ: str) -> dict[str, bytes]:
    """Make a release there and return its files."""
    command = [sys.executable, "-m", "release", *OPTIONS]
    done = subprocess.run(
        command, cwd=folder, check=False, capture_output=True, text=True,
        env={"PATH": os.environ["PATH"], "SOURCE_DATE_EPOCH": "1700000000", **environ},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {path.name: path.read_bytes() for path in (folder / "dist").iterdir()}


@pytest.mark.proof
def test_two_checkouts_give_the_same_files_byte_for_byte(tmp_path: Path) -> None:
    one = checkout(tmp_path / "one", modified=CHECKED_OUT, mode=0o644)
    other = checkout(tmp_path / "elsewhere/other", modified=CHECKED_OUT + 12345, mode=0o600)
    first = released(one, TZ="UTC", PYTHONHASHSEED="1")
    second = released(other, TZ="Asia/Tokyo", PYTHONHASHSEED="2", LC_ALL="C")
    assert first.keys() == second.keys()
    assert not [name for name in first if first[name] != second[name]]
    assert sorted(first) == sorted(
        [
            f"{NAME}-{__version__}.tgz",
            f"{NAME}-{__version__}.cdx.json",
            f"durable_functions_exporter-{__version__}-py3-none-any.whl",
            f"durable_functions_exporter-{__version__}.tar.gz",
            "release-notes.md",
            "SHA256SUMS",
        ]
    )
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"],
        cwd=one / "dist", check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout
    assert checked.stdout.count(": OK") == len(first) - 1
    with tarfile.open(one / "dist" / f"{NAME}-{__version__}.tgz") as chart:
        assert {entry.mtime for entry in chart} == {1700000000}
    materials = json.loads(first[f"{NAME}-{__version__}.cdx.json"])
    assert materials["metadata"]["component"]["version"] == __version__
    locked = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert sorted(f"{each['name']}=={each['version']}" for each in materials["components"]) == (
        sorted(re.findall(r"(?m)^\S+==[^ ;\\]+", locked))
    )


@pytest.mark.parametrize("tag", ["v9.9.9", __version__])
def test_a_tag_that_is_not_the_version_makes_nothing(tag: str) -> None:
    refused = subprocess.run(
        [sys.executable, "-m", "release", *OPTIONS, "--tag", tag],
        cwd=ROOT, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert refused.returncode == 2
    assert f"--tag is {tag!r}, but exporter/__init__.py has {__version__!r}" in refused.stderr


def test_the_newest_section_of_the_changelog_is_unreleased_or_of_this_version_with_its_day() -> (
    None
):
    heading, _ = release_notes(CHANGELOG, PUBLICATION)
    assert heading == "Unreleased" or re.fullmatch(
        rf"{re.escape(__version__)} - 20\d\d-[01]\d-[0-3]\d", heading
    )


def test_release_notes_are_one_section_in_the_agreed_order_whose_links_lead_to_files() -> None:
    _, notes = release_notes(CHANGELOG, PUBLICATION)
    assert not re.search(r"(?m)^## ", notes)
    order = ["Changed", "Removed", "Added", "Fixed"]
    found = re.findall(r"(?m)^### (.*)$", notes)
    assert found == [name for name in order if name in found]
    targets = re.findall(r"\]\(([^()\s]+)\)", notes)
    files = f"{PUBLICATION.repository}/blob/{PUBLICATION.revision}/"
    assert targets
    for target in targets:
        assert (ROOT / target.removeprefix(files).partition("#")[0]).is_file(), target
