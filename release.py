"""
`python -m release --repository ...` builds the files of a release in `dist/`; it publishes nothing.

Builds are reproducible: all times in them are `SOURCE_DATE_EPOCH`, else the commit's. Dependencies
are in requirements-release.lock.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from exporter import __version__
from helm.published import CHART, Publication, pack, publish

ROOT = Path(__file__).parent
DIST = ROOT / "dist"
NAME = CHART.name
NOTES = "release-notes.md"
CHECKSUMS = "SHA256SUMS"


def release_notes(changelog: str, publication: Publication) -> tuple[str, str]:
    """Return heading and text of the first section, with links to the repository."""
    _, heading, section, *_ = re.split(r"(?m)^## (.*)$", changelog)
    files = f"{publication.repository}/blob/{publication.revision}/"
    linked = re.sub(r"\]\((?!https?://)", f"]({files}", section)
    return heading, f"{linked.strip()}\n"


def _build_package() -> None:
    _run("hatchling", "build", "--directory", str(DIST))


def _package_chart(publication: Publication, epoch: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        chart = Path(folder) / NAME
        publish(chart, publication)
        pack(chart, DIST / f"{NAME}-{__version__}.tgz", epoch)


def _list_dependencies() -> None:
    """Write a CycloneDX bill of materials of the lock."""
    path = DIST / f"{NAME}-{__version__}.cdx.json"
    project = ("--pyproject", str(ROOT / "pyproject.toml"))
    options = ("--output-reproducible", "--short-PURLs", "--output-file", str(path))
    _run("cyclonedx_py", "requirements", *project, *options, str(ROOT / "requirements.lock"))
    materials = json.loads(path.read_text(encoding="utf-8"))
    # The version is dynamic; the tool reads static ones only.
    materials["metadata"]["component"]["version"] = __version__
    path.write_text(json.dumps(materials, indent=2) + "\n", encoding="utf-8")


def _write_checksums() -> None:
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(DIST.iterdir())
    ]
    (DIST / CHECKSUMS).write_text("".join(lines), encoding="utf-8")


def _run(module: str, *arguments: str) -> None:
    # Each run would warn that a lock has no dependency graph.
    subprocess.run([sys.executable, "-W", "ignore", "-m", module, *arguments], check=True, cwd=ROOT)


def _committed() -> int:
    command = ["git", "log", "-1", "--format=%ct"]
    return int(subprocess.run(command, check=True, cwd=ROOT, capture_output=True).stdout)


def make(publication: Publication, notes: str) -> None:
    """Build all files."""
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH") or _committed())
    os.environ["SOURCE_DATE_EPOCH"] = str(epoch)
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    _build_package()
    _package_chart(publication, epoch)
    _list_dependencies()
    (DIST / NOTES).write_text(notes, encoding="utf-8")
    _write_checksums()


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m release", description="Make a release's files."
    )
    parser.add_argument("--repository", required=True, help="URL of the repository")
    parser.add_argument("--image", required=True, help="name of the image, without a tag")
    parser.add_argument("--tag", help="tag of the release, checked against version and changelog")
    options = parser.parse_args()
    publication = Publication(options.repository, f"v{__version__}", options.image)
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    heading, notes = release_notes(changelog, publication)
    if options.tag and options.tag != publication.revision:
        parser.error(f"--tag is {options.tag!r}, but exporter/__init__.py has {__version__!r}")
    if options.tag and heading.split()[0] != __version__:
        parser.error(f"the first section of CHANGELOG.md is {heading!r}, not {__version__!r}")
    make(publication, notes)


if __name__ == "__main__":
    main()
