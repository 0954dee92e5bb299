"""Clouds from YAML files: apps, and the certificate to serve them with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from emulator.azure.cloud import DURABLE_BINDINGS, RUNNING, STOPPED, TOKEN_SECONDS, AzureCloud, Site
from emulator.emulator import Emulator
from emulator.scenarios.fields import FieldProblem, Fields

_OTHER_BINDINGS = ("httpTrigger", "timerTrigger")


class AzureFileProblem(ValueError):
    """A file of `--azure` has a mistake; the message says where and why."""


@dataclass(frozen=True, slots=True)
class AzureFile:
    """A cloud, and the files of its certificate."""

    cloud: AzureCloud
    certificate: Path
    private_key: Path


def read_azure_file(path: Path, make: Callable[[str, str], Emulator]) -> AzureFile:
    """
    Return the cloud of a file; *make* returns the emulator of an app for a hub and a key.

    Raises `OSError`, and `AzureFileProblem` for a mistake.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        fields = Fields(content, path.name)
        certificate, key = fields.text("certificate"), fields.text("private_key")
        cloud = AzureCloud(
            [_site(Fields(each, f"{path.name}: apps"), make) for each in fields.items("apps")],
            token_seconds=fields.seconds("token_lifetime", TOKEN_SECONDS),
        )
        fields.finish()
    except (FieldProblem, UnicodeDecodeError) as problem:
        raise AzureFileProblem(str(problem)) from problem
    except yaml.YAMLError as problem:
        raise AzureFileProblem(f"{path.name} is not YAML") from problem
    return AzureFile(cloud, path.parent / certificate, path.parent / key)


def _site(fields: Fields, make: Callable[[str, str], Emulator]) -> Site:
    resource_id = fields.text("resource_id")
    app = resource_id.partition("/sites/")[2].replace("/slots/", "-")
    if not app:
        raise FieldProblem(f"{fields.where}: {resource_id!r} is not the resource id of an app")
    hub = "".join(sign for sign in app.title() if sign.isalnum())
    is_durable = _flag(fields, "durable", default=True)
    site = Site(
        resource_id,
        fields.text("host", f"{app.lower()}.azure.localhost"),
        make(fields.text("hub", f"{hub}Hub"), fields.text("key", f"key-of-{app}-0123456789")),
        kind=fields.text("kind", "functionapp,linux"),
        location=fields.text("location", "westeurope"),
        tags={name: str(value) for name, value in fields.mapping("tags").items()},
        state=fields.one_of("state", [RUNNING, STOPPED]),
        bindings=DURABLE_BINDINGS if is_durable else _OTHER_BINDINGS,
        has_login=_flag(fields, "authentication", default=False),
    )
    fields.finish()
    return site


def _flag(fields: Fields, name: str, *, default: bool) -> bool:
    if not fields.has(name):
        return default
    value = fields.json(name)
    if not isinstance(value, bool):
        raise FieldProblem(f"{fields.where}: {name} must be true or false")
    return value
