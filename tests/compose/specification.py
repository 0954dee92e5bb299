"""
Compose files: valid by the published schema of the specification, then read.

The schema (Apache-2.0) lies in `tests/data` as the package check-jsonschema 0.39.0 brings it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import jsonschema
import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict

from tests.docs.pages import ROOT

FILE = ROOT / "compose.yaml"
GRAFANA_ALERTS = ROOT / "compose" / "grafana-alerts.yaml"

_VARIABLE = re.compile(r"\$\{(?P<name>[A-Z_]+):-(?P<default>[^}]*)\}")
SCHEMA: Mapping[str, Any] = json.loads(
    (ROOT / "tests" / "data" / "compose-spec.json").read_text(encoding="utf-8")
)


VALIDATOR = jsonschema.validators.validator_for(SCHEMA)(SCHEMA)


class Part(BaseModel):
    """A part of a valid file: as much of it as tests look at."""

    model_config = ConfigDict(frozen=True)


class Port(Part):
    """What of a container can be reached, and from where."""

    host: str
    published: int
    target: int


class Mount(Part):
    """A file or folder of the repository, or a volume by its name, where a container has it."""

    type: Literal["bind", "volume"]
    source: str
    target: str
    read_only: bool = False


class HealthCheck(Part):
    """What is run within the container."""

    test: tuple[str, ...]


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
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = {}
    ports: tuple[Annotated[Port, BeforeValidator(_port)], ...] = ()
    volumes: tuple[Annotated[Mount, BeforeValidator(_mount)], ...] = ()
    tmpfs: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    mem_limit: str = "0m"
    healthcheck: HealthCheck | None = None

    def source_of(self, target: str) -> Path:
        """Return what of the repository lies at *target*."""
        (found,) = (each.source for each in self.volumes if each.target == target)
        return ROOT / found


class Secret(Part):
    """A file that a container has below `/run/secrets`."""

    file: str


class Compose(Part):
    """A whole file, or one that extends it."""

    name: str = ""
    services: Mapping[str, Service]
    volumes: Mapping[str, object] = {}
    secrets: Mapping[str, Secret] = {}


def read_compose(path: Path = FILE, environ: Mapping[str, str] = os.environ) -> Compose:
    """
    Read a file, with the variables that it names from *environ*, or as their defaults say.

    Raises:
        jsonschema.ValidationError: it is none by the specification.
        ValueError: it says something in a way that tests do not look at.
    """
    text = _VARIABLE.sub(
        lambda found: environ.get(found["name"]) or found["default"],
        path.read_text(encoding="utf-8"),
    )
    content = yaml.safe_load(text)
    VALIDATOR.validate(content)
    return Compose.model_validate(content)
