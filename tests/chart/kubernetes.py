"""What Kubernetes takes: its own kinds by its published schemas, those of others by our own."""

from __future__ import annotations

from functools import cache
from typing import Any

import jsonschema
import kubernetes_validate
import yaml
from kubernetes_validate import utils

from tests.chart.chart import CHART, Manifest
from tests.chart.custom_kinds import SCHEMAS

# The package reads megabytes of definitions for every manifest.
utils.schema_contents = cache(utils.schema_contents)

OLDEST = str(yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"])[2:].split("-")[0]
NEWEST: str = kubernetes_validate.latest_version()


class Refused(AssertionError):
    """A manifest that Kubernetes would not take as it is."""


def check(manifest: Manifest) -> None:
    """
    Do what `kubernetes-validate --strict` does, for the oldest and the newest version.

    Raises:
        Refused: it is not what Kubernetes, or whoever brings the kind, takes.
    """
    kind = (manifest["apiVersion"], manifest["kind"])
    try:
        if kind in SCHEMAS:
            _validator(kind).validate(manifest)
            return
        for version in (OLDEST, NEWEST):
            utils.validate(manifest, version, strict=True)
    except jsonschema.ValidationError as error:
        place = ".".join(map(str, error.path))
        raise Refused(f"{manifest['kind']} {place}: {error.message}") from None
    except utils.SchemaNotFoundError as error:
        raise Refused(error.message) from None


@cache
def _validator(kind: tuple[str, str]) -> Any:  # noqa: ANN401 - the package has no types
    validator = jsonschema.Draft202012Validator
    validator.check_schema(SCHEMAS[kind])
    return validator(SCHEMAS[kind])
