"""The arithmetic under synthetic hubs, and how a command line describes one."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.synthetic.hub import parse_synthetic
from emulator.synthetic.layout import BLOCK_ROWS, Run, View, apportion, spread

COUNTS = st.lists(st.integers(0, 5000), min_size=1, max_size=8)


class TestLayout:
    @given(
        total=st.integers(0, 10**8),
        weights=st.lists(st.floats(0, 1e6), min_size=1).filter(any),
    )
    def test_parts_make_up_the_whole(self, total: int, weights: list[float]) -> None:
        parts = apportion(total, weights)
        assert sum(parts) == total
        for part, weight in zip(parts, weights, strict=True):
            assert part == pytest.approx(total * weight / sum(weights), abs=1 + total * 1e-12)

    @pytest.mark.parametrize("weights", [[0.0], [-1.0, 3.0]])
    def test_weights_without_meaning(self, weights: list[float]) -> None:
        with pytest.raises(ValueError, match="Shares"):
            apportion(7, weights)

    @given(totals=COUNTS)
    def test_blocks_have_exactly_the_rows_of_each_kind(self, totals: list[int]) -> None:
        stretches = list(spread(totals, "seed"))
        counted = Counter[int]()
        for stretch in stretches:
            for kind in stretch.kinds:
                counted[kind] += stretch.blocks
        assert [counted[kind] for kind in range(len(totals))] == totals
        assert len(stretches) <= len(totals) + 1
        assert all(len(stretch.kinds) == BLOCK_ROWS for stretch in stretches[:-1])

    @given(totals=COUNTS, data=st.data())
    def test_ranks_and_positions_are_inverse(self, totals: list[int], data: st.DataObject) -> None:
        runs, start = [], 0
        for stretch in spread(totals, "seed"):
            runs.append(Run(0, start, start // BLOCK_ROWS, stretch.blocks, stretch.kinds))
            start += stretch.blocks * len(stretch.kinds)
        wanted = data.draw(st.sets(st.integers(0, len(totals) - 1)))
        view = View(
            runs,
            [tuple(o for o, kind in enumerate(run.kinds) if kind in wanted) for run in runs],
        )
        line = [kind in wanted for run in runs for _ in range(run.blocks) for kind in run.kinds]
        places = [position for position, shown in enumerate(line) if shown]
        assert [view.position(rank) for rank in range(view.size)] == places
        position = data.draw(st.integers(0, start))
        assert view.rank(position) == sum(line[:position])
        first, last = sorted(data.draw(st.tuples(*[st.integers(0, view.size)] * 2)))
        assert sum(span.last - span.first for span in view.spans(first, last)) == last - first


class TestOption:
    def test_it_says_what_the_hub_has(self) -> None:
        option = parse_synthetic("BigHub=10M,active=1k,entities=2001")
        assert (option.name, option.rows, option.active) == ("BigHub", 10_000_000, 1000)
        assert sum(each.rows for each in option.entity_classes) == option.entities == 2001

    def test_it_may_say_little(self) -> None:
        option = parse_synthetic("BigHub=7")
        assert (option.rows, option.active, option.entities) == (7, None, 0)

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("BigHub", "name=value"),
            ("BigHub=", "not a number of rows"),
            ("BigHub=many", "not a number of rows"),
            ("BigHub=-1", "not a number of rows"),
            ("BigHub=1,,", "name=value"),
            ("BigHub=1,speed=2", "no speed"),
            ("BigHub=1,active=2", "2 of 1"),
        ],
    )
    def test_what_it_cannot_say(self, text: str, problem: str) -> None:
        with pytest.raises(ValueError, match=problem):
            parse_synthetic(text)
