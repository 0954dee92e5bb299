"""What an image is made of where no registry of images is reached: Debian, and wheels."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.tools import UNPACKED, tool

ROOT = Path(__file__).parents[2]
CACHE = UNPACKED / "image"
LOCKS = (ROOT / "requirements.lock", ROOT / "requirements-build.lock")
# Debian 13, and the Python that it has.
CODENAME, PYTHON = "trixie", "3.13"
PACKAGES = "ca-certificates,python3-venv"
# Devices are the container's own; what was downloaded is installed.
PATIENCE_SECONDS = 600
LEFT_OUT = ("./dev/*", "./proc/*", "./sys/*", "./var/cache/apt/*", "./var/lib/apt/lists/*")


def base_image() -> str:
    """Return the name of an image of Debian with Python, made on first use."""
    archive = _archive()
    name = f"localhost/durable-exporter-base:{_digest(PACKAGES, str(archive.stat().st_mtime_ns))}"
    podman = tool("podman")
    if subprocess.run([podman, "image", "exists", name], check=False).returncode:
        run(podman, "import", "--quiet", archive, name)
    return name


def wheels() -> Path:
    """Return a folder with the wheels that the locks name for that Python, and nothing else."""
    folder = (
        CACHE / f"wheels-{_digest(PYTHON, *(lock.read_text(encoding='utf-8') for lock in LOCKS))}"
    )
    if not folder.exists():
        with _made_whole(folder) as made:
            _download(made)
    return folder


def _download(folder: Path) -> None:
    pip = (sys.executable, "-m", "pip", "download", "--require-hashes", "--only-binary=:all:")
    locks = [f"--requirement={lock}" for lock in LOCKS]
    run(*pip, f"--python-version={PYTHON}", f"--dest={folder}", *locks)


def _archive() -> Path:
    archive = CACHE / f"{CODENAME}.tar"
    if not archive.exists():
        with _made_whole(archive) as made, tempfile.TemporaryDirectory(dir=CACHE) as system:
            _install_debian(Path(system))
            left_out = [f"--exclude={pattern}" for pattern in LEFT_OUT]
            run("tar", "--create", f"--file={made}", f"--directory={system}", *left_out, ".")
    return archive


def _install_debian(folder: Path) -> None:
    folder.chmod(0o755)
    options = ("--variant=minbase", f"--include={PACKAGES}")
    run(tool("debootstrap"), *options, CODENAME, folder, *_mirror())


def _mirror() -> list[str]:
    """Return the mirror that this machine has its own packages from, if it is a Debian."""
    said = run("apt-get", "indextargets", "--format", "$(CODENAME) $(REPO_URI)")
    found = (line.split() for line in said.splitlines())
    return next(([line[1]] for line in found if line[0] in ("bookworm", CODENAME)), [])


@contextmanager
def _made_whole(path: Path) -> Iterator[Path]:
    """Let a file or folder appear only when it is complete, whoever else makes the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / path.name
        yield made
        if path.exists():
            return
        made.rename(path)


def run(*command: str | Path) -> str:
    """Run a program, show what it said if it fails, and return what it printed."""
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]
