"""Every operation of the published description of the API has a route."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from emulator import ExtensionVersion
from emulator.http.messages import Base
from emulator.http.routes import decode, find
from tests.emulator.conftest import MAJOR_VERSIONS

DESCRIPTION = Path(__file__).parents[1] / "data" / "durable-functions-http-api.openapi.yml"
METHODS = ("get", "post", "put", "patch", "delete")
BEHIND_BASE = len(Base.WEB_HOOK)


def described() -> Iterator[tuple[str, str]]:
    description = yaml.safe_load(DESCRIPTION.read_text("utf-8"))
    for path, operations in description["paths"].items():
        yield from ((method.upper(), path) for method in METHODS if method in operations)


@pytest.mark.parametrize("version", MAJOR_VERSIONS)
@pytest.mark.parametrize(("method", "path"), list(described()))
def test_an_operation_is_routed_with_its_arguments(
    version: ExtensionVersion, method: str, path: str
) -> None:
    names = re.findall(r"{(\w+)}", path)
    filled = re.sub(r"{(\w+)}", r"the%20\1", path)
    route = find(method, decode(filled[BEHIND_BASE:], version), version)
    assert route is not None
    assert route.arguments == tuple(f"the {name}" for name in names)


def test_the_description_has_fourteen_operations() -> None:
    assert len(list(described())) == 14
