"""Traffic of a synthetic hub: instances that start at a constant rate, and end."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import floor

from emulator.backends.backend import Traits
from emulator.storage.rows import RuntimeStatus
from emulator.synthetic.layout import BLOCK_ROWS, Stretch, one_block
from emulator.synthetic.mix import InstanceKind, Orchestrator, weighed_kinds
from emulator.synthetic.population import (
    ROWS_PER_SECOND,
    Part,
    duration_shares,
    in_ticks,
)

_MINUTE = BLOCK_ROWS // ROWS_PER_SECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """
    Instances that start from `begin` on, in seconds since the epoch.

    They are Running for up to `longest` seconds of their orchestrator, most of them briefly, and
    then take one of its terminal statuses. Raises `ValueError` unless `per_second` divides ticks
    and minutes evenly.
    """

    begin: float
    per_second: float
    orchestrators: Sequence[Orchestrator]

    def __post_init__(self) -> None:
        ticks = ROWS_PER_SECOND / self.per_second if self.per_second > 0 else 0.0
        if ticks < 1 or not ticks.is_integer() or BLOCK_ROWS % int(ticks):
            raise ValueError(
                f"per_second must be {ROWS_PER_SECOND} or a part of it that fills minutes evenly,"
                f" such as {ROWS_PER_SECOND / 8:g}, not {self.per_second:g}"
            )

    @property
    def ticks(self) -> int:
        """Ticks between starts."""
        return int(ROWS_PER_SECOND / self.per_second)


class TrafficRows:
    """The rows of traffic, whose ids begin with *head*."""

    def __init__(
        self, traffic: Traffic, head: str, width: int, *, traits: Traits, seed: int | str
    ) -> None:
        self._ticks = traffic.ticks
        self._head, self._width = head, width
        self._minute = floor(traffic.begin / _MINUTE)
        weighed = weighed_kinds([_that_end(each) for each in traffic.orchestrators], traits)
        ends = [kind for kind, _ in weighed]
        rows = BLOCK_ROWS // self._ticks
        self._block = one_block(rows, [weight for _, weight in weighed], f"{seed}/{head}")
        # Each terminal kind has a Running one, `len(ends)` further on.
        self._kinds = (*ends, *map(_unfinished, ends))
        self._ends_after = [
            offset * self._ticks / ROWS_PER_SECOND + in_ticks(ends[kind].longest * share)
            for offset, (kind, share) in enumerate(
                zip(self._block, duration_shares(seed), strict=False)
            )
        ]

    def at(self, now: float) -> Part:
        """Return the rows at a time, in seconds since the epoch."""
        stretches = tuple(self._stretches(now - self._minute * _MINUTE))
        return Part(self._head, self._width, self._kinds, stretches, self._ticks, self._minute)

    def _stretches(self, passed: float) -> Iterator[Stretch]:
        """Yield the blocks, *passed* seconds after the begin of the first."""
        started = max(0, floor(passed * ROWS_PER_SECOND / self._ticks) + 1)
        blocks = -(-started // len(self._block))
        settled = min(max(0, floor((passed - max(self._ends_after)) / _MINUTE) + 1), blocks - 1)
        if settled > 0:
            yield Stretch(settled, self._block)
        for block in range(max(0, settled), blocks):
            rows = min(started - block * len(self._block), len(self._block))
            yield Stretch(1, self._kinds_at(passed - block * _MINUTE)[:rows])

    def _kinds_at(self, passed: float) -> tuple[int, ...]:
        """Return the kinds of a block's rows, *passed* seconds after its begin."""
        ends = len(self._kinds) // 2
        return tuple(
            kind if ends_after <= passed else kind + ends
            for kind, ends_after in zip(self._block, self._ends_after, strict=True)
        )


def _that_end(orchestrator: Orchestrator) -> Orchestrator:
    ends = {status: part for status, part in orchestrator.statuses.items() if status.terminal}
    return replace(orchestrator, statuses=ends)


def _unfinished(end: InstanceKind) -> InstanceKind:
    return replace(end, status=RuntimeStatus.RUNNING, output=None, longest=0.0)
