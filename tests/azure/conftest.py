"""A stand-in that gives its tokens to the exporter in the same process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from emulator.azure.cloud import AzureCloud
from exporter.api.azure.identity import AzureIdentity
from tests.azure.stand_in import Azure, IssuedTokens, azure, site


@pytest.fixture
async def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Azure]:
    cloud = AzureCloud([site("orders")])
    monkeypatch.setattr(AzureIdentity, "_default_credential", lambda _: IssuedTokens(cloud))
    async with azure(cloud, tmp_path) as where:
        yield where
