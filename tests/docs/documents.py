"""
YAML of the pages, by what it is for.

What a document is follows from its keys, or from the title of its block where they do not tell.
`KINDS` is looked through in order; a document that is none of them fails.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import jsonschema
import kubernetes_validate
import yaml

from emulator import Emulator, Keys, RealClock, TaskHub
from emulator.azure.file import read_azure_file
from emulator.scenarios.scenario import read_scenario
from exporter.settings import load_settings
from exporter.settings.schema import document
from exporter.settings.web_config import read_web_config
from tests.chart.custom_kinds import is_custom, problems
from tests.compose.specification import VALIDATOR as COMPOSE
from tests.docs import schemas
from tests.docs.pages import ROOT, Block
from tests.docs.placed import place_files
from tests.docs.queries import problem_of, unknown_names
from tests.tools import tool

Document: TypeAlias = Mapping[str, Any]
KUBERNETES_VERSION = "1.30"
VALUES_SCHEMA = ROOT / "helm" / "durable-functions-exporter" / "values.schema.json"
# The name of the file, in the title of a block or in the comment that it begins with.
_VALUES = re.compile(r"\A\S*values\.yaml\b|\A\n# \S*values\.yaml$", re.MULTILINE)
# What stands for the rest of a hash or a certificate in an example.
_SHORTENED_HASH = re.compile(r"\$2[aby]\$\d\d\$\.\.\.")
_HASH = "$2b$10$" + "C6UzMDM.H6dfI/f/IKcEeO" + "7ZEr5yf0QvV3bjnqBmXJpz8hWm8Be5sa"[:31]


class NotValid(AssertionError):
    """A block is not what it should be."""


def check_yaml(block: Block, folder: Path) -> None:
    """Check every document of a block; *folder* is for files that a check needs."""
    text = _SHORTENED_HASH.sub(_HASH, block.text)
    documents = [each for each in yaml.safe_load_all(text) if each is not None]
    assert documents, f"{block}: holds no document"
    for number, content in enumerate(documents):
        own = folder / str(number)
        own.mkdir()
        _check(block, content, own)


def _check(block: Block, content: object, folder: Path) -> None:
    for is_one, check in KINDS:
        if is_one(block, content):
            check(content, folder)
            return
    raise NotValid(f"{block}: no check of tests/docs/documents.py knows what this is")


def _has(*keys: str) -> Callable[[Block, object], bool]:
    return lambda _block, content: isinstance(content, dict) and all(key in content for key in keys)


def _has_one(*keys: str) -> Callable[[Block, object], bool]:
    return lambda _block, content: isinstance(content, dict) and any(key in content for key in keys)


def _titled(*parts: str) -> Callable[[Block, object], bool]:
    return lambda block, _content: any(part in block.title for part in parts)


def _is_configuration(_block: Block, content: object) -> bool:
    known = document().members or {}
    return isinstance(content, dict) and bool(content) and set(content) <= set(known)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise NotValid(done.stdout + done.stderr)


def _written(content: object, path: Path) -> str:
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return str(path)


def check_prometheus(content: Any, folder: Path) -> None:  # noqa: ANN401 - YAML of others
    for job in content.get("scrape_configs", ()):
        # Debian's build of Prometheus leaves Kubernetes out.
        for discovery in job.pop("kubernetes_sd_configs", ()):
            jsonschema.validate(discovery, schemas.DISCOVERY)
    path = _written(content, folder / "prometheus.yml")
    _run([str(tool("promtool")), "check", "config", "--syntax-only", path])


def check_rules(content: Any, folder: Path) -> None:  # noqa: ANN401
    path = _written(content, folder / "rules.yml")
    _run([str(tool("promtool")), "check", "rules", path])


def check_alertmanager(content: Any, folder: Path) -> None:  # noqa: ANN401
    whole = {"route": {"receiver": "somebody"}, "receivers": [{"name": "somebody"}], **content}
    path = _written(whole, folder / "alertmanager.yml")
    _run([str(tool("amtool")), "check-config", path])


def check_kubernetes(content: Any, folder: Path) -> None:  # noqa: ANN401
    """Check a resource against what its kind's publisher says, or what pages use of it."""
    own = schemas.RESOURCES.get(content["kind"])
    if content["apiVersion"].startswith("kustomize"):
        own = schemas.KUSTOMIZATION
    if own is not None:
        jsonschema.validate(content, own)
        return
    if not is_custom(content):
        kubernetes_validate.validate(content, KUBERNETES_VERSION, strict=True)
        return
    if found := problems(content):
        raise NotValid(f"{content['kind']}: {found}")
    if content["kind"] == "PrometheusRule":
        check_rules(content["spec"], folder)
    for trigger in content["spec"].get("triggers", ()):
        query = trigger["metadata"]["query"]
        if wrong := [*filter(None, (problem_of(query), *unknown_names(query)))]:
            raise NotValid(f"{query}: {wrong}")


