"""Passwords, verified against bcrypt hashes."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from hashlib import blake2b

import anyio
import bcrypt

from exporter.settings import RateLimit
from exporter.web.overload import AddressBuckets, WorkQueue

# bcrypt ignores the rest; the library refuses longer ones.
_LONGEST = 72
# The salt's 22nd character can be only one of four; a dot is.
_SALT_LENGTH = 21
_DIGEST_LENGTH = 32
_REFUSED_KEPT = 256
_ADMITTED_KEPT_PER_USER = 4
# Per client address: a forgotten password does not lock out for long.
_FAILURES = RateLimit(interval=10.0, burst=5)
# Each takes at least a tenth of a second of CPU.
_MAX_WAITING = 16


class TooManyFailures(Exception):
    """Too many logins from an address failed; the next one may come in `wait` seconds."""

    def __init__(self, wait: float) -> None:
        super().__init__(f"too many failed logins; the next one in {wait:.0f} s")
        self.wait = wait


class Passwords:
    """
    Verifies logins; *users* are hashes by name.

    A hash takes at least a tenth of a second of CPU: it is computed in a thread, one at a time, and
    its result kept under a digest that only this process can compute. Unknown names take as long as
    known ones.
    """

    def __init__(
        self, users: Mapping[str, str], *, monotonic: Callable[[], float] = anyio.current_time
    ) -> None:
        self._users = {name.encode(): hashed.encode() for name, hashed in users.items()}
        self._costs = sorted(hashed[4:6] for hashed in self._users.values())
        self._secret = secrets.token_bytes(32)
        # Apart: a flood of wrong passwords must not evict the right ones.
        self._admitted = _Recent(_ADMITTED_KEPT_PER_USER * len(users))
        self._refused = _Recent(_REFUSED_KEPT)
        self._failures = AddressBuckets(_FAILURES, monotonic)
        self._hashing: WorkQueue[bool] = WorkQueue(_MAX_WAITING)

    def has_verified(self, user: bytes, password: bytes) -> bool:
        """Return whether this login was verified before, without computing a hash."""
        return self._known(self._attempt(user, password)) is True

    async def admit(self, user: bytes, password: bytes, address: str) -> bool:
        """
        Return whether *password* is that of *user*, for a client at *address*.

        Raises:
            TooManyFailures: from that address.
            Busy: too many logins wait for their hash.
        """
        attempt = self._attempt(user, password)
        known = self._known(attempt)
        if known is not None:
            return known
        # The same login in flight already is no further attempt.
        bucket = None if self._hashing.awaits(attempt) else self._failures.bucket_of(address)
        if bucket is not None and not bucket.take():
            raise TooManyFailures(bucket.wait)
        is_right = await self._hashing.run(attempt, partial(self._begin, user, password, attempt))
        if bucket is not None and is_right:
            # Anything else counts as a failure, even if the client has left.
            bucket.give_back()
        return is_right

    def _begin(self, user: bytes, password: bytes, attempt: bytes) -> Callable[[], bool]:
        def work() -> bool:
            known = self._known(attempt)
            if known is None:
                known = _matches(password, self._hash_of(user)) and user in self._users
                (self._admitted if known else self._refused).add(attempt)
            return known

        return work

    def _hash_of(self, user: bytes) -> bytes:
        return self._users.get(user) or self._decoy(user)

    def _attempt(self, user: bytes, password: bytes) -> bytes:
        return self._digest(user, self._hash_of(user), password)

    def _known(self, attempt: bytes) -> bool | None:
        if attempt in self._admitted:
            return True
        return False if attempt in self._refused else None

    def _decoy(self, user: bytes) -> bytes:
        """
        Return a hash of no password, for an unknown name.

        Its cost is that of some user, the same each time for the same name.
        """
        draw = blake2b(user, key=self._secret, digest_size=8).digest()
        cost = self._costs[int.from_bytes(draw) % len(self._costs)]
        salt = blake2b(user, key=self._secret, digest_size=11).hexdigest()[:_SALT_LENGTH]
        return b"$2b$" + cost + b"$" + salt.encode() + b"." * _DIGEST_LENGTH

    def _digest(self, *parts: bytes) -> bytes:
        digest = blake2b(key=self._secret, digest_size=32)
        for part in parts:
            digest.update(len(part).to_bytes(8) + part)
        return digest.digest()


class _Recent:
    """The *most* latest items."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._items: OrderedDict[bytes, None] = OrderedDict()

    def __contains__(self, item: bytes) -> bool:
        if item not in self._items:
            return False
        self._items.move_to_end(item)
        return True

    def add(self, item: bytes) -> None:
        self._items[item] = None
        if len(self._items) > self._most:
            self._items.popitem(last=False)


def _matches(password: bytes, hashed: bytes) -> bool:
    return bcrypt.checkpw(password[:_LONGEST], hashed)
