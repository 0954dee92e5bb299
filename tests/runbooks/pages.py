"""The runbooks, taken apart: headings, links, commands, queries, and names in the text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

FOLDER = Path(__file__).parents[2] / "docs" / "runbooks"
_markdown = MarkdownIt("commonmark").enable("table")


@dataclass(frozen=True, slots=True)
class Page:
    """One file of the runbooks."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    def headings(self, level: int) -> Sequence[str]:
        """Return the headings of a level, in their order."""
        tokens = self._tokens()
        return [
            text.content
            for opening, text in pairwise(tokens)
            if opening.type == "heading_open" and opening.tag == f"h{level}"
        ]

    def links(self) -> Sequence[str]:
        """Return where links lead."""
        return [
            str(token.attrs["href"])
            for inline in self._tokens()
            for token in inline.children or ()
            if token.type == "link_open"
        ]

    def blocks(self, language: str) -> Sequence[str]:
        """Return the blocks of code in a language."""
        return [
            token.content
            for token in self._tokens()
            if token.type == "fence" and token.info == language
        ]

    def languages(self) -> set[str]:
        """Return the languages of all blocks of code."""
        return {token.info for token in self._tokens() if token.type == "fence"}

    def code(self) -> Iterator[str]:
        """Return what stands in the text as code."""
        for inline in self._tokens():
            for token in inline.children or ():
                if token.type == "code_inline":
                    yield token.content

    def section(self, heading: str) -> str:
        """Return the source of a section of the second level."""
        found = re.search(
            rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", self.text, re.DOTALL | re.MULTILINE
        )
        assert found, f"{self.name} has no section {heading!r}"
        return found[1]

    def _tokens(self) -> list[Token]:
        return _markdown.parse(self.text)


def notified_within(page: Page) -> float:
    """Return how many seconds after a failure its alert arrives at most, without its limit."""
    rows = re.findall(r"^\| .* \|$", page.section("How soon you know"), re.MULTILINE)
    *_, longest = rows[-1].split("|")[2].split(" to ")
    found = re.search(r"(?:(\d+) h ?)?(?:(\d+) min)?\s*$", longest)
    assert found, f"{page.name}: {longest!r} is no time"
    hours, minutes = (int(part or 0) for part in found.groups())
    return 3600.0 * hours + 60.0 * minutes


PAGES = {path.stem: Page(path) for path in sorted(FOLDER.glob("*.md"))}
OF_ALERTS = {name: page for name, page in PAGES.items() if name.startswith("DurableFunctions")}
