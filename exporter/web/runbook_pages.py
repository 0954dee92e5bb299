"""Runbooks as pages: the files of `docs/runbooks`, rendered once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from exporter.web.page import template_of

INDEX = "README"
_LINK = re.compile(r"(?P<page>[A-Za-z0-9-]+)\.md(?P<part>#.*)?")
_ROLES = {
    "table_open": "table",
    "thead_open": "rowgroup",
    "tbody_open": "rowgroup",
    "tr_open": "row",
    "th_open": "columnheader",
    "td_open": "cell",
}
# Tokens of the title, with which a page begins.
_AFTER_THE_TITLE = 3
_NO_WORD = re.compile(r"[^\w\- ]")
# Without HTML: other files may be mounted in place of ours.
_markdown = MarkdownIt("commonmark", {"html": False}).enable("table")


@dataclass(frozen=True, slots=True)
class Place:
    """The location of a static page: `root` is the relative path to `/`."""

    root: str
    query: str = ""


@cache
def runbook_names() -> frozenset[str]:
    """Return the names of all runbooks, without the index."""
    folder = resources.files("exporter").joinpath("runbooks")
    names = (each.name for each in folder.iterdir())
    return frozenset(name[:-3] for name in names if name.endswith(".md")) - {INDEX}


@cache
def runbook_page(name: str, root: str) -> str:
    """
    Return a runbook as HTML; *root* is the relative path from it to `/`.

    Raises:
        FileNotFoundError: there is no runbook *name*.
    """
    path = resources.files("exporter").joinpath("runbooks", f"{name}.md")
    tokens = _markdown.parse(path.read_text(encoding="utf-8"))
    _name_headings(tokens)
    _point_links(tokens, root)
    _label_cells(tokens)
    title, rest = _text(tokens[1]), tokens[_AFTER_THE_TITLE:]
    body = _markdown.renderer.render(rest, _markdown.options, {})
    return template_of("runbook.html").render(
        view=Place(root),
        title=title,
        body=Markup(body),  # noqa: S704 - rendered with markup of its own switched off
        is_index=name == INDEX,
    )


def missing_runbook_page(root: str) -> str:
    """Return the page for an unknown runbook."""
    return template_of("missing_runbook.html").render(view=Place(root))


def anchor_of(heading: str) -> str:
    """Return the anchor of a heading, as on GitHub."""
    return _NO_WORD.sub("", heading.lower()).replace(" ", "-")


def _text(inline: Token) -> str:
    """Return the text of a line, without markup."""
    return "".join(each.content for each in inline.children or ())


def _name_headings(tokens: Sequence[Token]) -> None:
    """Give every heading its anchor."""
    for opening, text in pairwise(tokens):
        if opening.type == "heading_open":
            opening.attrSet("id", anchor_of(_text(text)))


def _point_links(tokens: Sequence[Token], root: str) -> None:
    """Turn links between the files into links between the pages."""
    for token in _with_children(tokens):
        target = _LINK.fullmatch(str(token.attrs.get("href", "")))
        if target is not None:
            page = "" if target["page"] == INDEX else f"/{target['page']}"
            token.attrSet("href", f"{root}runbooks{page}{target['part'] or ''}")


def _label_cells(tokens: Sequence[Token]) -> None:
    """
    Label each cell with its column, for narrow screens, which show no columns.

    Roles keep it a table for screen readers, although its style no longer is one.
    """
    columns: list[str] = []
    column = 0
    for token, text in pairwise(tokens):
        if token.type in _ROLES:
            token.attrSet("role", _ROLES[token.type])
        if token.type == "table_open":
            columns = []
        elif token.type == "tr_open":
            column = 0
        elif token.type == "th_open":
            columns.append(_text(text))
        elif token.type == "td_open":
            token.attrSet("data-label", columns[column])
            column += 1


def _with_children(tokens: Sequence[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from token.children or ()
