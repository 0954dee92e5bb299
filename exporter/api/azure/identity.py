"""The exporter's identity in Azure, from azure-identity, which is imported at first use."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Callable
from time import time
from typing import Any

import anyio
import anyio.to_thread

from exporter.api.classify import Failures
from exporter.api.errors import ApiError
from exporter.settings.azure import AUTHORITIES, resource_manager_of

EXTRA_MISSING = "the package azure-identity is not installed"
_INSTALL = "install the exporter with its extra `azure`; the image has it"
_SECONDS = 60.0
# Tokens are renewed this long before they expire.
_FRESH_SECONDS = 300.0
# After a failure, hubs wait this long before they ask again.
_REST_SECONDS = 15.0
_CODE = re.compile(r"AADSTS\d{1,9}")
_HINT = (
    "check the workload identity (service account, federated credential), the managed identity, "
    "or the variables AZURE_*"
)


class AzureIdentity:
    """
    Tokens for the Resource Manager of one *cloud*, kept until they are about to expire.

    *make* returns the credential, by default the default chain of azure-identity: environment,
    workload identity, managed identity, command line tools.
    """

    def __init__(self, cloud: str, make: Callable[[], Any] | None = None) -> None:
        self._cloud = cloud
        self._scope = f"{resource_manager_of(cloud)}/.default"
        self._make = make or self._default_credential
        self._credential: Any = None
        self._token = ""
        self._fresh_until = 0.0
        self._refused: ApiError | None = None
        self._refused_until = 0.0
        self._one_at_a_time = anyio.Lock()

    def __repr__(self) -> str:
        """Show no token."""
        return f"AzureIdentity({self._cloud!r})"

    async def token(self, failures: Failures) -> str:
        """
        Return a token.

        Raises:
            HubDenied: there is none; the kind is `azure_auth`.
        """
        async with self._one_at_a_time:
            if time() >= self._fresh_until:
                await self._get(failures)
            return self._token

    async def renew(self, refused: str) -> None:
        """Drop a *refused* token, also from the library's cache."""
        async with self._one_at_a_time:
            if self._token == refused:
                self._fresh_until = 0.0
                await self.aclose()

    async def aclose(self) -> None:
        """Close the credential."""
        credential, self._credential = self._credential, None
        if credential is not None:
            await credential.close()

    async def _get(self, failures: Failures) -> None:
        if self._refused is not None and anyio.current_time() < self._refused_until:
            raise failures.azure_denied(self._refused.reason, self._refused.hint)
        try:
            found = await self._ask(failures)
        except ApiError as error:
            self._refused, self._refused_until = error, anyio.current_time() + _REST_SECONDS
            raise
        self._refused = None
        self._token = str(found.token)
        # Short-lived tokens are renewed after half of their lifetime.
        life = float(found.expires_on) - time()
        self._fresh_until = time() + max(life - _FRESH_SECONDS, life / 2)

    async def _ask(self, failures: Failures) -> Any:  # noqa: ANN401 - the library has no types
        failure: ApiError
        try:
            if self._credential is None:
                self._credential = await anyio.to_thread.run_sync(self._make)
            with anyio.fail_after(_SECONDS):
                return await self._credential.get_token(self._scope)
        except ImportError:
            failure = failures.azure_denied(EXTRA_MISSING, _INSTALL)
        except TimeoutError:
            failure = failures.azure_denied(f"no token within {_SECONDS:g} s", _HINT)
        except _errors() as error:
            # Its text may be long, and may contain parameters of the request.
            code = _CODE.search(str(error))
            reason = code[0] if code else type(error).__name__
            failure = failures.azure_denied(f"the identity got no token ({reason})", _HINT)
        raise failure

    def _default_credential(self) -> Any:  # noqa: ANN401 - the library has no types
        library = importlib.import_module("azure.identity.aio")
        authority = AUTHORITIES.get(self._cloud)
        if authority is None or os.environ.get("AZURE_AUTHORITY_HOST"):
            return library.DefaultAzureCredential()
        return library.DefaultAzureCredential(authority=authority)


def _errors() -> tuple[type[Exception], ...]:
    """Return what the library raises."""
    try:
        errors = importlib.import_module("azure.core.exceptions")
    except ImportError:
        return (ValueError,)
    return (errors.AzureError, ValueError)
