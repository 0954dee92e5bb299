"""Validation by the published schemas of Kubernetes' own kinds and of operators."""

from __future__ import annotations

import json
from functools import cache

import jsonschema
import kubernetes_validate
import yaml
from kubernetes_validate import utils

from tests.chart.chart import CHART, Manifest
from tests.chart.custom_kinds import is_custom, problems

# The package reads megabytes of definitions for every manifest.
utils.schema_contents = cache(utils.schema_contents)

OLDEST = str(yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"])[2:].split("-")[0]
NEWEST: str = kubernetes_validate.latest_version()


class Refused(AssertionError):
    """A manifest that Kubernetes would refuse."""


def check(manifest: Manifest) -> None:
    """
    Do what `kubernetes-validate --strict` does, for the oldest and the newest version.

    Raises:
        Refused: it is not what Kubernetes, or whoever brings the kind, takes.
    """
    if found := _refusal(json.dumps(manifest)):
        raise Refused(found)


@cache
def _refusal(text: str) -> str:
    """Return why a manifest is refused, or nothing; of many renders most manifests are the same."""
    manifest = json.loads(text)
    if is_custom(manifest):
        found = problems(manifest)
        return f"{manifest['kind']} {found}" if found else ""
    try:
        for version in (OLDEST, NEWEST):
            utils.validate(manifest, version, strict=True)
    except jsonschema.ValidationError as error:
        place = ".".join(map(str, error.path))
        return f"{manifest['kind']} {place}: {error.message}"
    except utils.SchemaNotFoundError as error:
        return str(error.message)
    return ""
