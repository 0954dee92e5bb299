"""Token buckets: one for all, or one per client address."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

from exporter.settings import RateLimit

# More addresses at once share nothing: the one that was heard of longest ago begins anew.
_MAX_ADDRESSES = 4096
# Whoever has one address of IPv6 has all of its network.
_NETWORK_BITS = 64


class TokenBucket:
    """Lets one request through in an interval, and a burst at once; *monotonic* never jumps."""

    def __init__(self, limit: RateLimit, monotonic: Callable[[], float]) -> None:
        self._limit = limit
        self._monotonic = monotonic
        self._tokens = float(limit.burst)
        self._filled = monotonic()

    def take(self) -> bool:
        """Tell whether one more may come now."""
        now = self._monotonic()
        grown = self._tokens + (now - self._filled) / self._limit.interval
        self._tokens, self._filled = min(float(self._limit.burst), grown), now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def give_back(self) -> None:
        """Undo one that was taken."""
        self._tokens += 1.0

    @property
    def wait(self) -> float:
        """How long it takes until the next may come, in seconds."""
        return max(0.0, (1.0 - self._tokens) * self._limit.interval)


class AddressBuckets:
    """A bucket per client address, at most `_MAX_ADDRESSES`."""

    def __init__(self, limit: RateLimit, monotonic: Callable[[], float]) -> None:
        self._limit = limit
        self._monotonic = monotonic
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def bucket_of(self, host: str) -> TokenBucket:
        """Return the bucket of a client."""
        network = _network_of(host)
        bucket = self._buckets.get(network)
        if bucket is None:
            bucket = self._buckets[network] = TokenBucket(self._limit, self._monotonic)
            if len(self._buckets) > _MAX_ADDRESSES:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(network)
        return bucket


def _network_of(host: str) -> str:
    """Return what all addresses of one client have in common."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(int(address) >> _NETWORK_BITS)
