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
    SERVER,
    ManagementRequest,
    ResourceManager,
)
from exporter.api.classify import Failures
from exporter.api.errors import ApiError, ErrorKind
from exporter.api.keys import Field, KeySource
from exporter.api.pacing import Budgets, RetryPolicy
from exporter.api.transport import HubConnections
from exporter.settings import HubSettings, fingerprint, tls_files
from exporter.settings.azure import RESOURCE_MANAGER, resource_manager_of, subscription_of
from exporter.settings.credentials import check_key

LIST_KEYS = "listKeys"
ROUTE = "hostruntime/runtime/webhooks/durabletask"
# Rights of either access; `discover` prints them as a role.
READ_KEYS = "Microsoft.Web/sites/host/listkeys/action"
READ_ROUTE = "Microsoft.Web/sites/hostruntime/*/read"
HINT = "give the identity the right {}: `durable-exporter discover --role` prints a role with it"

_EXTENSION_KEY = "durabletask_extension"
# After a failure, requests wait this long before they ask for the key again; after a refusal of the
# current key, a minute.
_RETRY_SECONDS = 15.0
# A refusal may be of a request sent before the current key arrived.
_IN_FLIGHT_SECONDS = 10.0
_REST_SECONDS = 60.0


class _SystemKeys(msgspec.Struct):
    durabletask_extension: str = ""


class _Keys(msgspec.Struct, rename="camel"):
    """The one key used; the other keys of an app are not even decoded."""

    system_keys: _SystemKeys | None = None


class ListedKey(KeySource):
    """The key of an app, listed by the Resource Manager and kept in memory only."""

    def __init__(self, manager: ResourceManager, resource_id: str) -> None:
        super().__init__()
        self._manager = manager
        self._resource_id = resource_id
        self._failure: ApiError | None = None
        self._tried = self._renewed = float("-inf")
        self._one_at_a_time = anyio.Lock()

    async def admit(self, failures: Failures) -> Sequence[Field]:
        """
        Return the field of the key, fetched first if unknown.

        If the app's host does not answer the Resource Manager, the request is sent without a key:
        the front end of a stopped app says that it is stopped.
        """
        async with self._one_at_a_time:
            if self.key is None:
                await self._fetch_first(failures)
        return await super().admit(failures)

    def check(self, failures: Failures, answer: Answer) -> None:
        """Raise why there is no key, unless the app explains its refusal itself."""
        del failures
        if self.key is None and self._failure is not None and _lacks_a_key(answer):
            raise self._failure.with_traceback(None)

    async def renew(self, failures: Failures, refusal: ApiError) -> bool:
        """Fetch the key again if the app refused it; True if it changed."""
        if refusal.kind is not ErrorKind.AUTH or refusal.status != HTTPStatus.UNAUTHORIZED:
            return False
        refused = self.key
        async with self._one_at_a_time:
            is_just_renewed = anyio.current_time() < self._renewed + _IN_FLIGHT_SECONDS
            if self.key != refused or is_just_renewed:
                return True
            if anyio.current_time() < self._renewed + _REST_SECONDS:
                return False
            self._renewed = anyio.current_time()
            await self._fetch(failures)
        return self.key != refused

    async def _fetch_first(self, failures: Failures) -> None:
        """Fetch the key unless that has just failed; raises what no app explains."""
        if anyio.current_time() >= self._tried + _RETRY_SECONDS:
            self._tried = anyio.current_time()
            self._failure = None
            try:
                await self._fetch(failures)
            except ApiError as error:
                self._failure = error
        if self._failure is not None and self._failure.kind is not ErrorKind.AZURE_SERVER:
            raise self._failure.with_traceback(None)

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
            self.key = check_key(key)
        except ValueError:
            raise Failures(failures.hub, LIST_KEYS).azure_failed(
                f"the app has no system key {_EXTENSION_KEY}",
                "the app makes it when it starts with the Durable Functions extension: start it, "
                "or leave it out",
                200,
                retryable=False,
            ) from None


class ResourceManagerRoute(KeySource):
    """The identity's token in place of a key, for requests through the Resource Manager."""

    server = SERVER

    def __init__(self, manager: ResourceManager, resource_id: str) -> None:
        super().__init__()
        self._manager = manager
        self._subscription = subscription_of(resource_id)

    async def admit(self, failures: Failures) -> Sequence[Field]:
        """Return the field of the token, once the budget allows a request."""
        return await self._manager.admit(failures, self._subscription)

    def check(self, failures: Failures, answer: Answer) -> None:
        """Raise an error of the Resource Manager's own."""
        hint = HINT.format(READ_ROUTE)
        self._manager.check(failures, answer, self._subscription, hint)

    async def renew(self, failures: Failures, refusal: ApiError) -> bool:
        """Get another token if this one was refused; True if it differs."""
        if refusal.kind is not ErrorKind.AZURE_AUTH or refusal.status != HTTPStatus.UNAUTHORIZED:
            return False
        return await self._manager.renew(failures)


def route_of(manager: ResourceManager, resource_id: str) -> str:
    """Return the base URL of an app's API through the Resource Manager."""
    return f"{manager.base_url}{resource_id}/{ROUTE}"


def _lacks_a_key(answer: Answer) -> bool:
    """Return whether a request was refused only for its lack of a key."""
    if answer.status == HTTPStatus.FORBIDDEN:
        return not answer.body.strip()
    return answer.status == HTTPStatus.UNAUTHORIZED


@dataclass(slots=True)
class AzureAccounts:
    """Resource Managers of hubs, with an identity per cloud and a budget per subscription."""

    budgets: Budgets = field(default_factory=Budgets)
    _identities: dict[str, AzureIdentity] = field(default_factory=dict)
    _managers: dict[object, ResourceManager] = field(default_factory=dict)
    _keys: dict[tuple[ResourceManager, str], ListedKey] = field(default_factory=dict)

    def manager(
        self,
        hub: HubSettings,
        bodies: BodyBudget,
        connect: Callable[[HubSettings, str], HubConnections],
    ) -> ResourceManager:
        """Return the Resource Manager for *hub*; *connect* opens connections to a base URL."""
        connection = (hub.cloud, hub.tls, fingerprint(tls_files(hub)), hub.proxy)
        if (known := self._managers.get(connection)) is not None:
            return known
        base_url = resource_manager_of(hub.cloud)
        self._managers[connection] = ResourceManager(
            base_url,
            identity=self._identities.setdefault(hub.cloud, AzureIdentity(hub.cloud)),
            budgets=self.budgets,
            http=connect(hub, base_url),
            bodies=bodies,
            retry=RetryPolicy(
                hub.retries.max_retries, hub.retries.backoff, hub.retries.max_backoff
            ),
        )
        return self._managers[connection]

    def key_source(self, hub: HubSettings, manager: ResourceManager) -> KeySource:
        """Return what authenticates requests to *hub*, which has a resource id."""
        resource_id = hub.resource_id or ""
        if hub.access == RESOURCE_MANAGER:
            return ResourceManagerRoute(manager, resource_id)
        # Hubs of one app share its key.
        which = (manager, resource_id.lower())
        return self._keys.setdefault(which, ListedKey(manager, resource_id))

    def secrets(self) -> list[str]:
        """Return the fetched keys, which recordings must not contain."""
        return [listed.key for listed in self._keys.values() if listed.key]

    async def aclose(self) -> None:
        """Close all connections."""
        for manager in self._managers.values():
            await manager.aclose()
        for identity in self._identities.values():
            await identity.aclose()
