"""
Hook of the documentation site for links to files outside `docs`.

Links in pages work in the repository. On the site, some linked pages become pages, other files are
copied to `files/`, and links to folders become plain text.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PAGES = {
    "README.md": "readme.md",
    "SECURITY.md": "security.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "bench/RESULTS.md": "benchmarks.md",
    "helm/durable-functions-exporter/README.md": "chart.md",
}
_LIES_AT = {uri: path for path, uri in PAGES.items()}
_LINK = re.compile(r"\[(?P<text>(?:[^\[\]]|\[[^\]]*\])*)\]\((?P<target>[^()\s]+)\)")
_BADGE = re.compile(r"^\[?!\[.*badge.*\n", re.MULTILINE)
_ELSEWHERE = re.compile(r"[a-z]+:|#|//")
_FENCE = re.compile(r"^ *```", re.MULTILINE)
_RUNBOOKS = "runbooks/"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add every runbook to the navigation, below the index of runbooks."""
    runbooks = sorted((Path(config.docs_dir) / "runbooks").glob("*.md"))
    uris = sorted(
        (f"runbooks/{path.name}" for path in runbooks), key=lambda uri: "index" not in uri
    )
    for tab in config.nav or ():
        for entries in tab.values():
            for entry in [each for each in entries if isinstance(each, dict)]:
                entry.update({title: uris for title, to in entry.items() if to == _RUNBOOKS})
            entries[:] = [
                each for each in entries if not isinstance(each, dict) or any(each.values())
            ]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages outside `docs`."""
    for path, uri in PAGES.items():
        if (ROOT / path).exists():
            files.append(File.generated(config, uri, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite links and pictures for the site, and drop badges of other sites."""
    uri = page.file.src_uri
    here = posixpath.dirname(_LIES_AT.get(uri, f"docs/{uri}"))

    def replace(link: re.Match[str]) -> str:
        target, _, anchor = link["target"].partition("#")
        if _ELSEWHERE.match(link["target"]) or not target:
            return link[0]
        there = _on_site(posixpath.normpath(posixpath.join(here, target)), config, files)
        if there is None:
            return link["text"]
        relative = posixpath.relpath(there, posixpath.dirname(uri) or ".")
        return f"[{link['text']}]({relative}{'#' if anchor else ''}{anchor})"

    return _outside_of_fences(_BADGE.sub("", markdown), lambda text: _LINK.sub(replace, text))


def _on_site(path: str, config: MkDocsConfig, files: Files) -> str | None:
    """Return the site's path for a *path* of the repository, None for a folder."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if path in PAGES:
        return PAGES[path]
    if not (ROOT / path).is_file():
        return None if (ROOT / path).is_dir() else path
    if path.endswith(".md"):
        return None  # no page of the site
    uri = f"files/{path}"
    if files.get_file_from_path(uri) is None:
        files.append(File.generated(config, uri, abs_src_path=str(ROOT / path)))
    return uri


def _outside_of_fences(markdown: str, change: Callable[[str], str]) -> str:
    """Apply *change* to the text between fenced blocks."""
    parts = re.split(r"(^ *```.*?^ *```[^\S\n]*$)", markdown, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if _FENCE.match(part) else change(part) for part in parts)
