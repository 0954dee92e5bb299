"""`emulator --azure`, `discover` and the role, as their user runs them."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.azure.stand_in import subscription
from tests.certificates import Authority
from tests.cli.process import emulator_that_says, run

pytestmark = pytest.mark.anyio

SITES = f"/subscriptions/{subscription(0)}/resourceGroups/Shop/providers/Microsoft.Web/sites"
FILE = f"""\
certificate: azure.crt
private_key: azure.key
apps:
  - {{resource_id: {SITES}/orders, tags: {{team: payments}}}}
  - {{resource_id: {SITES}/website, durable: false}}
  - {{resource_id: {SITES}/reports, state: Stopped}}
"""
KEY_RIGHT = "Microsoft.Web/sites/host/listkeys/action"
ROUTE_RIGHT = "Microsoft.Web/sites/hostruntime/*/read"


@asynccontextmanager
async def emulated(folder: Path) -> AsyncIterator[dict[str, str]]:
    """Run the command; yields the environment that its banner tells to give to an exporter."""
    Authority(folder).sign("azure", "*.azure.localhost")
    (folder / "azure.yaml").write_text(FILE)
    options = ("--azure", str(folder / "azure.yaml"), "--app", "recorded")
    async with emulator_that_says("durable-exporter discover", *options) as banner:
        environ = dict(re.findall(r"^  (\w+)=(.*)$", banner, re.MULTILINE))
        ca = str(folder / "ca.pem")
        yield {**environ, "SSL_CERT_FILE": ca, "DURABLE_EXPORTER_TLS__CA_FILE": ca}


async def test_the_emulated_apps_are_found_with_reasons_as_table_and_json(tmp_path: Path) -> None:
    pytest.importorskip("azure.identity")
    async with emulated(tmp_path) as environ:
        table = await run("discover", environ=environ)
        assert (table.code, table.err) == (0, "")
        for part in ("orders", "no Durable Functions", "it is stopped", "1 app polled, 1 left out"):
            assert part in table.out
        said = await run("discover", "--format", "json", environ=environ)
        found = json.loads(said.out)
        assert [one["hub"] for one in found["polled"]] == ["orders"]
        assert found["polled"][0]["resource_id"] == f"{SITES}/orders"
        assert found["unknown"][0]["reason"] == "it is stopped"
        checked = await run("check", environ=environ)
        assert (checked.code, "all hubs answer" in checked.out) == (0, True)
        drained = await run("drain", "ProcessOrder", environ=environ)
        assert drained.code == 0
        # A gate that knows none of the hubs must not open.
        for command in (("discover",), ("drain", "ProcessOrder"), ("check",)):
            refused = await run(*command, environ={**environ, "IDENTITY_HEADER": ""})
            assert refused.code == 1
            assert "the identity got no token" in refused.err


@pytest.mark.parametrize(
    ("access", "slots", "right", "number"),
    [("key", "false", KEY_RIGHT, 3), ("resource-manager", "true", ROUTE_RIGHT, 6)],
)
async def test_the_role_has_the_rights_of_the_way_and_no_other(
    access: str, slots: str, right: str, number: int
) -> None:
    environ = {
        "DURABLE_EXPORTER_DISCOVERY__AZURE__ACCESS": access,
        "DURABLE_EXPORTER_DISCOVERY__AZURE__SLOTS": slots,
        "DURABLE_EXPORTER_DISCOVERY__AZURE__SUBSCRIPTIONS": subscription(0),
    }
    said = await run("discover", "--role", environ=environ)
    role = json.loads(said.out)
    assert right in role["Actions"]
    assert len(role["Actions"]) == number
    assert {KEY_RIGHT, ROUTE_RIGHT} - set(role["Actions"])
    assert role["AssignableScopes"] == [f"/subscriptions/{subscription(0)}"]
    assert said.err == ""


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (FILE, "cannot listen"),
        ("apps: []", "certificate is missing"),
        (FILE.replace("durable: false", "durable: perhaps"), "true or false"),
        (FILE.replace("state: Stopped", "state: Away"), "none of Running, Stopped"),
        (FILE.replace("tags:", "tag:"), "tag means nothing here"),
        (":\n\t:", "is not YAML"),
    ],
)
async def test_a_file_with_a_mistake_is_refused_with_its_place(
    tmp_path: Path, text: str, problem: str
) -> None:
    (tmp_path / "azure.yaml").write_text(text)
    options = ("--azure", str(tmp_path / "azure.yaml"), "--app", "empty", "--port", "0")
    outcome = await run("emulator", *options)
    assert outcome.code == 2
    assert problem in outcome.err
    assert outcome.err.startswith("--azure: ")
