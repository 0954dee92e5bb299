"""The page about the image: what it tells to type is understood, and does what it says."""

from __future__ import annotations

import re
import shlex
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from tests.image.base import ROOT
from tests.image.building import Image, podman
from tests.image.containers import (
    MEMORY_LIMIT,
    MIB,
    PATIENCE_SECONDS,
    RESTRICTED,
    STATE_DIR,
    Container,
)
from tests.real.daemon import reserved_port

pytestmark = pytest.mark.image

PAGE = (ROOT / "docs/container.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def commands(program: str) -> Iterator[list[str]]:
    for block in blocks("sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == [program]:
                yield words


@pytest.mark.usefixtures("image")
def test_every_option_of_podman_is_one() -> None:
    typed = list(commands("podman"))
    assert len(typed) == 5
    for _, command, *words in typed:
        known = set(re.findall(r"--[a-z-]+", podman(command, "--help")))
        # What comes behind the image's name is the exporter's own.
        own = words[: words.index("IMAGE")] if "IMAGE" in words else []
        options = {word.partition("=")[0] for word in own if word.startswith("--")}
        assert options <= known, command


@pytest.fixture
def unique(tmp_path: Path) -> Iterator[str]:
    """End the names of a secret, a volume and a container, all gone afterwards."""
    name = uuid.uuid4().hex
    (tmp_path / "key").write_text("q7Jw-the-system-key-9zX")
    podman("secret", "create", f"functions-key-{name}", tmp_path / "key")
    yield name
    podman("rm", "--force", "--time=0", "--ignore", f"durable-exporter-{name}")
    podman("volume", "rm", "--force", f"durable-exporter-state-{name}")
    podman("secret", "rm", f"functions-key-{name}")


def test_what_it_tells_to_type_first_runs(image: Image, unique: str) -> None:
    (typed,) = (" ".join(words[2:]) for words in commands("podman") if "--detach" in words)
    with reserved_port() as port:
        # As typed but for names, which are this test's own, and the host's network.
        for told, here in (
            ("IMAGE", image.name),
            ("--publish=10771:10771", f"--env=DURABLE_EXPORTER_LISTEN_ADDRESS=127.0.0.1:{port}"),
            ("functions-key", f"functions-key-{unique}"),
            ("durable-exporter-state", f"durable-exporter-state-{unique}"),
            ("--name durable-exporter", f"--name=durable-exporter-{unique}"),
        ):
            assert told in typed
            typed = typed.replace(told, here)
        container = Container(podman("run", *RESTRICTED, *typed.split()).strip())
        with httpx.Client(transport=httpx.HTTPTransport(retries=10)) as client:
            answer = client.get(f"http://127.0.0.1:{port}/-/healthy")
        assert answer.status_code == 200, container.log()
        assert container.stop() < PATIENCE_SECONDS
        assert container.state()["ExitCode"] == 0


def test_its_limit_and_folders_are_the_real_ones() -> None:
    (run,) = (words for words in commands("podman") if "--detach" in words)
    assert f"--memory={MEMORY_LIMIT // MIB}m" in run
    assert f"--env=DURABLE_EXPORTER_STATE_DIR={STATE_DIR}" in run
    assert f"--volume=durable-exporter-state:{STATE_DIR}" in run
    (compose,) = blocks("yaml")
    service = yaml.safe_load(compose)["services"]["durable-exporter"]
    assert service["mem_limit"] == f"{MEMORY_LIMIT // MIB}m"
    assert service["read_only"] is True
    assert f"state:{STATE_DIR}" in service["volumes"]


def test_its_build_arguments_are_those_of_the_file() -> None:
    declared = set(
        re.findall(r"^ARG (\w+)", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    (table,) = re.findall(r"^\| build argument .*?\n\n", PAGE, re.MULTILINE | re.DOTALL)
    first = "".join(row.split("|")[1] for row in table.splitlines() if row)
    told = set(re.findall(r"`([A-Z_]+)`", first))
    assert told == declared
