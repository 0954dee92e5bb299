"""The pages that people read, and the fenced blocks that stand in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
TOP_LEVEL = ("README.md", "SECURITY.md", "CONTRIBUTING.md")
SHELLS = ("sh", "bash", "shell", "console")

_FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,})(?P<info>[^`\n]*)$")
_TITLE = re.compile(r'title="([^"]*)"')
_NOT_RUN = re.compile(r"<!-- not run: (.+?) -->")


@dataclass(frozen=True, slots=True)
class Block:
    """
    A fenced block: where it stands, its language, the title in its info string, its text.

    `not_run` is the reason that a comment on the line before gives for not running it.
    """

    page: str
    line: int
    language: str
    title: str
    text: str
    not_run: str = ""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """Return all pages: those at the top, and everything below `docs`."""
    top = (ROOT / name for name in TOP_LEVEL)
    return [*(page for page in top if page.exists()), *sorted((ROOT / "docs").rglob("*.md"))]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks_of(page: Path, *, root: Path = ROOT) -> Iterator[Block]:
    """Yield the fenced blocks of a page; one that is never closed fails."""
    lines = page.read_text(encoding="utf-8").splitlines()
    number = 0
    while number < len(lines):
        opened = _FENCE.match(lines[number])
        number += 1
        if opened is None:
            continue
        first = number
        closing = opened["indent"] + opened["fence"]
        while lines[number].rstrip() != closing:
            number += 1
        text = "\n".join(line.removeprefix(opened["indent"]) for line in lines[first:number])
        language, _, rest = opened["info"].strip().partition(" ")
        title = _TITLE.search(rest)
        reason = _NOT_RUN.search(lines[first - 2]) if first > 1 else None
        yield Block(
            page.relative_to(root).as_posix(),
            first,
            language,
            title[1] if title else "",
            text + "\n",
            reason[1] if reason else "",
        )
        number += 1


def blocks(*languages: str) -> list[Block]:
    """Return the blocks of all pages, of some languages if any are named."""
    found = [block for page in pages() for block in blocks_of(page)]
    return [block for block in found if not languages or block.language in languages]


def typed(block: Block) -> str:
    """Return what a reader types: of a session, what stands at its prompts."""
    if block.language != "console":
        return block.text
    prompted = (line for line in block.text.splitlines() if line.startswith(("$ ", "> ")))
    return "".join(f"{line[2:]}\n" for line in prompted)


def prose_of(page: Path) -> str:
    """Return a page without its fenced blocks, line for line."""
    lines, closing = [], ""
    for line in page.read_text(encoding="utf-8").splitlines():
        fence = _FENCE.match(line)
        if closing:
            closing = "" if line.rstrip() == closing else closing
        elif fence:
            closing = fence["indent"] + fence["fence"]
        else:
            lines.append(line)
            continue
        lines.append("")
    return "\n".join(lines)
