"""The real azure-identity gets tokens where it would in Azure; without it nothing of it is used."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from emulator.azure.cloud import AzureCloud
from exporter.api.azure.identity import EXTRA_MISSING, AzureIdentity
from exporter.api.classify import Failures
from exporter.api.errors import HubDenied
from exporter.cli.conventions import ExitCode
from tests.azure.stand_in import azure, site
from tests.cli.process import run

pytestmark = pytest.mark.anyio

FAILURES = Failures("orders", "listInstances")


@pytest.mark.parametrize("access", ["key", "resource-manager"])
@pytest.mark.parametrize("way", ["workload identity", "managed identity"])
async def test_the_real_library_gets_tokens_by_which_an_app_is_read(
    tmp_path: Path, way: str, access: str
) -> None:
    pytest.importorskip("azure.identity")
    cloud = AzureCloud([site("orders")])
    async with azure(cloud, tmp_path) as place:
        (app,) = cloud.sites
        workload, managed = place.workload_identity(), place.managed_identity()
        hub = {"URL": place.url_of(app), "RESOURCE_ID": app.resource_id, "ACCESS": access}
        environ = {
            **(workload if way == "workload identity" else managed),
            **{f"DURABLE_EXPORTER_{name}": value for name, value in place.variables(**hub).items()},
        }
        checked = await run("check", environ=environ)
        assert (checked.code, checked.err) == (0, "")
        assert "all hubs answer" in checked.out
        assert cloud.tokens == {way: 1}
        cloud.refuses_tokens = True
        refused = await run("check", environ=environ)
        assert refused.code == ExitCode.HUB_FAILED
        assert "the identity got no token" in refused.out


async def test_where_the_extra_is_missing_the_message_names_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "azure.identity.aio", None)
    with pytest.raises(HubDenied) as caught:
        await AzureIdentity("public").token(FAILURES)
    assert caught.value.reason == EXTRA_MISSING
    assert "with its extra `azure`" in caught.value.hint
