"""Passwords: checked beside the event loop, once each, and alike for names that nobody has."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from unittest.mock import patch

import anyio
import bcrypt
import pytest

from exporter.settings import RateLimit
from exporter.web.overload import AddressBuckets, Busy
from exporter.web.passwords import Passwords, TooManyFailures

pytestmark = pytest.mark.anyio

real_check = bcrypt.checkpw
strangers = itertools.count()


def hashed(password: str, cost: int = 4) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).decode()


@pytest.fixture
def checks() -> Iterator[list[tuple[bytes, bytes]]]:
    """Record what bcrypt is asked."""
    asked: list[tuple[bytes, bytes]] = []

    def check(password: bytes, hashed: bytes) -> bool:
        asked.append((password, hashed))
        return real_check(password, hashed)

    with patch.object(bcrypt, "checkpw", check):
        yield asked


async def admit(users: Passwords, user: bytes, password: bytes, address: str = "") -> bool:
    """Try a login, by default from an address of which nobody else comes."""
    return await users.admit(user, password, address or f"host-{next(strangers)}")


def of_alice_and_bob() -> Passwords:
    return Passwords({"alice": hashed("wonderland"), "bob": hashed("builder", cost=5)})


async def test_only_the_right_password_of_the_user_opens() -> None:
    users = of_alice_and_bob()
    assert await admit(users, b"alice", b"wonderland")
    assert not await admit(users, b"alice", b"builder")
    assert not await admit(users, b"bob", b"wonderland")
    assert not await admit(users, b"alice", b"")
    assert not await admit(users, b"", b"wonderland")
    assert not await admit(users, b"carol", b"wonderland")


async def test_a_hash_as_htpasswd_writes_it_is_understood() -> None:
    as_htpasswd = hashed("wonderland").replace("$2b$", "$2y$")
    assert await admit(Passwords({"alice": as_htpasswd}), b"alice", b"wonderland")


async def test_names_and_passwords_in_any_script_are_understood() -> None:
    users = Passwords({"Ælice": hashed("wunderländ")})
    assert await admit(users, "Ælice".encode(), "wunderländ".encode())


async def test_a_password_beyond_what_bcrypt_looks_at_is_cut_off_as_others_do() -> None:
    users = Passwords({"alice": hashed("x" * 72)})
    assert await admit(users, b"alice", b"x" * 100)
    assert not await admit(users, b"alice", b"x" * 71)
    assert not await admit(users, b"alice", b"\0" * 100)


async def test_what_is_known_is_not_computed_again(checks: list[object]) -> None:
    users = of_alice_and_bob()
    for _ in range(3):
        assert await admit(users, b"alice", b"wonderland")
        assert not await admit(users, b"alice", b"wrong")
        assert not await admit(users, b"nobody", b"wrong")
    assert len(checks) == 3


async def test_many_who_ask_the_same_at_once_cost_one_hash(checks: list[object]) -> None:
    users = of_alice_and_bob()
    admitted = []

    async def ask() -> None:
        admitted.append(await admit(users, b"alice", b"wonderland"))

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(ask)
    assert admitted == [True] * 20
    assert len(checks) == 1


async def test_no_flood_of_wrong_passwords_drives_out_a_right_one(
    checks: list[tuple[bytes, bytes]],
) -> None:
    users = of_alice_and_bob()
    assert await admit(users, b"alice", b"wonderland")
    with patch.object(bcrypt, "checkpw", lambda *_: False):
        for number in range(1000):
            assert not await admit(users, b"alice", str(number).encode())
    assert await admit(users, b"alice", b"wonderland")
    assert len(checks) == 1


async def test_no_number_of_attempts_takes_more_memory() -> None:
    users = of_alice_and_bob()
    with patch.object(bcrypt, "checkpw", lambda *_: False):
        for number in range(1000):
            await admit(users, b"alice", str(number).encode())
    assert len(users._refused._items) == 256


async def test_what_is_kept_is_neither_password_nor_hash() -> None:
    users = of_alice_and_bob()
    await admit(users, b"alice", b"wonderland")
    (kept,) = users._admitted._items
    assert b"wonderland" not in kept
    assert len(kept) == 32
    other = of_alice_and_bob()
    await admit(other, b"alice", b"wonderland")
    assert kept not in other._admitted._items


class TestUnknownNames:
    async def test_one_costs_a_hash_as_a_known_one_does(
        self, checks: list[tuple[bytes, bytes]]
    ) -> None:
        users = of_alice_and_bob()
        await admit(users, b"alice", b"wrong")
        await admit(users, b"nobody", b"wrong")
        (_, of_alice), (_, of_nobody) = checks
        assert of_alice[:4] == of_nobody[:4] == b"$2b$"
        assert len(of_alice) == len(of_nobody) == 60
        assert of_nobody[4:6] in (b"04", b"05")

    async def test_its_cost_is_that_of_some_user_and_never_another(
        self, checks: list[tuple[bytes, bytes]]
    ) -> None:
        """Else whoever asks twice would see that nobody has the name."""
        users = of_alice_and_bob()
        for number in range(40):
            for password in (b"one", b"two"):
                await admit(users, f"nobody{number}".encode(), password)
        costs = [hashed[4:6] for _, hashed in checks]
        assert costs[::2] == costs[1::2]
        assert set(costs) == {b"04", b"05"}

    async def test_nothing_opens_it(self) -> None:
        users = of_alice_and_bob()
        with patch.object(bcrypt, "checkpw", lambda *_: True):
            assert not await admit(users, b"nobody", b"anything")
        assert not await admit(users, b"nobody", b"anything")


async def test_the_event_loop_goes_on_while_a_hash_is_computed() -> None:
    users = of_alice_and_bob()
    begun, loop_went_on = anyio.Event(), threading.Event()

    def slow(_password: bytes, _hashed: bytes) -> bool:
        anyio.from_thread.run_sync(begun.set)
        return loop_went_on.wait(timeout=30.0)

    async with anyio.create_task_group() as tasks:
        with patch.object(bcrypt, "checkpw", slow):
            tasks.start_soon(admit, users, b"alice", b"wonderland")
            with anyio.fail_after(30):
                await begun.wait()
            loop_went_on.set()


async def test_hashes_are_computed_one_at_a_time() -> None:
    users = of_alice_and_bob()
    running = threading.Semaphore(1)

    def exclusive(_password: bytes, _hashed: bytes) -> bool:
        assert running.acquire(blocking=False)
        running.release()
        return False

    with patch.object(bcrypt, "checkpw", exclusive):
        async with anyio.create_task_group() as tasks:
            for number in range(10):
                tasks.start_soon(admit, users, b"alice", str(number).encode())


class TestFailedLogins:
    async def test_an_address_has_a_few_and_then_one_now_and_then(self) -> None:
        clock = Clock()
        users = Passwords({"alice": hashed("wonderland")}, monotonic=clock)
        for number in range(5):
            assert not await admit(users, b"alice", str(number).encode(), "192.0.2.1")
        with pytest.raises(TooManyFailures) as refused:
            await admit(users, b"alice", b"5", "192.0.2.1")
        assert refused.value.wait == 10.0
        clock.now += 10.0
        assert not await admit(users, b"alice", b"5", "192.0.2.1")

    async def test_no_other_address_has_to_wait_for_it(self) -> None:
        users = Passwords({"alice": hashed("wonderland")}, monotonic=Clock())
        await fail(users, "192.0.2.1")
        assert await admit(users, b"alice", b"wonderland", "192.0.2.2")

    async def test_a_login_that_was_right_before_passes_from_there_too(self) -> None:
        users = Passwords({"alice": hashed("wonderland")}, monotonic=Clock())
        assert await admit(users, b"alice", b"wonderland", "192.0.2.1")
        await fail(users, "192.0.2.1")
        assert users.has_verified(b"alice", b"wonderland")
        assert await admit(users, b"alice", b"wonderland", "192.0.2.1")

    async def test_right_logins_are_no_failures(self) -> None:
        hashes = {f"user-{number}": hashed("right") for number in range(30)}
        users = Passwords(hashes, monotonic=Clock())
        for user in hashes:
            assert await admit(users, user.encode(), b"right", "192.0.2.1")

    async def test_one_that_is_given_up_before_its_hash_is_a_failure(
        self, checks: list[object]
    ) -> None:
        users = Passwords({"alice": hashed("wonderland")}, monotonic=Clock())
        async with users._hashing.turn:
            for number in range(5):
                with anyio.CancelScope() as gone:
                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(admit, users, b"alice", str(number).encode(), "192.0.2.1")
                        await anyio.wait_all_tasks_blocked()
                        gone.cancel()
        assert not checks
        with pytest.raises(TooManyFailures):
            await admit(users, b"alice", b"wonderland", "192.0.2.1")

    @pytest.mark.parametrize(
        ("one", "other"),
        [("2001:db8::1", "2001:db8::ffff:1"), ("192.0.2.1", "::ffff:192.0.2.1")],
        ids=["a network of IPv6", "IPv4 as IPv6"],
    )
    async def test_addresses_that_one_client_may_have_are_one(self, one: str, other: str) -> None:
        users = Passwords({"alice": hashed("wonderland")}, monotonic=Clock())
        await fail(users, one)
        with pytest.raises(TooManyFailures):
            await admit(users, b"alice", b"wonderland", other)

    async def test_no_number_of_addresses_takes_more_memory(self) -> None:
        buckets = AddressBuckets(RateLimit(interval=1.0, burst=1), Clock())
        for number in range(10_000):
            buckets.bucket_of(f"host-{number}")
        assert len(buckets._buckets) == 4096

    async def test_beyond_a_queue_the_next_is_told_to_come_back(self) -> None:
        users = of_alice_and_bob()
        async with anyio.create_task_group() as tasks, users._hashing.turn:
            for number in range(16):
                tasks.start_soon(admit, users, b"alice", str(number).encode())
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(Busy):
                await admit(users, b"alice", b"wonderland")


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


async def fail(users: Passwords, address: str) -> None:
    """Use up what an address may fail."""
    for number in range(5):
        assert not await admit(users, b"alice", f"guess-{number}".encode(), address)
