"""A rendered pod's environment and files, laid out in a folder as by the kubelet."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.certificates import Authority
from tests.chart.chart import Manifest, Rendered

KEY = "key-of-a-secret-from-elsewhere"
WEB_CONFIG = "http_server_config:\n  headers:\n    X-Frame-Options: deny\n"

Files = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Pod:
    """The environment and arguments of a container whose files are in a folder."""

    environ: Mapping[str, str]
    arguments: tuple[str, ...]


def laid_out(rendered: Rendered, specification: Manifest, folder: Path) -> Pod:
    """Write the files of a pod's first container to *folder*, to which all paths are moved."""
    container = specification["containers"][0]
    outside = _outside(folder)
    volumes = {volume["name"]: volume for volume in specification["volumes"]}
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}

    def moved(text: str) -> str:
        for path in sorted(mounts, reverse=True):
            text = text.replace(path, f"{folder}{path}")
        return text

    for path, name in mounts.items():
        # A claim of a StatefulSet's is no volume of its pods' template.
        files = _files(volumes.get(name, {"emptyDir": {}}), rendered, outside)
        _write(Path(f"{folder}{path}"), files, moved)
    environ = dict(_environment(container, rendered))
    return Pod({name: moved(text) for name, text in environ.items()}, tuple(container["args"]))


def _write(folder: Path, files: Files, moved: Callable[[str], str]) -> None:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_text(moved(content), encoding="utf-8")


def _environment(container: Manifest, rendered: Rendered) -> Iterator[tuple[str, str]]:
    for variable in container["env"]:
        source = variable.get("valueFrom", {})
        if "secretKeyRef" in source:
            place = source["secretKeyRef"]
            yield variable["name"], _secret(rendered, place["name"]).get(place["key"], KEY)
        else:
            yield variable["name"], variable.get("value", "of-the-node")


def _files(volume: Manifest, rendered: Rendered, outside: Callable[[str], Files]) -> Files:
    """Return the files of a volume; those of existing Secrets are made up."""
    if "projected" in volume:
        sources = [source["secret"] for source in volume["projected"]["sources"]]
        return {name: text for each in sources for name, text in _selected(each, rendered, outside)}
    if "configMap" in volume:
        return _config_map(rendered, volume["configMap"]["name"]) or outside("certificates")
    if "secret" in volume:
        return outside("certificates")
    return outside("keys") if "csi" in volume else {}


def _selected(
    source: Manifest, rendered: Rendered, outside: Callable[[str], Files]
) -> Iterator[tuple[str, str]]:
    entries = _secret(rendered, source["name"])
    for item in source.get("items", ()):
        made_up = WEB_CONFIG if item["path"].endswith(".yaml") else KEY
        yield item["path"], entries[item["key"]] if entries else made_up
    if "items" not in source:
        yield from (entries or outside("certificates")).items()


def _secret(rendered: Rendered, name: str) -> dict[str, str]:
    """Return the entries of a Secret of the release, none if it has none such."""
    entries: dict[str, str] = {}
    for secret in rendered.of_kind("Secret"):
        if secret["metadata"]["name"] == name:
            entries |= {
                key: base64.b64decode(text).decode() for key, text in secret["data"].items()
            }
    return entries


def _config_map(rendered: Rendered, name: str) -> dict[str, str]:
    """Return the entries of a ConfigMap of the release, none if it has none such."""
    entries: dict[str, str] = {}
    for config_map in rendered.of_kind("ConfigMap"):
        if config_map["metadata"]["name"] == name:
            entries |= config_map["data"]
    return entries


def _outside(folder: Path) -> Callable[[str], Files]:
    """Return files of other volumes: certificates of a new authority, keys of any hub."""
    authority = Authority(folder, "outside")
    certificate = authority.sign("outside", "exporter.monitoring.svc")
    keys = dict.fromkeys(("orders", "billing", "shipping"), KEY)
    certificates = {
        "ca.crt": authority.pem.decode(),
        "tls.crt": certificate.cert.read_text(),
        "tls.key": certificate.key.read_text(),
    }
    return lambda what: keys if what == "keys" else keys | certificates
