"""An httpx client whose transport can also be asked without httpx's own work around a request."""

from __future__ import annotations

from collections.abc import Mapping

import httpx

from exporter.api.transport.direct import DirectTransport


class DirectClient(httpx.AsyncClient):
    """An httpx client without proxies, over a direct transport; closing it closes that."""

    def __init__(
        self,
        transport: DirectTransport,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: httpx.Timeout | float | None = None,
    ) -> None:
        super().__init__(transport=transport, headers=headers, timeout=timeout, trust_env=False)
        self.direct = transport
