"""Links of the pages, as GitHub resolves them in the repository."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.docs.pages import ROOT, prose_of

_LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
_CODE = re.compile(r"`[^`\n]*`")
# The last is GitHub's own page of a workflow, wherever the repository is.
_OUTSIDE = ("http://", "https://", "mailto:", "../../actions/")


def links_of(page: Path) -> Iterator[str]:
    """Yield the targets of the links and pictures of a page, but for those to other sites."""
    for target in _LINK.findall(_CODE.sub(lambda code: "x" * len(code[0]), prose_of(page))):
        if not target.startswith(_OUTSIDE):
            yield target


def anchors_of(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    anchors: set[str] = set()
    for heading in _HEADING.findall(prose_of(page)):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        number = 0
        while (name := f"{slug}-{number}" if number else slug) in anchors:
            number += 1
        anchors.add(name)
    return anchors


def problem_of(page: Path, target: str) -> str:
    """Return what is wrong with a link, nothing if it leads somewhere."""
    path, _, anchor = target.partition("#")
    to = (page.parent / path).resolve() if path else page
    if not to.exists():
        return f"{target}: there is no such file"
    if not to.is_relative_to(ROOT.resolve()):
        return f"{target}: leads out of the repository"
    if anchor and to.suffix == ".md" and anchor not in anchors_of(to):
        return f"{target}: {to.name} has no such heading"
    return ""
