"""Shards: exactly one polls each hub, and one more shard moves few hubs."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.settings import Shard
from tests.settings.configured import load, problems

HUBS = [f"hub{number}" for number in range(2000)]
names = st.text(min_size=1, max_size=40)
counts = st.integers(1, 40)


def holder(name: str, count: int) -> int:
    (index,) = [index for index in range(count) if Shard(index, count).holds(name)]
    return index


@given(names, counts)
def test_every_hub_has_exactly_one_shard(name: str, count: int) -> None:
    assert 0 <= holder(name, count) < count


@given(names, counts)
def test_one_shard_more_takes_hubs_and_moves_none_between_the_others(name: str, count: int) -> None:
    assert holder(name, count + 1) in (holder(name, count), count)


def test_one_shard_more_takes_its_share_and_no_more() -> None:
    moved = sum(holder(hub, 3) != holder(hub, 4) for hub in HUBS)
    assert abs(moved - len(HUBS) / 4) < 100


def test_shards_have_about_as_many_hubs_each() -> None:
    held = [sum(Shard(index, 4).holds(hub) for hub in HUBS) for index in range(4)]
    assert all(abs(count - len(HUBS) / 4) < 100 for count in held)


def test_the_shard_of_a_hub_never_changes() -> None:
    """Exporters of different versions run side by side during an update."""
    assert [holder(f"hub{number}", 3) for number in range(12)] == [
        0, 2, 2, 2, 1, 0, 1, 2, 1, 0, 2, 0,
    ]  # fmt: skip


class TestSettings:
    def test_without_a_shard_all_hubs_are_polled(self) -> None:
        settings = load({"HUBS__A__URL": "https://a.example", "HUBS__B__URL": "https://b.example"})
        assert settings.own_hubs == settings.hubs

    def test_the_shards_together_poll_every_hub_once(self) -> None:
        hubs = {f"HUBS__H{number}__URL": f"https://h{number}.example" for number in range(9)}
        held = [load(hubs | {"SHARD": f"{index}/3"}).own_hubs for index in range(3)]
        assert sorted(hub.name for part in held for hub in part) == [f"h{n}" for n in range(9)]

    @pytest.mark.parametrize(
        ("host", "index"), [("exporter-2", 2), ("a-b-0", 0), ("exporter-1.svc.cluster.local", 1)]
    )
    def test_a_pod_of_a_stateful_set_knows_its_shard(
        self, monkeypatch: pytest.MonkeyPatch, host: str, index: int
    ) -> None:
        monkeypatch.setattr(socket, "gethostname", lambda: host)
        assert load({"URL": "https://a.example", "SHARD": "auto/3"}).shard == Shard(index, 3)

    @pytest.mark.parametrize(
        ("host", "words"),
        [("exporter-7d9f", "'exporter-7d9f' has none"), ("exporter-3", "raise it to auto/4")],
    )
    def test_a_host_that_tells_no_shard_is_said(
        self, monkeypatch: pytest.MonkeyPatch, host: str, words: str
    ) -> None:
        monkeypatch.setattr(socket, "gethostname", lambda: host)
        (line,) = problems({"URL": "https://a.example", "SHARD": "auto/3"})
        assert words in line

    @pytest.mark.parametrize("shard", ["3/3", "1", "-1/3", "0/0", "a/3", "1/2/3"])
    def test_no_shard_is_guessed(self, shard: str) -> None:
        (line,) = problems({"URL": "https://a.example", "SHARD": shard})
        assert line.startswith("DURABLE_EXPORTER_SHARD: ")
