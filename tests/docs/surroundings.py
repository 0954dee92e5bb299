"""
What a block of shell finds where a test runs it: an app, an exporter, and stand-ins.

The text runs in a real bash as it stands, but for addresses and absolute paths. Programs that need
a cluster or Azure are stood in for by `stand_in.sh`; `durable-exporter` is the real one, and where
it would run for good it is asked to end once it listens.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.docs.pages import ROOT, SHELLS, Block, blocks_of, typed
from tests.docs.placed import KEY, place_files, place_variables, variables_of
from tests.tools import tool

_APP = re.compile(
    r"https://[\w<>-]+\.azurewebsites\.net|http://(?:127\.0\.0\.1|localhost|\[::1\]):7071"
)
_EXPORTER = re.compile(r"http://(?:127\.0\.0\.1|localhost):10771")
_ABSOLUTE = re.compile(r"(?<![\w.:/$}])/(?=(?:run|etc|var|srv|opt)/)")
_PORT = re.compile(r"\b(?:0\.0\.0\.0|127\.0\.0\.1|localhost)?:10771\b")
_KEY_OPTION = re.compile(r"--key-file[ =](\S+)")
_NOWHERE = "http://127.0.0.1:9"
_VENV = re.compile(r"(?<![\w/.])\.?venv/bin/")
_ASSIGNMENT = re.compile(r"(export )?\w+=(\$\(.*\)|'.*'|\S*)(\s+#.*)?|\s*|#.*")
# Programs that blocks use as they are; everything else is for `stand_in.sh`.
_SYSTEM = ("cat", "chmod", "cut", "date", "df", "mkdir")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """
    The addresses of emulated apps and of an exporter that polls the first, and its log so far.

    *folder* has the key, and what commands answered that several pages call.
    """

    apps: Sequence[str]
    exporter: str
    log: str
    folder: Path

    @property
    def key_file(self) -> Path:
        return self.folder / "key"

    def serve_apps(self, text: str, page: str) -> str:
        """Return *text* of a page with its apps' addresses as those of the emulated ones."""
        named = dict.fromkeys(_APP.findall((ROOT / page).read_text(encoding="utf-8")))
        places = {app: number % len(self.apps) for number, app in enumerate(named)}
        return _APP.sub(lambda app: self.apps[places.get(app[0], 0)], text)


def calls_of(block: Block, folder: Path) -> list[str]:
    """Return the command lines with which a block calls the exporter, which does not run."""
    calls = folder / "calls"
    calls.touch()
    nothing = Surroundings([_NOWHERE], _NOWHERE, "", folder)
    done = _run(block, nothing, folder, STAND_IN_CALLS=str(calls))
    assert done.returncode == 0, f"{block}: {done.stderr}"
    return calls.read_text(encoding="utf-8").splitlines()


def run_block(block: Block, around: Surroundings, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a block in *folder* and return how it ended."""
    own = folder / "programs"
    own.mkdir()
    for name in ("curl", "jq"):
        if re.search(rf"\b{name}\b", block.text):
            (own / name).symlink_to(tool(name))
    command = f"'{sys.executable}' -m tests.docs.stand_in"
    (own / "durable-exporter").write_text(f'#!/bin/sh\nexec {command} "$@"\n', encoding="utf-8")
    (own / "durable-exporter").chmod(0o755)
    (folder / "exporter.log").write_text(around.log, encoding="utf-8")
    (folder / "my-rules.yaml").write_text("groups: []\n", encoding="utf-8")
    _write_titled(block, around, folder)
    return _run(block, around, folder)


def _run(
    block: Block, around: Surroundings, folder: Path, **stand_in: str
) -> subprocess.CompletedProcess[str]:
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    for name in _SYSTEM:
        (programs / name).symlink_to(str(shutil.which(name)))
    script = _script(block, around, folder)
    environ = _environ(script, around, folder) | {"PATH": str(programs)} | stand_in
    return subprocess.run(
        [shutil.which("bash") or "bash", "-e", "-u", "-o", "pipefail", "-c", script],
        cwd=folder, env=environ, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def _script(block: Block, around: Surroundings, folder: Path) -> str:
    text = _assignments_before(block) + typed(block)
    text = _EXPORTER.sub(around.exporter, around.serve_apps(text, block.page))
    text = _PORT.sub("127.0.0.1:0", text)
    place_variables(variables_of(text), folder)
    text = _VENV.sub("", _ABSOLUTE.sub(f"{folder}/", text))
    for name in _KEY_OPTION.findall(text):
        _write_key(folder / name.strip("\"'"))
    for found in re.findall(rf"{re.escape(str(folder))}(/[\w./-]*)/", text):
        Path(f"{folder}{found}").mkdir(parents=True, exist_ok=True)
    return text


def _assignments_before(block: Block) -> str:
    """Return the blocks that only set variables, of the page so far; runbooks share theirs."""
    page = ROOT / block.page
    shared = page.parent.glob("*.md") if page.parent.name == "runbooks" else (page,)
    return "".join(
        other.text
        for each in shared
        for other in blocks_of(each)
        if (each != page or other.line < block.line) and _only_assigns(other)
    )


def _only_assigns(block: Block) -> bool:
    lines = block.text.replace("\\\n", " ").splitlines()
    return block.language in SHELLS and all(map(_ASSIGNMENT.fullmatch, lines))


def _write_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(KEY, encoding="utf-8")


def _write_titled(block: Block, around: Surroundings, folder: Path) -> None:
    """Write the files that the page shows by their titles, with the addresses of *around*."""
    for other in blocks_of(ROOT / block.page):
        if other.language == "yaml" and other.title.endswith((".yaml", ".yml")):
            content = yaml.safe_load(around.serve_apps(other.text, block.page))
            for hub in (content.get("hubs") or {}).values():
                hub.pop("connection", None)  # names a setting that the emulated app does not have
            place_files(content, folder)
            path = folder / other.title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def _environ(script: str, around: Surroundings, folder: Path) -> dict[str, str]:
    """Return an environment in which a command that names no hub asks the emulated app."""
    own = re.search(r"DURABLE_EXPORTER_(\w+__)?URL|CONFIG_FILE|--config-file|--url", script)
    keyed = re.search(r"_KEY|key-file|config-file|CONFIG_FILE", script)
    asked = {"DURABLE_EXPORTER_URL": around.apps[0], "DURABLE_EXPORTER_NAME": "orders"}
    key = {"DURABLE_EXPORTER_KEY_FILE": str(around.key_file)}
    return {
        **({} if own else asked),
        **({} if own and keyed else key),
        "BASH_ENV": str(ROOT / "tests" / "docs" / "stand_in.sh"),
        "HOME": str(folder),
        "PYTHONPATH": str(ROOT),
        "STAND_IN_KEY": KEY,
        "STAND_IN_ANSWERS": str(around.folder),
        "STAND_IN_CALLS": "",
        "STAND_IN_MAKEFILE": str(ROOT / "Makefile"),
        "COLUMNS": "120",
    }
