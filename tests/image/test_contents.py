"""What is in the image, and what is not."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.image.base import PYTHON
from tests.image.building import Image, built
from tests.image.containers import MIB, STATE_DIR

pytestmark = pytest.mark.image

USER = 65532
MOST_BYTES = 78 * MIB
"""Of the exporter and its dependencies, with bytecode; aiohttp and c-ares are 8 of them."""
OTHERS_MAY_WRITE = stat.S_IWOTH
BECOMES_ANOTHER = stat.S_ISUID | stat.S_ISGID
# In the four bytes after the magic number: by a hash that nobody checks.
UNCHECKED_HASH = 1


@pytest.fixture(scope="module")
def files(image: Image) -> Iterator[Path]:
    with image.files() as folder:
        yield folder


def inside(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for path in folder.rglob("*"):
        status = path.lstat()
        if not stat.S_ISLNK(status.st_mode):
            yield path.relative_to(folder), status


def test_only_the_state_directory_can_be_written_by_who_is_not_root(files: Path) -> None:
    writable = [
        f"/{path}"
        for path, status in inside(files)
        if status.st_uid != 0 or status.st_gid == USER or status.st_mode & OTHERS_MAY_WRITE
    ]
    assert writable == [STATE_DIR]
    status = (files / STATE_DIR[1:]).stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (USER, USER, 0o700)


def test_no_program_makes_its_caller_another_user(files: Path) -> None:
    assert not [
        path
        for path, status in inside(files)
        if stat.S_ISREG(status.st_mode) and status.st_mode & BECOMES_ANOTHER
    ]


def test_there_is_neither_pip_nor_a_cache_nor_a_test(files: Path) -> None:
    names = {path.name for path, _ in inside(files)}
    assert not names & {"pip", "pip3", "ensurepip", "hatchling", "test_commands.py", "conftest.py"}
    assert not list((files / "var/cache").iterdir())
    assert not list((files / "tmp").iterdir())
    commands = {path.name for path in (files / "opt/durable-exporter/bin").iterdir()}
    assert commands == {"python", "python3", f"python{PYTHON}", "durable-exporter"}


def test_all_code_is_compiled_and_taken_without_a_look_at_its_time(files: Path) -> None:
    exporter = files / f"opt/durable-exporter/lib/python{PYTHON}/site-packages/exporter"
    tag = f"cpython-{PYTHON.replace('.', '')}"
    library = files / f"usr/lib/python{PYTHON}"
    for source in (*exporter.rglob("*.py"), *library.glob("*.py"), *library.glob("asyncio/*.py")):
        compiled = source.parent / "__pycache__" / f"{source.stem}.{tag}.pyc"
        head = compiled.read_bytes()[:8]
        assert head[4:] == UNCHECKED_HASH.to_bytes(4, "little"), compiled


def test_what_it_adds_to_the_system_is_small(files: Path) -> None:
    size = sum(status.st_size for _, status in inside(files / "opt"))
    assert size < MOST_BYTES


def test_it_runs_as_a_number_and_asks_for_its_health_without_a_shell(image: Image) -> None:
    described = image.described()
    config = described["Config"]
    assert config["User"] == f"{USER}:{USER}"
    assert config["Entrypoint"] == ["durable-exporter"]
    assert config["StopSignal"] == "SIGTERM"
    assert "Volumes" not in config, "a volume that nobody asked for could be written"
    assert described["Healthcheck"]["Test"] == ["CMD", "python", "-m", "exporter.cli.healthy"]
    assert config["ExposedPorts"] == {"10771/tcp": {}}


def test_its_labels_say_what_it_is(image: Image) -> None:
    labels = image.described()["Config"]["Labels"]
    prefix = "org.opencontainers.image."
    assert labels[f"{prefix}title"] == "durable-functions-exporter"
    assert labels[f"{prefix}version"] == "1.2.3"
    assert labels[f"{prefix}licenses"] == "Apache-2.0"


def test_the_same_sources_give_the_same_layers(image: Image) -> None:
    with built() as again:
        assert again.described()["RootFS"] == image.described()["RootFS"]
