"""What is installed is whole."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

from exporter import __version__

ROOT = Path(__file__).parents[1]


def test_the_wheel_holds_every_file_of_its_packages_and_the_command(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, ROOT],
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob(f"durable_functions_exporter-{__version__}-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (entry_points,) = (name for name in names if name.endswith("entry_points.txt"))
        commands = archive.read(entry_points).decode()
    files = {
        path.relative_to(ROOT).as_posix()
        for package in ("emulator", "exporter")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix in (".py", ".html", ".css", ".svg", ".typed", ".yaml")
    }
    assert files <= names
    assert linked() <= names
    assert "durable-exporter = exporter.__main__:main" in commands


def test_a_wheel_made_of_the_source_distribution_holds_what_is_linked_too(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", tmp_path, ROOT],
        check=True,
        capture_output=True,
    )
    (sdist,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        held = [name.partition("/")[2] for name in archive.getnames()]
    assert linked() <= set(held)
    assert len(held) == len(set(held))
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        assert linked() <= set(packed.namelist())
        assert len(packed.namelist()) == len(set(packed.namelist()))


def linked() -> set[str]:
    """Return the runbooks and dashboards, where the package has them."""
    runbooks = (ROOT / "docs" / "runbooks").glob("*.md")
    dashboards = (ROOT / "grafana" / "dashboards").glob("*.json")
    return {f"exporter/runbooks/{path.name}" for path in runbooks} | {
        f"exporter/dashboards/{path.name}" for path in dashboards
    }


def test_the_locks_name_hashes_and_no_host() -> None:
    for path in ROOT.glob("requirements*.lock"):
        text = path.read_text(encoding="utf-8")
        assert "://" not in text
        assert len(re.findall(r"^[a-z0-9-]+==", text, re.MULTILINE)) == len(
            re.findall(r"==[^\n]*\\\n    --hash=sha256:", text)
        )


def test_every_direct_dependency_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    locked = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    for requirement in project["dependencies"]:
        name = re.split(r"[\[<>=]", requirement)[0]
        assert f"\n{name}==" in f"\n{locked}"
