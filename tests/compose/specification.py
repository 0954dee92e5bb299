"""As much of the Compose specification as the example uses, and nothing beside it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from tests.docs.pages import ROOT

FILE = ROOT / "compose.yaml"
GRAFANA_ALERTS = ROOT / "compose" / "grafana-alerts.yaml"

_VARIABLE = re.compile(r"\$\{(?P<name>[A-Z_]+):-(?P<default>[^}]*)\}")
_Text = Annotated[str, StringConstraints(min_length=1)]
_Duration = Annotated[str, StringConstraints(pattern=r"^[0-9]+[smh]$")]
_Words = Annotated[tuple[_Text, ...], Field(min_length=1)]


class Part(BaseModel):
    """A part of the file: what is not described here is refused, and so is text for a number."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Port(Part):
    """What of a container can be reached, and from where."""

    host: str
    published: int
    target: int


class Mount(Part):
    """A file or folder of the repository, or a volume by its name, where a container has it."""

    type: Literal["bind", "volume"]
    source: _Text
    target: Annotated[str, StringConstraints(pattern="^/")]
    read_only: bool = False


class HealthCheck(Part):
    """What is run within the container, and how often."""

    test: _Words
    interval: _Duration
    timeout: _Duration
    start_period: _Duration


def _port(written: object) -> object:
    if not isinstance(written, str):
        return written
    host, published, target = written.rsplit(":", 2)
    return Port(host=host, published=int(published), target=int(target))


def _mount(written: object) -> object:
    if not isinstance(written, str):
        return written
    source, target, *mode = written.split(":")
    of_a_path = source.startswith(("./", "/"))
    return Mount(
        type="bind" if of_a_path else "volume",
        source=source,
        target=target,
        read_only={"": False, "ro": True}[":".join(mode)],
    )


class Service(Part):
    """One container; what an extending file says of it is only a part."""

    image: str = ""
    build: str = ""
    user: str = ""
    read_only: bool = False
    cap_drop: tuple[str, ...] = ()
    security_opt: tuple[str, ...] = ()
    command: tuple[_Text, ...] = ()
    environment: Mapping[str, str] = {}
    ports: tuple[Annotated[Port, BeforeValidator(_port)], ...] = ()
    volumes: tuple[Annotated[Mount, BeforeValidator(_mount)], ...] = ()
    tmpfs: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    mem_limit: Annotated[str, StringConstraints(pattern="^[0-9]+m$")] = "0m"
    healthcheck: HealthCheck | None = None

    def source_of(self, target: str) -> Path:
        """Return what of the repository lies at *target*."""
        (found,) = (each.source for each in self.volumes if each.target == target)
        return ROOT / found


class Secret(Part):
    """A file that a container has below `/run/secrets`."""

    file: _Text


class Compose(Part):
    """A whole file, or one that extends it."""

    name: str = ""
    services: Mapping[str, Service]
    volumes: Mapping[str, None] = {}
    secrets: Mapping[str, Secret] = {}


def read_compose(path: Path = FILE, environ: Mapping[str, str] = os.environ) -> Compose:
    """Read a file, with the variables that it names from *environ*, or as their defaults say."""
    text = _VARIABLE.sub(
        lambda found: environ.get(found["name"]) or found["default"],
        path.read_text(encoding="utf-8"),
    )
    content: dict[str, Any] = yaml.safe_load(text)
    shared = [name for name in content if name.startswith("x-")]
    return Compose.model_validate(
        _as_tuples({key: value for key, value in content.items() if key not in shared})
    )


def _as_tuples(content: object) -> object:
    """Return lists as what strict models take."""
    if isinstance(content, dict):
        return {key: _as_tuples(value) for key, value in content.items()}
    return tuple(map(_as_tuples, content)) if isinstance(content, list) else content
