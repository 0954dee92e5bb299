"""The stand-in of Azure over TLS, and an exporter's settings that lead to it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from emulator import Clock, Emulator, Keys, RealClock, TaskHub
from emulator.azure.app import create_azure_app
from emulator.azure.cloud import AzureCloud, Site
from emulator.http.server import running_app
from emulator.samples import shop
from exporter.settings import Settings
from tests.certificates import Authority
from tests.settings.configured import load

TENANT = str(UUID(int=7))
CLIENT = str(UUID(int=8))


def subscription(number: int) -> str:
    return str(UUID(int=number + 1))


def site(
    name: str,
    group: str = "Shop",
    number: int = 0,
    *,
    host: str = "",
    key: str = "",
    clock: Clock | None = None,
    **facts: object,
) -> Site:
    """Return an app with a task hub of its own and a few orders, in a numbered subscription."""
    app, _, slot = name.partition("/")
    path = f"{app}/slots/{slot}" if slot else app
    clock = clock or RealClock()
    hub = TaskHub(f"{app.title().replace('-', '')}Hub", clock, functions=shop.functions)
    for order in range(3):
        hub.engine.start("ProcessOrder", f"order-{order}", '{"order": 1, "lines": 1}', clock.now())
    keys = Keys(system=key or f"key-of-{name}-0123456789")
    emulator = Emulator(hub, clock=clock, keys=keys)
    return Site(
        f"/subscriptions/{subscription(number)}/resourceGroups/{group}/providers/Microsoft.Web"
        f"/sites/{path}",
        f"{host or name.replace('/', '-')}.azure.localhost",
        emulator,
        **facts,  # type: ignore[arg-type] # checked there
    )


@dataclass(frozen=True, slots=True)
class Azure:
    """A stand-in that listens."""

    cloud: AzureCloud
    folder: Path
    ca: Path

    @property
    def url(self) -> str:
        """The address of the Resource Manager."""
        return f"https://{self.cloud.resource_manager}"

    def url_of(self, app: Site) -> str:
        """Return the address of an app."""
        return f"https://{app.host}:{self.cloud.port}"

    def workload_identity(self) -> dict[str, str]:
        """Return the environment of a pod with workload identity."""
        token = self.folder / "federated-token"
        token.write_text("a.federated.token")
        return {
            "AZURE_TENANT_ID": TENANT,
            "AZURE_CLIENT_ID": CLIENT,
            "AZURE_FEDERATED_TOKEN_FILE": str(token),
            "AZURE_AUTHORITY_HOST": f"https://login.azure.localhost:{self.cloud.port}",
            "AZURE_TOKEN_CREDENTIALS": "prod",
            "SSL_CERT_FILE": str(self.ca),
        }

    def managed_identity(self) -> dict[str, str]:
        """Return the environment of an app with a managed identity."""
        return {
            "IDENTITY_ENDPOINT": f"{self.url}/msi/token",
            "IDENTITY_HEADER": "secret-of-the-endpoint",
            "AZURE_TOKEN_CREDENTIALS": "prod",
            "SSL_CERT_FILE": str(self.ca),
        }

    def variables(self, **more: str) -> dict[str, str]:
        """Return settings, as variables without their prefix, that lead here."""
        return {
            "DISCOVERY__AZURE__CLOUD": self.url,
            "TLS__CA_FILE": str(self.ca),
            "RETRIES__BACKOFF": "0.01s",
            "RETRIES__MAX_BACKOFF": "0.01s",
            **more,
        }

    def settings(self, **more: str) -> Settings:
        """Return such settings."""
        return load(self.variables(**more))


@asynccontextmanager
async def azure(cloud: AzureCloud, folder: Path) -> AsyncGenerator[Azure, None]:
    """Run a stand-in on a free port of loopback."""
    authority = Authority(folder)
    served = authority.sign("azure", "*.azure.localhost")
    app = create_azure_app(cloud)
    async with running_app(app, "127.0.0.1", 0, certificate=served.cert, key=served.key) as url:
        cloud.port = int(url.rpartition(":")[2])
        yield Azure(cloud, folder, authority.file)


class IssuedTokens:
    """A credential as azure-identity has it, whose tokens come straight from the stand-in."""

    def __init__(self, cloud: AzureCloud) -> None:
        self._cloud = cloud

    async def get_token(self, scope: str) -> Token:
        assert scope.endswith("/.default")
        if self._cloud.refuses_tokens:
            raise ValueError("AADSTS70021: no matching federated identity")
        token, seconds = self._cloud.issue("test")
        return Token(token, RealClock().now() + seconds)

    async def close(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Token:
    token: str
    expires_on: float


def samples(text: str, family: str) -> Mapping[str, float]:
    """Return the values of a family in an exposition, by its labels."""
    return dict(_samples(text, family))


def _samples(text: str, family: str) -> Iterator[tuple[str, float]]:
    for line in text.splitlines():
        name, _, value = line.rpartition(" ")
        if name == family or name.startswith(f"{family}{{"):
            yield name.removeprefix(family), float(value)
