"""Files that examples name, put where a test may read them."""

from __future__ import annotations

import re
import shlex
from collections.abc import MutableMapping
from functools import cache
from pathlib import Path
from typing import Any

import trustme

_VARIABLE = re.compile(r"\b(DURABLE_EXPORTER_\w+)=('[^']*'|[^\s`]*)")
KEY = "q7Jw-the-system-key-9zX"


@cache
def _certificates() -> tuple[bytes, bytes]:
    """Return a certificate and its private key, as PEM."""
    issued = trustme.CA().issue_cert("prometheus.monitoring.svc")
    return issued.cert_chain_pems[0].bytes(), issued.private_key_pem.bytes()


def place_files(content: object, folder: Path) -> None:
    """Let every file and folder that *content* names lie in *folder*, with what belongs there."""
    if isinstance(content, list):
        for each in content:
            place_files(each, folder)
    if not isinstance(content, dict):
        return
    names = [str(name) for name in content.get("hubs") or ()]
    for setting, value in list(content.items()):
        if not isinstance(value, str):
            place_files(value, folder)
        elif str(setting).endswith(("_file", "_dir")):
            of_tls = setting == "key_file" and "cert_file" in content
            made = place("tls_key_file" if of_tls else str(setting), value, folder, names)
            content[setting] = str(made)


def place(setting: str, value: str, folder: Path, hubs: list[str]) -> Path:
    """Make what the setting names below *folder*; the keys of *hubs* stand in a folder of keys."""
    path = folder / value.lstrip("/")
    if setting.endswith("_dir"):
        path.mkdir(parents=True, exist_ok=True)
        for hub in hubs if setting == "keys_dir" else ():
            (path / hub).write_text(KEY, encoding="utf-8")
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_content_of(setting))
    return path


def _content_of(setting: str) -> bytes:
    certificate, private = _certificates()
    if setting in ("cert_file", "client_cert_file", "ca_file", "client_ca_file"):
        return certificate
    return private if setting in ("client_key_file", "tls_key_file") else KEY.encode()


def variables_of(script: str) -> dict[str, str]:
    """Return the exporter's own variables that a script sets, or hands to a container."""
    return {name: "".join(shlex.split(value)) for name, value in _VARIABLE.findall(script)}


def place_variables(environ: MutableMapping[str, Any], folder: Path) -> None:
    """Do the same for variables of the exporter."""
    hubs = {
        environ.get(name.removesuffix("URL") + "NAME", name.split("__")[1].lower())
        for name in environ
        if name.startswith("DURABLE_EXPORTER_HUBS__") and name.endswith("__URL")
    }
    for name, value in list(environ.items()):
        setting = name.removeprefix("DURABLE_EXPORTER_").split("__")[-1].lower()
        if name.startswith("DURABLE_EXPORTER_") and setting.endswith(("_file", "_dir")):
            environ[name] = str(place(setting, value, folder, sorted(hubs)))
