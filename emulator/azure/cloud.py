"""The emulated cloud: rate limits, apps, tokens."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from secrets import token_urlsafe
from time import monotonic

from starlette.types import ASGIApp

from emulator.emulator import Emulator
from emulator.http.app import create_app
from emulator.json_text import JsonValue

PAGE_SIZE = 1000
READS = 250.0
READS_PER_SECOND = 25.0
QUERIES = 15
QUERY_SECONDS = 5.0

DURABLE_BINDINGS = ("orchestrationTrigger", "activityTrigger")
RUNNING, STOPPED = "Running", "Stopped"
RESOURCE_MANAGER = "management.azure.localhost"
LOGIN = "login.azure.localhost"
TOKEN_SECONDS = 3600.0


class Bucket:
    """A token bucket of *most* requests, refilled *per_second*; *now* is a clock in seconds."""

    def __init__(self, most: float, per_second: float, now: Callable[[], float]) -> None:
        self._most = most
        self._per_second = per_second
        self._now = now
        self._level = most
        self._at = now()
        self.taken = 0
        self.refused = 0

    @property
    def remaining(self) -> int:
        """Requests left."""
        return int(self._level)

    def take(self) -> float:
        """Take a request; returns the seconds to wait if none is left, else 0."""
        now = self._now()
        self._level = min(self._most, self._level + (now - self._at) * self._per_second)
        self._at = now
        if self._level < 1:
            self.refused += 1
            return max(1.0, (1 - self._level) / self._per_second)
        self._level -= 1
        self.taken += 1
        return 0.0


class Window:
    """A limit of *most* requests per window of *seconds*."""

    def __init__(self, most: int, seconds: float, now: Callable[[], float]) -> None:
        self._most = most
        self._seconds = seconds
        self._now = now
        self._begin = now()
        self.remaining = most

    def take(self) -> bool:
        """Take a request; returns whether one was left."""
        if self._now() >= self._begin + self._seconds:
            self._begin, self.remaining = self._now(), self._most
        if not self.remaining:
            return False
        self.remaining -= 1
        return True

    @property
    def resets_after(self) -> float:
        """Seconds until the next window."""
        return max(0.0, self._begin + self._seconds - self._now())


@dataclass(slots=True, eq=False)
class Site:
    """
    An app or a slot, with its emulator.

    It has a function per binding. With `has_login`, App Service authentication rejects requests.
    """

    resource_id: str
    host: str
    emulator: Emulator
    kind: str = "functionapp,linux"
    location: str = "westeurope"
    tags: Mapping[str, str] = field(default_factory=dict)
    state: str = RUNNING
    bindings: tuple[str, ...] = DURABLE_BINDINGS
    has_login: bool = False
    master_key: str = "master-of-the-emulated-app"
    served: ASGIApp = field(init=False)

    def __post_init__(self) -> None:
        self.served = create_app(self.emulator)

    @property
    def subscription(self) -> str:
        """The subscription."""
        return self.resource_id.split("/")[2]

    @property
    def name(self) -> str:
        """The name, for a slot behind that of its app."""
        _, _, path = self.resource_id.partition("/sites/")
        return path.replace("/slots/", "/")

    @property
    def type(self) -> str:
        """The type in Resource Graph."""
        return "microsoft.web/sites" + ("/slots" if "/" in self.name else "")

    @property
    def is_running(self) -> bool:
        """Whether the host answers."""
        return self.state == RUNNING

    def row(self, port: int | None = None) -> dict[str, JsonValue]:
        """Return the row in Resource Graph; the host listens on *port*."""
        return {
            "id": self.resource_id,
            "name": self.name,
            "type": self.type,
            "kind": self.kind,
            "resourceGroup": self.resource_id.split("/")[4].lower(),
            "subscriptionId": self.subscription,
            "location": self.location,
            "tags": dict(self.tags) or None,
            "properties": {
                "defaultHostName": self.host if port is None else f"{self.host}:{port}",
                "state": self.state,
                "enabled": self.is_running,
            },
        }

    def functions(self) -> list[JsonValue]:
        """Return the functions, none while the host is stopped."""
        if not self.is_running:
            return []
        return [
            {
                "id": f"{self.resource_id}/functions/{binding}",
                "name": f"{self.name}/{binding}",
                "type": "Microsoft.Web/sites/functions",
                "properties": {
                    "name": binding,
                    "config": {
                        "bindings": [{"type": binding, "name": "context", "direction": "in"}]
                    },
                },
            }
            for binding in self.bindings
        ]


class AzureCloud:
    """
    Apps in subscriptions, the tokens of an identity, and its limits.

    `denied` are actions that its roles lack; with `refuses_tokens` it gets none. All hosts listen
    on `port`, `None` for the default. `requests` counts requests to the Resource Manager by
    subscription, `actions` those not refused.
    """

    def __init__(
        self,
        sites: Iterable[Site] = (),
        *,
        token_seconds: float = TOKEN_SECONDS,
        reads: float = READS,
        reads_per_second: float = READS_PER_SECOND,
        page_size: int = PAGE_SIZE,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self.sites = list(sites)
        self.token_seconds = token_seconds
        self.page_size = page_size
        self.denied: set[str] = set()
        self.refuses_tokens = False
        self.tokens: Counter[str] = Counter()
        self.requests: Counter[str] = Counter()
        self.actions: Counter[str] = Counter()
        self.port: int | None = None
        self.now = now
        self.queries = Window(QUERIES, QUERY_SECONDS, now)
        self.reads: defaultdict[str, Bucket] = defaultdict(
            lambda: Bucket(reads, reads_per_second, now)
        )
        self._valid_until: dict[str, float] = {}

    @property
    def resource_manager(self) -> str:
        """The Resource Manager's host and port."""
        return RESOURCE_MANAGER if self.port is None else f"{RESOURCE_MANAGER}:{self.port}"

    def site_at(self, host: str) -> Site | None:
        """Return the app at a host, if there is one."""
        return next((site for site in self.sites if site.host.partition(":")[0] == host), None)

    def site_of(self, path: str) -> tuple[Site, str] | None:
        """Return the app whose resource id a path begins with, and the rest."""
        for site in sorted(self.sites, key=lambda site: -len(site.resource_id)):
            rest = path[len(site.resource_id) :]
            if path.lower().startswith(site.resource_id.lower()) and rest[:1] in ("", "/"):
                return site, rest
        return None

    def issue(self, way: str) -> tuple[str, int]:
        """Issue a token, counted under *way*; returns it and its lifetime in seconds."""
        token = token_urlsafe(24)
        self.tokens[way] += 1
        self._valid_until[token] = self.now() + self.token_seconds
        return token, int(self.token_seconds)

    def expire_tokens(self) -> None:
        """Expire all tokens."""
        self._valid_until = dict.fromkeys(self._valid_until, self.now())

    def token_error(self, token: str) -> str | None:
        """Return the error code for a token, `None` if it is valid."""
        until = self._valid_until.get(token)
        if until is None:
            return "InvalidAuthenticationToken"
        return "ExpiredAuthenticationToken" if self.now() >= until else None

    def sites_in(self, subscriptions: Iterable[str] | None) -> Iterator[Site]:
        """Yield the apps in some subscriptions, by default in all."""
        wanted = {each.lower() for each in subscriptions or ()}
        yield from (
            site for site in self.sites if not wanted or site.subscription.lower() in wanted
        )
