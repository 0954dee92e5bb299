"""An httpx client with nothing between a request and the transport."""

from __future__ import annotations

from collections.abc import Mapping

import httpx

from exporter.api.transport.direct import DirectTransport


class DirectClient(httpx.AsyncClient):
    """
    Hands requests to its transport as they are.

    What httpx does around that, cookies, authentication, redirects, hooks and logging, is not
    wanted here, and takes longer than all the rest.
    """

    def __init__(
        self,
        transport: DirectTransport,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: httpx.Timeout | float | None = None,
    ) -> None:
        super().__init__(transport=transport, headers=headers, timeout=timeout, trust_env=False)
        self._direct = transport

    async def send(
        self,
        request: httpx.Request,
        *,
        stream: bool = False,
        auth: object = None,  # noqa: ARG002 - httpx's signature
        follow_redirects: object = None,  # noqa: ARG002 - as above
    ) -> httpx.Response:
        """Send *request*; the body is read at once, unless it is to be a *stream*."""
        if self.is_closed:
            raise RuntimeError("the client has been closed")
        response = await self._direct.handle_async_request(request)
        response.request = request
        if not stream:
            try:
                await response.aread()
            finally:
                await response.aclose()
        return response
