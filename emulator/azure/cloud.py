"""All of Azure that is emulated: apps, the tokens that were issued, and the limits."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from secrets import token_urlsafe
from time import monotonic

from emulator.azure.graph import PAGE_SIZE
from emulator.azure.limits import QUERIES, QUERY_SECONDS, READS, READS_PER_SECOND, Bucket, Window
from emulator.azure.site import Site

RESOURCE_MANAGER = "management.azure.localhost"
LOGIN = "login.azure.localhost"
TOKEN_SECONDS = 3600.0


class AzureCloud:
    """
    Apps in subscriptions, which change as tests and users please.

    `denied` are actions that the identity may not do, as roles spell them; `refuses_tokens` lets
    the token endpoint issue none. All hosts listen on `port`, the usual one where it is `None`.
    `requests` counts what the Resource Manager was asked for by subscription, `actions` what of it
    was not refused.
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
        """Host and port of the Resource Manager."""
        return RESOURCE_MANAGER if self.port is None else f"{RESOURCE_MANAGER}:{self.port}"

    def site_at(self, host: str) -> Site | None:
        """Return the app that answers at a host, `None` if there is none."""
        return next((site for site in self.sites if site.host.partition(":")[0] == host), None)

    def site_of(self, path: str) -> tuple[Site, str] | None:
        """Return the app whose resource id begins a path, and what follows it."""
        for site in sorted(self.sites, key=lambda site: -len(site.resource_id)):
            rest = path[len(site.resource_id) :]
            if path.lower().startswith(site.resource_id.lower()) and rest[:1] in ("", "/"):
                return site, rest
        return None

    def issue(self, way: str) -> tuple[str, int]:
        """Issue a token in one *way*; returns it, and for how many seconds it is valid."""
        token = token_urlsafe(24)
        self.tokens[way] += 1
        self._valid_until[token] = self.now() + self.token_seconds
        return token, int(self.token_seconds)

    def expire_tokens(self) -> None:
        """Let every token that was issued be expired."""
        self._valid_until = dict.fromkeys(self._valid_until, self.now())

    def refusal_of(self, token: str) -> str | None:
        """Return the code of the error for a token, `None` where it is valid."""
        until = self._valid_until.get(token)
        if until is None:
            return "InvalidAuthenticationToken"
        return "ExpiredAuthenticationToken" if self.now() >= until else None

    def of_subscriptions(self, subscriptions: Iterable[str] | None) -> Iterator[Site]:
        """Yield the apps of some subscriptions, of all where none are named."""
        wanted = {each.lower() for each in subscriptions or ()}
        yield from (
            site for site in self.sites if not wanted or site.subscription.lower() in wanted
        )
