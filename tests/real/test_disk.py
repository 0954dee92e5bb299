"""A disk that is full, read-only or emptied costs counters time, and not one increment."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.real.chaos import SETTLE_SECONDS, Scene, chaos
from tests.real.counted import ACCOUNTS, FINISHED, Counted, nonzero
from tests.real.daemon import Daemon, reserved_port
from tests.real.disk import small_disk
from tests.real.prometheus import Sample
from tests.real.traffic import Traffic, finishes_of

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.proof,
    pytest.mark.usefixtures("prometheus_at_hand"),
]

RATE = 50.0
ERRORS = "durable_functions_exporter_state_errors_total"


async def errors(scene: Scene, reason: str, more_than: float = 0.0) -> list[Sample]:
    """Wait until the exporter says that its state was in trouble."""
    where = f'{ERRORS}{{instance="{scene.daemon.address}",reason="{reason}"}}'
    return await scene.prometheus.wait_until(f"{where} > {more_than}", within=SETTLE_SECONDS)


async def assert_counters_stand_still_and_gauges_do_not(scene: Scene) -> None:
    """See two more writes fail, between which no counter grows, and sweeps go on."""
    (begin,) = await errors(scene, "write")
    before = await scene.prometheus.query(f"sum({FINISHED})")
    await errors(scene, "write", begin.value + 2)
    assert await scene.prometheus.query(f"sum({FINISHED})") == before
    assert [each.value for each in await scene.prometheus.query("durable_functions_up")] == [1.0]


async def assert_all_is_counted_once(scene: Scene) -> None:
    end: Counted = await scene.until_shown(finishes_of(scene.hub))
    for family in ACCOUNTS:
        assert set((await end.resets(family)).values()) <= {0.0}, family
    finishes = {pair: float(count) for pair, count in finishes_of(scene.hub).items()}
    assert nonzero(await end.increase(FINISHED)) == finishes


@pytest.mark.parametrize("trouble", ["full", "read-only"])
async def test_counters_wait_for_a_disk_and_go_on_where_they_were_also_after_a_kill(
    tmp_path: Path, trouble: str
) -> None:
    with small_disk(tmp_path / "disk") as disk:
        async with chaos(tmp_path, seed=5, disk=disk) as scene:
            break_it, fix_it = {
                "full": (disk.fill, disk.make_room),
                "read-only": (disk.make_read_only, disk.make_writable),
            }[trouble]
            traffic = Traffic(scene.hub, seed=5, rate=RATE)
            async with scene.daemon.alive() as program:
                await scene.contact()
                traffic.begin()
                await scene.until_growing()
                break_it()
                await assert_counters_stand_still_and_gauges_do_not(scene)
                fix_it()
                await scene.until_growing()
                break_it()
                await errors(scene, "write", 3.0)
                await program.kill()
            fix_it()
            async with scene.daemon.alive():
                await scene.until_growing()
                traffic.end()
                await scene.until_over(traffic)
                await assert_all_is_counted_once(scene)


async def test_a_state_that_somebody_removes_is_written_again(tmp_path: Path) -> None:
    async with chaos(tmp_path, seed=6) as scene:
        traffic = Traffic(scene.hub, seed=6, rate=RATE)
        async with scene.daemon.alive() as program:
            await scene.contact()
            traffic.begin()
            for _ in range(3):
                await scene.until_growing()
                for path in scene.files.state.parent.iterdir():
                    path.unlink()
                await scene.until_growing()
                assert scene.files.state.exists()
            await program.kill()
        async with scene.daemon.alive():
            await scene.until_growing()
            traffic.end()
            await scene.until_over(traffic)
            await assert_all_is_counted_once(scene)


async def test_a_second_process_says_that_it_has_no_state_and_disturbs_the_first_in_nothing(
    tmp_path: Path,
) -> None:
    async with chaos(tmp_path, seed=7) as scene:
        traffic = Traffic(scene.hub, seed=7, rate=RATE)
        async with scene.daemon.alive() as program:
            await scene.contact()
            traffic.begin()
            with reserved_port() as port:
                second = Daemon(tmp_path, port, scene.settings)
                async with second.alive() as other:
                    said = "state is held by another process"
                    await other.until_logged(said, within=SETTLE_SECONDS)
                    await scene.until_growing()
            await program.kill()
        async with scene.daemon.alive():
            await scene.until_growing()
            traffic.end()
            await scene.until_over(traffic)
            await assert_all_is_counted_once(scene)