def check_collector(content: Any, folder: Path) -> None:  # noqa: ANN401
    """Check a configuration of the OpenTelemetry collector, and Prometheus' inside of it."""
    jsonschema.validate(content, schemas.COLLECTOR)
    for name, receiver in content["receivers"].items():
        if name.partition("/")[0] == "prometheus":
            check_prometheus(receiver["config"], folder)
    for pipeline in content["service"]["pipelines"].values():
        for part, names in pipeline.items():
            assert set(names) <= set(content[part]), f"{part} {names} are not configured"


def check_values(content: Any, _folder: Path) -> None:  # noqa: ANN401
    """Check values of the chart against its own schema."""
    schema = json.loads(VALUES_SCHEMA.read_text(encoding="utf-8"))
    jsonschema.validate(content, schema)


def check_web_config(content: Any, folder: Path) -> None:  # noqa: ANN401
    place_files(content, folder)
    read_web_config(_written(content, folder / "web.yaml"))


def check_configuration(content: Any, folder: Path) -> None:  # noqa: ANN401
    """Load it as the exporter does; a part of one gets a hub, so that it is whole."""
    whole = {**content} if "hubs" in content or "url" in content else _with_hub(content)
    place_files(whole, folder)
    load_settings({}, {"config_file": _written(whole, folder / "exporter.yaml")})


def _with_hub(content: Document) -> dict[str, Any]:
    return {"url": "https://orders.azurewebsites.net", "task_hub": "OrdersHub", **content}


def check_scenario(content: Any, _folder: Path) -> None:  # noqa: ANN401
    read_scenario("own.yaml", yaml.safe_dump(content))


def check_azure_file(content: Any, folder: Path) -> None:  # noqa: ANN401
    def make(hub: str, key: str) -> Emulator:
        return Emulator(TaskHub(hub, RealClock()), clock=RealClock(), keys=Keys(system=key))

    read_azure_file(Path(_written(content, folder / "azure.yaml")), make)


def _against(schema: Mapping[str, Any]) -> Callable[[Any, Path], None]:
    return lambda content, _folder: jsonschema.validate(content, schema)


KINDS: tuple[tuple[Callable[[Block, object], bool], Callable[[Any, Path], None]], ...] = (
    (_titled("kube-prometheus-stack"), _against(schemas.STACK_VALUES)),
    (_titled("azure-pipelines"), _against(schemas.PIPELINE)),
    (_titled("ama-metrics"), check_prometheus),
    (lambda block, _: bool(_VALUES.search(f"{block.title}\n{block.text}")), check_values),
    (_has("apiVersion", "kind"), check_kubernetes),
    (_has("apiVersion"), _against(schemas.PROVISIONING)),
    (_has("receivers", "service"), check_collector),
    (_has_one("inhibit_rules", "route"), check_alertmanager),
    (_has_one("scrape_configs", "remote_write", "rule_files", "alerting"), check_prometheus),
    (_has("groups"), check_rules),
    (_has("services"), lambda content, _folder: COMPOSE.validate(content)),
    (_has("events"), check_scenario),
    (_has("certificate", "apps"), check_azure_file),
    (_has_one("tls_server_config", "basic_auth_users", "rate_limit"), check_web_config),
    (_is_configuration, check_configuration),
)
