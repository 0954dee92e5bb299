"""Access to apps known by their resource id: by listed key, or through the Resource Manager."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

import anyio
import msgspec

from exporter.api.answers import Answer, BodyBudget
from exporter.api.azure.identity import AzureIdentity
from exporter.api.azure.resource_manager import (
    API_VERSION,
    PLACE,
    Budgets,
    ManagementRequest,
    ResourceManager,
)
from exporter.api.classify import Failures
from exporter.api.errors import ApiError, ErrorKind
from exporter.api.keys import Field, KeySource
from exporter.api.pacing import RetryPolicy
from exporter.api.transport import HubConnections
from exporter.settings import HubSettings, fingerprint, tls_files
from exporter.settings.azure import RESOURCE_MANAGER, resource_manager_of, subscription_of
from exporter.settings.credentials import check_key

LIST_KEYS = "listKeys"
ROUTE = "hostruntime/runtime/webhooks/durabletask"
# The rights that each way needs; `discover` prints them as a role.
READ_KEYS = "Microsoft.Web/sites/host/listkeys/action"
READ_ROUTE = "Microsoft.Web/sites/hostruntime/*/read"
HINT = "give the identity the right {}: `durable-exporter discover --role` prints a role with it"

_EXTENSION_KEY = "durabletask_extension"
# A key that is not to be had is not asked for by each request, and one that is refused although it
# is the present one not in each cycle.
_RETRY_SECONDS = 15.0
# The former key may have been refused to a request that was sent before the present one came.
_IN_FLIGHT_SECONDS = 10.0
_REST_SECONDS = 60.0


class _SystemKeys(msgspec.Struct):
    durabletask_extension: str = ""


class _Keys(msgspec.Struct, rename="camel"):
    """The one key that is kept of all keys of an app: nothing else is even decoded."""

    system_keys: _SystemKeys | None = None


class ListedKey(KeySource):
    """The key of an app, as the Resource Manager lists it; it is kept in memory only."""

    def __init__(self, manager: ResourceManager, resource_id: str) -> None:
        self._manager = manager
        self._resource_id = resource_id
        self._key: str | None = None
        self._doubt: ApiError | None = None
        self._tried = self._renewed = float("-inf")
        self._one_at_a_time = anyio.Lock()

    def current(self) -> str | None:
        """Return the key, None while it is not known."""
        return self._key

    def reread(self) -> bool:
        """Return False: it is fetched when it is refused."""
        return False

    async def admit(self, failures: Failures) -> Sequence[Field]:
        """
        Return the field of the key, which is fetched first where it is not known.

        Where the host of the app does not answer the Resource Manager, the request is sent without
        a key: what answers for a stopped app says so.
        """
        async with self._one_at_a_time:
            if self._key is None:
                await self._fetch_first(failures)
        return await super().admit(failures)

    def check(self, failures: Failures, answer: Answer) -> None:
        """Raise why there is no key where the app does not say itself what is wrong with it."""
        del failures
        if self._key is None and self._doubt is not None and _is_about_the_key(answer):
            raise self._doubt.with_traceback(None)

    async def renew(self, failures: Failures, refusal: ApiError) -> bool:
        """Fetch the key anew where it is the app that knows another one; True if it changed."""
        if refusal.kind is not ErrorKind.AUTH or refusal.status != HTTPStatus.UNAUTHORIZED:
            return False
        refused = self._key
        async with self._one_at_a_time:
            came_meanwhile = anyio.current_time() < self._renewed + _IN_FLIGHT_SECONDS
            if self._key != refused or came_meanwhile:
                return True
            if anyio.current_time() < self._renewed + _REST_SECONDS:
                return False
            self._renewed = anyio.current_time()
            await self._fetch(failures)
        return self._key != refused

    async def _fetch_first(self, failures: Failures) -> None:
        """Fetch the key, or go by why that failed a moment ago; raises what no app explains."""
        if anyio.current_time() >= self._tried + _RETRY_SECONDS:
            self._tried = anyio.current_time()
            self._doubt = None
            try:
                await self._fetch(failures)
            except ApiError as error:
                self._doubt = error
        if self._doubt is not None and self._doubt.kind is not ErrorKind.AZURE_SERVER:
            raise self._doubt.with_traceback(None)

    async def _fetch(self, failures: Failures) -> None:
        listed = await self._manager.ask(
            failures.hub,
            ManagementRequest(
                LIST_KEYS,
                f"{self._resource_id}/host/default/listkeys?api-version={API_VERSION}",
                _Keys,
                HINT.format(READ_KEYS),
                subscription_of(self._resource_id),
                "POST",
            ),
        )
        key = listed.system_keys.durabletask_extension if listed.system_keys else ""
        try:
            self._key = check_key(key)
        except ValueError:
            raise Failures(failures.hub, LIST_KEYS).azure_failed(
                f"the app has no system key {_EXTENSION_KEY}",
                "the app makes it when it starts with the Durable Functions extension: start it, "
                "or leave it out",
                200,
                retryable=False,
            ) from None


class ResourceManagerRoute(KeySource):
    """The identity's token in place of a key: requests are handed on by the Resource Manager."""

    place = PLACE

    def __init__(self, manager: ResourceManager, resource_id: str) -> None:
        self._manager = manager
        self._subscription = subscription_of(resource_id)

    def current(self) -> str | None:
        """Return None: no key is held."""
        return None

    def reread(self) -> bool:
        """Return False: tokens are fetched when they are refused."""
        return False

    async def admit(self, failures: Failures) -> Sequence[Field]:
        """Return the field of the token, once the budget allows a request."""
        return await self._manager.admit(failures, self._subscription)

    def check(self, failures: Failures, answer: Answer) -> None:
        """Raise what the Resource Manager answered by itself."""
        hint = HINT.format(READ_ROUTE)
        self._manager.check(failures, answer, self._subscription, hint)

    async def renew(self, failures: Failures, refusal: ApiError) -> bool:
        """Get another token where it is the one that was refused; True if it differs."""
        if refusal.kind is not ErrorKind.AZURE_AUTH or refusal.status != HTTPStatus.UNAUTHORIZED:
            return False
        return await self._manager.renew(failures)


