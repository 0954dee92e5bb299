"""
What a block of shell finds where a test runs it: an app, an exporter, and stand-ins.

The text runs in a real bash as it stands, but for addresses and absolute paths. Programs that need
a cluster or Azure are stood in for; `durable-exporter` is the real one, and where it would run for
good it is asked to end once it listens.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.docs.pages import ROOT, Block, blocks_of
from tests.docs.placed import KEY, place_files, place_variables
from tests.docs.programs import PROGRAMS
from tests.docs.shell import SHELLS, commands_of, typed

_APP = re.compile(
    r"https://[\w<>-]+\.azurewebsites\.net|http://(?:127\.0\.0\.1|localhost|\[::1\]):7071"
)
_EXPORTER = re.compile(r"http://(?:127\.0\.0\.1|localhost):10771")
_ABSOLUTE = re.compile(r"(?<![\w.:/$}])/(?=(?:run|etc|var|srv|opt)/)")
_PORT = re.compile(r"\b(?:0\.0\.0\.0|127\.0\.0\.1|localhost)?:10771\b")
_KEY_OPTION = re.compile(r"--key-file[ =](\S+)")


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


def run_block(block: Block, around: Surroundings, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a block in *folder* and return how it ended."""
    programs = folder / "programs"
    programs.mkdir()
    _stand_in(programs)
    (folder / "exporter.log").write_text(around.log, encoding="utf-8")
    script = _script(block, around, folder)
    _write_titled(block, around, folder)
    # Relative, so that pages which make a virtual environment find what they install into it.
    for command in commands_of(script):
        if command.words and "/" in command.words[0] and not command.words[0].startswith("/"):
            _link(folder / command.words[0], programs)
    return subprocess.run(
        [shutil.which("bash") or "bash", "-e", "-u", "-o", "pipefail", "-c", script],
        cwd=folder, env=_environ(script, around, programs, folder), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def _script(block: Block, around: Surroundings, folder: Path) -> str:
    text = _assignments_before(block) + typed(block)
    text = _EXPORTER.sub(around.exporter, around.serve_apps(text, block.page))
    text = _PORT.sub("127.0.0.1:0", text)
    text = _ABSOLUTE.sub(f"{folder}/", text)
    for name in _KEY_OPTION.findall(text):
        _write_key(folder / name.strip("\"'"))
    for command in commands_of(text):
        place_variables({**command.assigned}, folder)
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
    if block.language not in SHELLS:
        return False
    return not any(command.words for command in commands_of(block.text, inner=False))


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


def _environ(script: str, around: Surroundings, programs: Path, folder: Path) -> dict[str, str]:
    """Return an environment in which a command that names no hub asks the emulated app."""
    own = re.search(r"DURABLE_EXPORTER_(\w+__)?URL|CONFIG_FILE|--config-file|--url", script)
    keyed = re.search(r"_KEY|key-file|config-file|CONFIG_FILE", script)
    asked = {"DURABLE_EXPORTER_URL": around.apps[0], "DURABLE_EXPORTER_NAME": "orders"}
    key = {"DURABLE_EXPORTER_KEY_FILE": str(around.key_file)}
    return {
        **({} if own else asked),
        **({} if own and keyed else key),
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": str(folder),
        "PYTHONPATH": str(ROOT),
        "STAND_IN_KEY": KEY,
        "STAND_IN_ANSWERS": str(around.folder),
        "COLUMNS": "120",
    }


def _stand_in(programs: Path) -> None:
    for name, program in PROGRAMS.items():
        if program.stood_in:
            _executable(programs / name, ("tests/docs/stand_in.sh", name))
    _executable(programs / "durable-exporter", (sys.executable, "-m", "tests.docs.stand_in"))


def _executable(path: Path, command: Sequence[str]) -> None:
    if command[0].endswith(".sh"):
        command = ("sh", str(ROOT / command[0]), *command[1:])
    words = " ".join(f"'{word}'" for word in command)
    path.write_text(f'#!/bin/sh\nexec {words} "$@"\n', encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def _link(path: Path, programs: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() and (programs / path.name).exists():
        path.symlink_to(programs / path.name)
