"""The process of a command: its exit code and signals, open files and garbage collection."""

from __future__ import annotations

import gc
import resource
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager

import anyio

from exporter.cli.conventions import ExitCode
from exporter.cli.terminal import say
from exporter.settings import SettingsError
from exporter.web.sockets import CannotListen

_ENOUGH_FILES = 65_536

# The last is the number of middle collections per full one: high enough that only a flood of
# garbage brings one on. The others are Python 3.11's; later versions collect for longer.
_THRESHOLDS = (700, 10, 100)
_FULL_COLLECTION_SECONDS = 30.0
_IDLE_CHECK_SECONDS = 0.1
_MAX_IDLE_CHECKS = 300


def outcome_of(work: Callable[[], ExitCode]) -> ExitCode:
    """Run *work* and return its exit code; print the problems of a wrong configuration."""
    try:
        return work()
    except SettingsError as error:
        for problem in error.problems:
            say(problem)
        return ExitCode.CONFIGURATION
    except CannotListen as error:
        say(error)
        return ExitCode.CANNOT_LISTEN


async def wait_for_stop(listening: Callable[[], None] = lambda: None) -> None:
    """Return on SIGTERM or SIGINT; call *listening* once they are received."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        listening()
        async for _ in signals:
            return


def allow_many_files() -> None:
    """Raise the limit of open sockets and files as far as an ordinary user may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= _ENOUGH_FILES:
        return
    wanted = _ENOUGH_FILES if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@contextmanager
def tuned_garbage_collection() -> Generator[None, None, None]:
    """
    Make full collections rare while the block runs, and exempt what exists before it.

    A full collection holds the event loop: about 0.5 µs per object that can be part of a cycle,
    30 ms with 190 hubs of 100,000 series. Little garbage needs one, such as closed connections.

    Nothing is frozen later: an open connection then refers to itself, and would never be freed.
    """
    before = gc.get_threshold()
    gc.set_threshold(*_THRESHOLDS)
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)


async def collect_garbage(
    is_idle: Callable[[], bool], *, every: float = _FULL_COLLECTION_SECONDS
) -> None:
    """Run a full collection *every* so many seconds, once *is_idle* or after another 30 s."""
    while True:
        await anyio.sleep(every)
        for _ in range(_MAX_IDLE_CHECKS):
            if is_idle():
                break
            await anyio.sleep(_IDLE_CHECK_SECONDS)
        gc.collect()
