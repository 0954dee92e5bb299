"""Validation by the published schemas of Kubernetes' own kinds and of operators."""

from __future__ import annotations

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
    if is_custom(manifest):
        if found := problems(manifest):
            raise Refused(f"{manifest['kind']} {found}")
        return
    try:
        for version in (OLDEST, NEWEST):
            utils.validate(manifest, version, strict=True)
    except jsonschema.ValidationError as error:
        place = ".".join(map(str, error.path))
        raise Refused(f"{manifest['kind']} {place}: {error.message}") from None
    except utils.SchemaNotFoundError as error:
        raise Refused(error.message) from None
