"""Links of the pages lead somewhere, in the repository and on the site that is built of them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.links import links_of, problem_of
from tests.docs.pages import ROOT, name_of, pages

LINKED = [*pages(), ROOT / "CHANGELOG.md", ROOT / "bench" / "RESULTS.md"]
# What a browser fetches by itself.
LOADED = re.compile(
    r"<(?:script|img|iframe|source)[^>]*\ssrc=\"?([^\"\s>]+)|<link[^>]*\shref=\"?([^\"\s>]+)"
)
IMPORTED = re.compile(r"@import|url\(\"?(?:https?:)?//")


@pytest.mark.parametrize("page", LINKED, ids=name_of)
def test_links_resolve_in_the_repository(page: Path) -> None:
    problems = [problem for target in links_of(page) if (problem := problem_of(page, target))]
    assert not problems


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site as `make site` does, but into a folder of the test."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    done = subprocess.run(
        [*command, "--config-file", str(ROOT / "mkdocs.yml"), "--site-dir", str(folder)],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_site_builds_without_a_warning_and_has_every_page(site: Path) -> None:
    built = {path.relative_to(site).with_suffix(".md").as_posix() for path in site.rglob("*.html")}
    written = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert {path.replace("README.md", "index.md") for path in written} <= built
    assert (site / "search" / "search_index.json").stat().st_size > 10_000


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        for groups in LOADED.findall(page.read_text(encoding="utf-8")):
            assert not any(re.match(r"(?:https?:)?//", address) for address in groups), page
    for sheet in site.rglob("*.css"):
        assert not IMPORTED.search(sheet.read_text(encoding="utf-8")), sheet
