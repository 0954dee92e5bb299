"""Settings for tests: variables without their prefix, files from text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from exporter.settings import HubSettings, Settings, SettingsError, load_settings

PREFIX = "DURABLE_EXPORTER_"
SECRET = "hush-9f8e7d"
URL = "https://orders.azurewebsites.net"


def load(
    variables: Mapping[str, str], yaml: str | None = None, folder: Path | None = None, **set_: str
) -> Settings:
    """Load settings from variables without their prefix, a file's text, and the command line."""
    environ = {PREFIX + name: value for name, value in variables.items()}
    if yaml is not None:
        assert folder is not None
        environ |= {PREFIX + "CONFIG_FILE": str(write(folder / "exporter.yaml", yaml))}
    return load_settings(environ, {name.replace("__", "."): value for name, value in set_.items()})


def load_hub(variables: Mapping[str, str]) -> HubSettings:
    """Load the settings of one hub, with a URL and *variables*."""
    (hub,) = load({"URL": URL, **variables}).hubs
    return hub


def problems(
    variables: Mapping[str, str], yaml: str | None = None, folder: Path | None = None, **set_: str
) -> list[str]:
    """Return the problems of loading, none of which shows the secret."""
    with pytest.raises(SettingsError) as caught:
        load(variables, yaml, folder, **set_)
    lines = [str(problem) for problem in caught.value.problems]
    assert str(caught.value) == "\n".join(lines)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    return lines


def write(path: Path, text: str) -> Path:
    """Write *text* to *path*."""
    path.write_text(text, encoding="utf-8")
    return path
