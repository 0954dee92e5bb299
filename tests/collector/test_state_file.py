"""The state of a hub as a file: whole, durable, held by one process, and never believed blindly."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import anyio
import anyio.lowlevel
import anyio.to_thread
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.collector import state_database, state_file
from exporter.collector.state import LearnedFacts, Owner, StateNotWritten
from exporter.collector.state_database import StateDatabase
from exporter.collector.state_file import StateFile, set_aside_others, stem_of
from exporter.ledger.ledger import Ledger
from tests.ledger.rules import DEFAULT_RULES
from tests.ledger.world import NOW, finishes, recent, row, sweep
from tests.metrics.snapshots import busy_ledger

pytestmark = pytest.mark.anyio

OWNER = Owner("orders", "https://app.example/runtime/webhooks/durabletask", "ordershub", "")
DAY = 86_400.0
SAMPLES = Path(__file__).parents[1] / "data" / "state"
RULES = busy_ledger().rules
LEARNED = LearnedFacts(row_bytes={"Running": 812.5})
DIE_IN_A_COMMIT = """
import os, signal, sqlite3, sys
database = sqlite3.connect(sys.argv[1])
database.executescript("PRAGMA journal_mode = TRUNCATE; PRAGMA cache_size = 1; BEGIN;")
database.execute("UPDATE record SET content = zeroblob(5000)")
os.kill(os.getpid(), signal.SIGKILL)
"""
HOLD_LOCK = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def state_in(
    folder: Path, owner: Owner = OWNER, *, now: float = NOW, wait: float = 0.0
) -> StateFile:
    return StateFile(folder, owner, max_age=DAY, wall=lambda: now, lock_wait=wait)


async def write(folder: Path, ledger: Ledger | None = None, **changes: str) -> Path:
    """Keep a ledger for a hub that differs by *changes*, and let go of it."""
    with closing(state_in(folder, owner_with(changes))) as state:
        await state.open(RULES)
        state.learned = LEARNED
        await state.commit(ledger or busy_ledger())
        return state.path


def owner_with(changes: dict[str, str]) -> Owner:
    return Owner(**{**msgspec.structs.asdict(OWNER), **changes})


async def reopened(folder: Path, now: float = NOW) -> tuple[Ledger, dict[str, int]]:
    """Return the ledger that a next process gets, and the errors that it counts."""
    with closing(state_in(folder, now=now)) as state:
        ledger = await state.open(RULES)
        return ledger, {reason: count for reason, count in state.use.errors.items() if count}


def is_new(ledger: Ledger) -> bool:
    return ledger.known().baseline is None


class TestRestoring:
    async def test_everything_that_a_ledger_knows_comes_back(self, tmp_path: Path) -> None:
        before = busy_ledger()
        await write(tmp_path, before)
        after, errors = await reopened(tmp_path)
        assert after.saved() == before.saved()
        assert after.known() == before.known()
        assert finishes(after) == finishes(before)
        assert errors == {}

    async def test_what_is_written_by_and_by_adds_up(self, tmp_path: Path) -> None:
        ledger = busy_ledger()
        with closing(state_in(tmp_path)) as state:
            await state.open(RULES)
            for cycle in range(1, 40):
                await state.commit(ledger)
                sweep(ledger, 30.0 * cycle, *(row(f"a{n}") for n in range(cycle, cycle + 9)))
                recent(ledger, 30.0 * cycle, row(f"a{cycle - 1}", "Completed", updated=cycle))
            with patch.object(state_database, "_FEWEST_CHANGES", 0):
                await state.commit(ledger)
        after, errors = await reopened(tmp_path)
        assert after.saved() == Ledger(RULES, ledger.saved()).saved()
        assert finishes(after) == finishes(ledger)
        assert errors == {}

    async def test_what_was_learned_of_the_hub_comes_back_too(self, tmp_path: Path) -> None:
        await write(tmp_path)
        with closing(state_in(tmp_path)) as state:
            await state.open(RULES)
            assert state.learned == LEARNED

    async def test_without_a_file_the_hub_begins_anew(self, tmp_path: Path) -> None:
        ledger, errors = await reopened(tmp_path)
        assert is_new(ledger)
        assert errors == {}

    async def test_only_the_exporter_itself_can_read_it(self, tmp_path: Path) -> None:
        path = await write(tmp_path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    async def test_it_says_when_it_was_written(self, tmp_path: Path) -> None:
        with closing(state_in(tmp_path)) as state:
            ledger = await state.open(RULES)
            assert state.use.last_write is None
            await state.commit(ledger)
            assert state.use.last_write == NOW


class TestVersions:
    @pytest.fixture
    def of_version_1(self, tmp_path: Path) -> Path:
        path = state_in(tmp_path).path
        shutil.copy(SAMPLES / "version-1.state", path)
        return tmp_path

    async def test_a_state_of_the_version_before_is_taken_over(self, of_version_1: Path) -> None:
        ledger, errors = await reopened(of_version_1)
        assert errors == {}
        assert finishes(ledger) == {("Order", "Completed"): 1}
        assert ledger.tracked.keys() == {"r1", "r2", "p1"}
        assert ledger.known().baseline == NOW
        assert ledger.retained.view() is None

    async def test_it_is_written_in_the_present_version(self, of_version_1: Path) -> None:
        with closing(state_in(of_version_1)) as state:
            await state.commit(await state.open(RULES))
            assert state.path.read_bytes() != (SAMPLES / "version-1.state").read_bytes()
        _, errors = await reopened(of_version_1)
        assert errors == {}


class TestDistrust:
    async def test_a_file_cut_off_anywhere_is_moved_aside(self, tmp_path: Path) -> None:
        path = await write(tmp_path)
        whole = path.read_bytes()
        # The last byte alone may be a zero, which is what SQLite reads where nothing stands.
        # Zeros at the end of a page may mean nothing, and are read where nothing stands.
        last = len(whole.rstrip(b"\0")) - 1
        for length in (0, 1, 30, len(whole) // 2, last):
            path.write_bytes(whole[:length])
            ledger, errors = await reopened(tmp_path)
            assert is_new(ledger)
            assert errors == {"unreadable": 1}
            assert not path.exists()
            assert path.with_suffix(".aside").read_bytes() == whole[:length]

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
    @given(st.integers(min_value=0), st.integers(1, 255))
    def test_no_flipped_byte_changes_the_accounts_unnoticed(
        self, tmp_path: Path, place: int, difference: int
    ) -> None:
        """Some bytes of the file mean nothing: what they hold is not missed."""
        before = busy_ledger()

        async def flip_and_reopen() -> tuple[Ledger, dict[str, int]]:
            state_in(tmp_path).path.unlink(missing_ok=True)
            path = await write(tmp_path, before)
            content = bytearray(path.read_bytes())
            content[place % len(content)] ^= difference
            path.write_bytes(content)
            return await reopened(tmp_path)

        ledger, errors = anyio.run(flip_and_reopen)
        if errors:
            assert is_new(ledger)
            assert sum(errors.values()) == 1
        else:
            assert ledger.saved() == before.saved()

    @pytest.mark.parametrize("field", ["name", "url", "task_hub", "connection"])
    async def test_the_state_of_another_hub_is_not_taken_over(
        self, tmp_path: Path, field: str
    ) -> None:
        path = await write(tmp_path, None, **{field: "other"})
        path.replace(state_in(tmp_path).path)
        ledger, errors = await reopened(tmp_path)
        assert is_new(ledger)
        assert errors == {"foreign": 1}

    async def test_one_that_is_too_old_is_not_used(self, tmp_path: Path) -> None:
        await write(tmp_path)
        ledger, _ = await reopened(tmp_path, now=NOW + DAY)
        assert not is_new(ledger)
        ledger, errors = await reopened(tmp_path, now=NOW + DAY + 1)
        assert is_new(ledger)
        assert errors == {"too_old": 1}

    async def test_a_newer_version_is_not_guessed_at(self, tmp_path: Path) -> None:
        with patch.object(state_database, "VERSION", state_database.VERSION + 1):
            await write(tmp_path)
        ledger, errors = await reopened(tmp_path)
        assert is_new(ledger)
        assert errors == {"version": 1}

    async def test_well_formed_content_that_makes_no_sense_is_unreadable(
        self, tmp_path: Path
    ) -> None:
        with patch.object(Ledger, "_saved_header", lambda *_: {"contact": "today"}):
            await write(tmp_path)
        ledger, errors = await reopened(tmp_path)
        assert is_new(ledger)
        assert errors == {"unreadable": 1}

    async def test_one_aside_is_kept_not_a_heap(self, tmp_path: Path) -> None:
        for _ in range(3):
            (await write(tmp_path)).write_bytes(b"rubbish")
            await reopened(tmp_path)
        assert len(list(tmp_path.glob("*.aside"))) == 1


class TestWriting:
    async def test_a_failed_write_leaves_the_old_state_and_says_so(self, tmp_path: Path) -> None:
        before = busy_ledger()
        path = await write(tmp_path, before)
        content = path.read_bytes()
        with closing(state_in(tmp_path)) as state:
            ledger = await state.open(RULES)
            sweep(ledger, 30.0, row("r9"))
            with (
                patch("os.fsync", side_effect=OSError(28, "No space left on device")),
                pytest.raises(StateNotWritten, match="No space left"),
            ):
                await state.commit(ledger)
            assert path.read_bytes() == content
            assert state.use.errors["write"] == 1
            await state.commit(ledger)
            assert state.use.errors["write"] == 1
        after, _ = await reopened(tmp_path)
        assert after.tracked.keys() == {"r1", "r2", "e1", "r9"}

    async def test_what_could_not_be_added_is_added_with_the_next(self, tmp_path: Path) -> None:
        with closing(state_in(tmp_path)) as state:
            await state.open(RULES)
            ledger = busy_ledger()
            await state.commit(ledger)
            recent(ledger, 30.0, row("r1", "Completed", created=-30.0, updated=20.0))
            with (
                patch.object(StateDatabase, "append", side_effect=OSError(28, "full")),
                pytest.raises(StateNotWritten, match="full"),
            ):
                await state.commit(ledger)
            recent(ledger, 60.0, row("x", "Completed", created=40.0, updated=50.0))
            await state.commit(ledger)
        after, errors = await reopened(tmp_path)
        assert after.saved() == Ledger(RULES, ledger.saved()).saved()
        assert errors == {}

    async def test_a_process_killed_while_it_writes_leaves_the_old_state(
        self, tmp_path: Path
    ) -> None:
        before = busy_ledger()
        path = await write(tmp_path, before)
        content = path.read_bytes()
        left_behind = path.with_suffix(".4711.tmp")
        left_behind.write_bytes(content[:50])
        command = [sys.executable, "-c", DIE_IN_A_COMMIT, str(path)]
        killed = await anyio.run_process(command, check=False)
        assert killed.returncode == -signal.SIGKILL
        assert path.read_bytes() != content
        after, errors = await reopened(tmp_path)
        assert after.saved() == before.saved()
        assert errors == {}
        assert not left_behind.exists()

    async def test_a_file_that_was_removed_or_replaced_is_written_anew(
        self, tmp_path: Path
    ) -> None:
        other = tmp_path / "other"
        other.mkdir()
        another = await write(other)
        with closing(state_in(tmp_path)) as state:
            await state.open(RULES)
            ledger = busy_ledger()
            await state.commit(ledger)
            changes: list[tuple[Callable[[], object], str]] = [
                (state.path.unlink, "was removed"),
                (lambda: shutil.copy(another, state.path), "the file was replaced"),
                (lambda: state.path.write_bytes(b"rubbish" * 1000), "not a database"),
            ]
            for change, message in changes:
                change()
                sweep(ledger, 30.0, row("r7"))
                with pytest.raises(StateNotWritten, match=message):
                    await state.commit(ledger)
                await state.commit(ledger)
        after, errors = await reopened(tmp_path)
        assert after.saved() == Ledger(RULES, ledger.saved()).saved()
        assert errors == {}

    async def test_a_file_that_cannot_be_read_is_left_alone_and_not_written_over(
        self, tmp_path: Path
    ) -> None:
        path = await write(tmp_path)
        before = path.read_bytes()
        with closing(state_in(tmp_path)) as state:
            with patch.object(Path, "open", side_effect=OSError(5, "Input/output error")):
                ledger = await state.open(RULES)
            await state.commit(ledger)
            assert is_new(ledger)
            assert state.use.errors["unreadable"] == 1
        assert path.read_bytes() == before

    async def test_a_pipe_in_its_place_is_moved_aside_and_nobody_waits_for_it(
        self, tmp_path: Path
    ) -> None:
        path = await write(tmp_path)
        path.unlink()
        os.mkfifo(path)
        with anyio.fail_after(60), closing(state_in(tmp_path)) as state:
            ledger = await state.open(RULES)
            assert is_new(ledger)
            assert state.use.errors["unreadable"] == 1
            await state.commit(ledger)
        assert path.is_file()

    async def test_file_and_folder_are_made_durable_in_that_order(self, tmp_path: Path) -> None:
        steps: list[str] = []
        real_fsync, real_replace = os.fsync, Path.replace

        def fsync(file: int) -> None:
            steps.append("folder" if stat.S_ISDIR(os.fstat(file).st_mode) else "file")
            real_fsync(file)

        def rename(path: Path, target: Path) -> Path:
            steps.append("rename")
            return real_replace(path, target)

        with patch("os.fsync", fsync), patch.object(Path, "replace", rename):
            await write(tmp_path)
        assert steps == ["file", "rename", "folder"]

    async def test_a_write_that_hangs_is_given_up_and_not_overtaken(self, tmp_path: Path) -> None:
        hanging, released = threading.Event(), threading.Event()

        def hang(*_: object) -> None:
            hanging.set()
            released.wait(timeout=120.0)

        with closing(state_in(tmp_path)) as state:
            ledger = await state.open(RULES)
            with patch.object(StateDatabase, "write", hang):
                with (
                    patch.object(state_file, "_WRITE_SECONDS", 0.2),
                    pytest.raises(StateNotWritten, match="not written within"),
                ):
                    await state.commit(ledger)
                await anyio.to_thread.run_sync(hanging.wait)
                with pytest.raises(StateNotWritten, match="the previous write has not ended"):
                    await state.commit(ledger)
                # Another process would write into what this one has not ended.
                state.close()
                lock = path_of_lock(state)
                assert is_held(lock)
                released.set()
                with anyio.fail_after(60):
                    while is_held(lock):
                        await anyio.lowlevel.checkpoint()

    async def test_a_write_that_was_only_abandoned_is_waited_for(self, tmp_path: Path) -> None:
        writes: list[float] = []
        begun, released = threading.Event(), threading.Event()

        def write_slowly(_database: object, _records: object, now: float, *_: object) -> None:
            begun.set()
            released.wait(timeout=120.0)
            writes.append(now)

        with closing(state_in(tmp_path)) as state:
            ledger = await state.open(RULES)
            with patch.object(StateDatabase, "write", write_slowly):
                async with anyio.create_task_group() as abandoned:
                    abandoned.start_soon(state.commit, ledger)
                    await anyio.to_thread.run_sync(begun.wait)
                    abandoned.cancel_scope.cancel()
                async with anyio.create_task_group() as last:
                    last.start_soon(state.commit, ledger)
                    await anyio.wait_all_tasks_blocked()
                    released.set()
            assert len(writes) == 2
            assert not any(state.use.errors.values())

    async def test_it_says_how_much_was_written_as_the_system_counts_it(
        self, tmp_path: Path
    ) -> None:
        ledger = busy_ledger()
        with closing(state_in(tmp_path)) as state:
            await state.open(RULES)
            before = bytes_of_process()
            for cycle in range(10):
                sweep(ledger, 30.0 * cycle, row("r1"))
                await state.commit(ledger)
            # LearnedFacts it a process writes a little to wake its event loop.
            assert 0 <= bytes_of_process() - before - (state.use.written_bytes or 0) < 1000


def bytes_of_process() -> int:
    """Return how many bytes this process has handed to the system to be written."""
    lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    return int(dict(line.split(": ") for line in lines)["wchar"])


class TestHolding:
    async def test_a_second_process_does_without_and_says_so(self, tmp_path: Path) -> None:
        path = await write(tmp_path)
        before = path.read_bytes()
        with held_by_another(path.with_suffix(".lock")), closing(state_in(tmp_path)) as state:
            ledger = await state.open(RULES)
            await state.commit(ledger)
            assert is_new(ledger)
            assert state.use.errors["locked"] == 1
            assert state.use.last_write is None
        assert path.read_bytes() == before

    async def test_it_waits_for_the_process_that_it_replaces(self, tmp_path: Path) -> None:
        path = await write(tmp_path)
        with closing(state_in(tmp_path, wait=120.0)) as state, anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                with held_by_another(path.with_suffix(".lock")):
                    opened = []

                    async def take_over() -> None:
                        opened.append(await state.open(RULES))

                    tasks.start_soon(take_over)
                    await anyio.wait_all_tasks_blocked()
                    assert opened == []
            assert not is_new(opened[0])

    async def test_a_lock_dies_with_its_process(self, tmp_path: Path) -> None:
        path = await write(tmp_path)
        with held_by_another(path.with_suffix(".lock"), kill=True):
            pass
        ledger, errors = await reopened(tmp_path)
        assert not is_new(ledger)
        assert errors == {}

    async def test_one_that_others_took_as_well_is_given_up(self, tmp_path: Path) -> None:
        """As on a volume whose locks are those of one machine each."""
        with closing(state_in(tmp_path)) as state:
            ledger = await state.open(RULES)
            await state.commit(ledger)
            path_of_lock(state).write_bytes(b"sixteen other by")
            before = state.path.read_bytes()
            for _ in range(2):
                await state.commit(ledger)
            assert state.path.read_bytes() == before
            assert state.use.errors["locked"] == 1
            assert state.use.errors["write"] == 0
            assert not is_held(path_of_lock(state))

    async def test_one_whose_file_is_removed_is_taken_again(self, tmp_path: Path) -> None:
        with closing(state_in(tmp_path)) as state:
            ledger = await state.open(RULES)
            path_of_lock(state).unlink()
            await state.commit(ledger)
            assert is_held(path_of_lock(state))
            path_of_lock(state).unlink()
            with held_by_another(path_of_lock(state)):
                await state.commit(ledger)
            assert state.use.errors["locked"] == 1

    async def test_a_volume_without_locks_is_refused_by_name(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with closing(state_in(tmp_path)) as state:
            with patch("fcntl.flock", side_effect=OSError(errno.ENOLCK, "No locks available")):
                ledger = await state.open(RULES)
            await state.commit(ledger)
            assert state.use.errors["write"] == 1
        assert not state.path.exists()

    async def test_a_folder_that_cannot_be_written_to_costs_the_state_not_the_hub(
        self, tmp_path: Path
    ) -> None:
        with closing(state_in(tmp_path / "missing")) as state:
            ledger = await state.open(RULES)
            await state.commit(ledger)
            assert state.use.errors["write"] == 1
        assert is_new(ledger)


def path_of_lock(state: StateFile) -> Path:
    return state.path.with_suffix(".lock")


def is_held(lock: Path) -> bool:
    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


@contextmanager
def held_by_another(lock: Path, *, kill: bool = False) -> Iterator[None]:
    command = [sys.executable, "-c", HOLD_LOCK, str(lock)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield
        finally:
            if kill:
                process.kill()


class TestFolder:
    async def test_hubs_that_are_not_polled_here_begin_anew_when_they_come_back(
        self, tmp_path: Path
    ) -> None:
        path = await write(tmp_path)
        set_aside_others(tmp_path, ["billing"])
        assert path.with_suffix(".aside").exists()
        ledger, errors = await reopened(tmp_path)
        assert is_new(ledger)
        assert errors == {}

    async def test_those_that_are_polled_here_or_held_by_another_process_stay(
        self, tmp_path: Path
    ) -> None:
        own = await write(tmp_path)
        other = await write(tmp_path, name="billing")
        with held_by_another(other.with_suffix(".lock")):
            set_aside_others(tmp_path, ["orders"])
        assert own.exists()
        assert other.exists()

    def test_every_hub_has_files_of_its_own_whatever_it_is_called(self) -> None:
        names = [
            "orders",
            "Orders",
            "../orders",
            "orders/",
            "a" * 128,
            "a" * 127,
            "Hübe",
            ".",
        ]
        stems = {stem_of(name) for name in names}
        assert len(stems) == len(names)
        assert all("/" not in stem and "." not in stem and len(stem) < 60 for stem in stems)


def test_limits_that_were_lowered_meanwhile_move_nobody_out_of_its_place() -> None:
    ledger = busy_ledger()
    lowered = Ledger(replace(RULES, label_limit=1), ledger.saved())
    assert lowered.known().orchestrators == ledger.known().orchestrators


def test_names_configured_meanwhile_get_places_if_there_is_room() -> None:
    ledger = Ledger(replace(RULES, orchestrators=("Configured", "New")), busy_ledger().saved())
    assert ledger.known().orchestrators == (*busy_ledger().known().orchestrators, "New")


def test_a_ledger_of_other_rules_takes_up_the_state() -> None:
    assert Ledger(DEFAULT_RULES, busy_ledger().saved()).saved().book == busy_ledger().saved().book
