"""Shards of a StatefulSet as real processes that poll one emulator, while scaling."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.settings import Shard
from tests.chart.stateful_set import Counted, Pods, StatefulSet, finish, serving_hubs

pytestmark = [pytest.mark.anyio, pytest.mark.proof]

HUBS = tuple(f"Hub{number:02}" for number in range(24))
NAMES = tuple(name.lower() for name in HUBS)


def holder(hub: str, shards: int) -> int:
    (index,) = (index for index in range(shards) if Shard(index, shards).holds(hub))
    return index


MOVED = frozenset(hub for hub in NAMES if holder(hub, 3) != holder(hub, 4))


def expected(shards: int, *, staying: int, moved: int) -> Counted:
    """Return each hub's counts from its one shard, of hubs that never move and others."""
    return {(holder(hub, shards), hub): moved if hub in MOVED else staying for hub in sorted(NAMES)}


async def check(pods: Pods, shards: int, *, staying: int, moved: int) -> None:
    """Wait for the expected counts, and check that no other shard counts."""
    wanted = expected(shards, staying=staying, moved=moved)
    assert await pods.counted(sum(wanted.values())) == wanted


def test_one_shard_more_takes_about_a_quarter_of_the_hubs_and_the_new_one_has_them() -> None:
    assert len(HUBS) / 8 <= len(MOVED) <= len(HUBS) / 2.5
    assert {holder(hub, 4) for hub in MOVED} == {3}


async def test_three_four_three_four_shards_count_every_finish_once_or_not_at_all(
    tmp_path: Path,
) -> None:
    async with serving_hubs(HUBS) as (url, hubs):
        replicas = StatefulSet(tmp_path, url, HUBS)
        async with replicas.scaled_to(3) as pods:
            await pods.swept(1)
            finish(hubs, 3)
            await check(pods, 3, staying=3, moved=3)
        finish(hubs, 1)
        async with replicas.scaled_to(4) as pods:
            await pods.swept(1)
            finish(hubs, 2)
            # The one while no pod ran: found by those that kept their state, a gap of the others.
            await check(pods, 4, staying=6, moved=2)
        replicas.delete_volume(3)
        finish(hubs, 1)
        async with replicas.scaled_to(3) as pods:
            await pods.swept(1)
            finish(hubs, 2)
            # The states of before were moved aside: what has come back is counted anew.
            await check(pods, 3, staying=9, moved=2)
        finish(hubs, 1)
        async with replicas.scaled_to(4) as pods:
            await pods.swept(1)
            finish(hubs, 2)
            await check(pods, 4, staying=12, moved=2)
    # Of those that moved three finishes are a gap each time, and none was counted twice.
    assert {len(hub.finishes) for hub in hubs} == {12}
    assert 3 + 2 + 2 + 2 == 12 - 3


async def test_a_volume_that_is_kept_counts_again_what_others_have_counted(tmp_path: Path) -> None:
    """Why volumes are deleted with their pods."""
    async with serving_hubs(HUBS) as (url, hubs):
        replicas = StatefulSet(tmp_path, url, HUBS)
        async with replicas.scaled_to(4) as pods:
            await pods.swept(1)
            finish(hubs, 3)
            await check(pods, 4, staying=3, moved=3)
        async with replicas.scaled_to(3) as pods:
            await pods.swept(1)
            finish(hubs, 2)
            await check(pods, 3, staying=5, moved=2)
        async with replicas.scaled_to(4) as pods:
            # Those two of the hubs that were away, once more.
            await check(pods, 4, staying=5, moved=5)


@pytest.mark.parametrize(
    ("state", "counted_in_the_end"),
    [
        pytest.param({}, 4, id="as the chart is"),
        # The three of before, and all that the one pod has counted or missed.
        pytest.param({"retention": {"whenDeleted": "Retain"}}, 10, id="with claims that stay"),
    ],
)
async def test_from_shards_to_one_pod_and_back_no_old_claim_comes_back_into_counting(
    tmp_path: Path, state: dict[str, object], counted_in_the_end: int
) -> None:
    names = tuple(name.lower() for name in HUBS[:6])
    async with serving_hubs(HUBS[:6]) as (url, hubs):
        replicas = StatefulSet(tmp_path, url, HUBS[:6], state)

        async def check(pods: Pods, shards: int, count: int) -> None:
            wanted = {(holder(hub, shards), hub): count for hub in names}
            assert await pods.counted(sum(wanted.values())) == wanted

        async with replicas.scaled_to(3) as pods:
            await pods.swept(1)
            finish(hubs, 3)
            await check(pods, 3, 3)
        async with replicas.scaled_to(1) as pods:
            await pods.swept(1)
            finish(hubs, 2)
            await check(pods, 1, 2)
        finish(hubs, 1)
        async with replicas.scaled_to(3) as pods:
            await pods.swept(1)
            finish(hubs, 4)
            await check(pods, 3, counted_in_the_end)
