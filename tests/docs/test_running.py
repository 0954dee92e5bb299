"""The shell of the pages runs as it stands, against an emulated app and a real exporter."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal

from emulator import (
    Emulator,
    Instance,
    Keys,
    RealClock,
    RuntimeStatus,
    TaskHub,
    running,
    sample_emulator,
)
from tests.cli.process import serving
from tests.docs.pages import SHELLS, Block, blocks, typed
from tests.docs.placed import KEY
from tests.docs.surroundings import Surroundings, run_block

# Runbooks share what their pages say, so what several of them say is run once.
# By default only their calls are checked (see languages.py): here each starts the exporter.
RUN = {
    ("" if "/runbooks/" in block.page else block.page, block.text): block
    for block in blocks(*SHELLS)
    if not block.not_run
}.values()
ASKED_FOR = {
    instance for block in RUN for instance in re.findall(r"\bwhy '?([^\s']+)", typed(block))
}


def the_app() -> Emulator:
    """Return an app with the instances that pages ask for."""
    clock = RealClock()
    emulator = sample_emulator(clock=clock, seed=7, history=600.0, system_key=KEY)
    now = clock.now()
    for instance in ASKED_FOR:
        emulator.own_hub.put(
            Instance(
                instance_id=instance,
                name="ProcessOrder",
                status=RuntimeStatus.RUNNING,
                created=now - 7200,
                updated=now - 7100,
            )
        )
    return emulator


class Apps:
    """Emulated apps: one that is alive, and empty ones for pages that name several."""

    def __init__(self) -> None:
        clock = RealClock()
        keys = Keys(system=KEY)
        empty = (Emulator(TaskHub("OrdersHub", clock), clock=clock, keys=keys) for _ in range(3))
        self.all = (the_app(), *empty)

    def mend(self) -> None:
        """Undo what pages show how to break."""
        for emulator in self.all:
            emulator.rotate_key(KEY)
            emulator.own_hub.faults.clear()


@pytest.fixture(scope="module")
def apps() -> Apps:
    return Apps()


@pytest.fixture(scope="module")
def around(apps: Apps, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Surroundings]:
    folder = tmp_path_factory.mktemp("around")
    key = folder / "key"
    key.write_text(KEY, encoding="utf-8")
    with start_blocking_portal() as portal, ExitStack() as stack:
        urls = [
            stack.enter_context(portal.wrap_async_context_manager(running(emulator)))
            for emulator in apps.all
        ]
        exporter = serving("--url", urls[0], "--key-file", str(key), "--name", "orders")
        daemon = stack.enter_context(portal.wrap_async_context_manager(exporter))
        portal.call(daemon.until, "hub is up")
        yield Surroundings(urls, f"http://127.0.0.1:{daemon.port}", daemon.log, folder)


@pytest.mark.proof
@pytest.mark.parametrize("block", RUN, ids=str)
def test_a_block_of_shell_runs_to_its_end(
    block: Block, apps: Apps, around: Surroundings, tmp_path: Path
) -> None:
    done = run_block(block, around, tmp_path)
    apps.mend()
    assert done.returncode == 0, f"{block}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
