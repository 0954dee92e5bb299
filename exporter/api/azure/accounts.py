"""The Resource Managers that hubs of this process need, with what they share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from exporter.api.azure.access import ListedKey, ResourceManagerRoute
from exporter.api.azure.identity import AzureIdentity
from exporter.api.azure.resource_manager import Budgets, ResourceManager
from exporter.api.bodies import BodyBudget
from exporter.api.keys import KeySource
from exporter.api.retries import RetryPolicy
from exporter.api.transport import HubConnections
from exporter.settings import HubSettings, fingerprint, tls_files
from exporter.settings.azure import RESOURCE_MANAGER, resource_manager_of

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