def route_of(manager: ResourceManager, resource_id: str) -> str:
    """Return the base URL of the API of an app as the Resource Manager has it."""
    return f"{manager.base_url}{resource_id}/{ROUTE}"


def _is_about_the_key(answer: Answer) -> bool:
    """Tell whether a request was refused only because it had no key."""
    if answer.status == HTTPStatus.FORBIDDEN:
        return not answer.body.strip()
    return answer.status == HTTPStatus.UNAUTHORIZED


Open = Callable[[HubSettings, str], HubConnections]


@dataclass(slots=True)
class AzureAccounts:
    """One identity for each cloud, one budget for each subscription; nothing before it is used."""

    budgets: Budgets = field(default_factory=Budgets)
    _identities: dict[str, AzureIdentity] = field(default_factory=dict)
    _managers: dict[object, ResourceManager] = field(default_factory=dict)
    _keys: dict[tuple[ResourceManager, str], ListedKey] = field(default_factory=dict)

    def manager(self, hub: HubSettings, bodies: BodyBudget, connect: Open) -> ResourceManager:
        """Return the Resource Manager for *hub*; *connect* opens connections to a base URL."""
        way = (hub.cloud, hub.tls, fingerprint(tls_files(hub)), hub.proxy)
        if (known := self._managers.get(way)) is not None:
            return known
        base_url = resource_manager_of(hub.cloud)
        self._managers[way] = ResourceManager(
            base_url,
            identity=self._identities.setdefault(hub.cloud, AzureIdentity(hub.cloud)),
            budgets=self.budgets,
            http=connect(hub, base_url),
            bodies=bodies,
            retry=RetryPolicy(
                hub.retries.max_retries, hub.retries.backoff, hub.retries.max_backoff
            ),
        )
        return self._managers[way]

    def key_source(self, hub: HubSettings, manager: ResourceManager) -> KeySource:
        """Return what lets requests to *hub* in, which has a resource id."""
        resource_id = hub.resource_id or ""
        if hub.access == RESOURCE_MANAGER:
            return ResourceManagerRoute(manager, resource_id)
        # The hubs of one app have one key, and fetch it once.
        which = (manager, resource_id.lower())
        return self._keys.setdefault(which, ListedKey(manager, resource_id))

    def secrets(self) -> list[str]:
        """Return the keys that were fetched, which must not be in a recording."""
        return [key for listed in self._keys.values() if (key := listed.current())]

    async def aclose(self) -> None:
        """Close all connections."""
        for manager in self._managers.values():
            await manager.aclose()
        for identity in self._identities.values():
            await identity.aclose()
