"""Passwords: checked beside the event loop, once each, and alike for names that nobody has."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from unittest.mock import patch

import anyio
import bcrypt
import pytest

from exporter.web.passwords import Passwords

pytestmark = pytest.mark.anyio

real_check = bcrypt.checkpw


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


def of_alice_and_bob() -> Passwords:
    return Passwords({"alice": hashed("wonderland"), "bob": hashed("builder", cost=5)})


async def test_only_the_right_password_of_the_user_opens() -> None:
    users = of_alice_and_bob()
    assert await users.admit(b"alice", b"wonderland")
    assert not await users.admit(b"alice", b"builder")
    assert not await users.admit(b"bob", b"wonderland")
    assert not await users.admit(b"alice", b"")
    assert not await users.admit(b"", b"wonderland")
    assert not await users.admit(b"carol", b"wonderland")


async def test_a_hash_as_htpasswd_writes_it_is_understood() -> None:
    as_htpasswd = hashed("wonderland").replace("$2b$", "$2y$")
    assert await Passwords({"alice": as_htpasswd}).admit(b"alice", b"wonderland")


async def test_names_and_passwords_in_any_script_are_understood() -> None:
    users = Passwords({"Ælice": hashed("wunderländ")})
    assert await users.admit("Ælice".encode(), "wunderländ".encode())


async def test_a_password_beyond_what_bcrypt_looks_at_is_cut_off_as_others_do() -> None:
    users = Passwords({"alice": hashed("x" * 72)})
    assert await users.admit(b"alice", b"x" * 100)
    assert not await users.admit(b"alice", b"x" * 71)
    assert not await users.admit(b"alice", b"\0" * 100)


async def test_what_is_known_is_not_computed_again(checks: list[object]) -> None:
    users = of_alice_and_bob()
    for _ in range(3):
        assert await users.admit(b"alice", b"wonderland")
        assert not await users.admit(b"alice", b"wrong")
        assert not await users.admit(b"nobody", b"wrong")
    assert len(checks) == 3


async def test_many_who_ask_the_same_at_once_cost_one_hash(checks: list[object]) -> None:
    users = of_alice_and_bob()
    admitted = []

    async def ask() -> None:
        admitted.append(await users.admit(b"alice", b"wonderland"))

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(ask)
    assert admitted == [True] * 20
    assert len(checks) == 1


async def test_no_flood_of_wrong_passwords_drives_out_a_right_one(
    checks: list[tuple[bytes, bytes]],
) -> None:
    users = of_alice_and_bob()
    assert await users.admit(b"alice", b"wonderland")
    with patch.object(bcrypt, "checkpw", lambda *_: False):
        for number in range(1000):
            assert not await users.admit(b"alice", str(number).encode())
    assert await users.admit(b"alice", b"wonderland")
    assert len(checks) == 1


async def test_no_number_of_attempts_takes_more_memory() -> None:
    users = of_alice_and_bob()
    with patch.object(bcrypt, "checkpw", lambda *_: False):
        for number in range(1000):
            await users.admit(b"alice", str(number).encode())
    assert len(users._refused._items) == 256


async def test_what_is_kept_is_neither_password_nor_hash() -> None:
    users = of_alice_and_bob()
    await users.admit(b"alice", b"wonderland")
    (kept,) = users._admitted._items
    assert b"wonderland" not in kept
    assert len(kept) == 32
    other = of_alice_and_bob()
    await other.admit(b"alice", b"wonderland")
    assert kept not in other._admitted._items


class TestUnknownNames:
    async def test_one_costs_a_hash_as_a_known_one_does(
        self, checks: list[tuple[bytes, bytes]]
    ) -> None:
        users = of_alice_and_bob()
        await users.admit(b"alice", b"wrong")
        await users.admit(b"nobody", b"wrong")
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
                await users.admit(f"nobody{number}".encode(), password)
        costs = [hashed[4:6] for _, hashed in checks]
        assert costs[::2] == costs[1::2]
        assert set(costs) == {b"04", b"05"}

    async def test_nothing_opens_it(self) -> None:
        users = of_alice_and_bob()
        with patch.object(bcrypt, "checkpw", lambda *_: True):
            assert not await users.admit(b"nobody", b"anything")
        assert not await users.admit(b"nobody", b"anything")


async def test_the_event_loop_goes_on_while_a_hash_is_computed() -> None:
    users = of_alice_and_bob()
    begun, loop_went_on = anyio.Event(), threading.Event()

    def slow(_password: bytes, _hashed: bytes) -> bool:
        anyio.from_thread.run_sync(begun.set)
        return loop_went_on.wait(timeout=30.0)

    async with anyio.create_task_group() as tasks:
        with patch.object(bcrypt, "checkpw", slow):
            tasks.start_soon(users.admit, b"alice", b"wonderland")
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
            for number in range(50):
                tasks.start_soon(users.admit, b"alice", str(number).encode())
