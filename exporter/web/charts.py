"""SVG drawings as paths: finishes over time, the family of an instance, its history; pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from exporter.collector.instance_lookup import FoundInstance
from exporter.diagnosis.blame import Blame, ends_in_who_waits
from exporter.diagnosis.families import Member
from exporter.ledger.status import RuntimeStatus
from exporter.web.formatting import plural, span
from exporter.web.report import FinishesReport
from exporter.web.steps import Step

# Widths and heights are units of the pictures; a tree's width fits a phone.
TREE_WIDTH = 400
TIMELINE_LENGTH = 1000
_BAR = 8
_LEAST_HEIGHT = _LEAST_WIDTH = 2
_PITCH = 10
_ROW, _GAP, _INDENT = 40, 8, 16
_MOST_INDENTS = 6
_MOST_DONE = 12
_LONGEST_TEXT = 44
_MOST_BESIDE = 4
_MOST_LANES = 20
_OPEN, _FAILED, _DONE = "open", "failed", "done"
_STATES = {"Failed": _FAILED, "Completed": _DONE}

# Depth, id, words and kind.
_Row: TypeAlias = tuple[int, str, str, str]


@dataclass(frozen=True, slots=True)
class Chart:
    """
    Stacked bars: completed at the bottom, then others, then failed.

    `summary` is the text alternative, `most` the value of the highest bar.
    """

    width: int
    height: int
    completed: str
    other: str
    failed: str
    most: int
    span: str
    step: str
    summary: str


def chart_of(finishes: FinishesReport | None, height: int, bars: int) -> Chart | None:
    """Return a chart of *bars* bars, *height* units high; None if nothing is known."""
    if finishes is None:
        return None
    together = max(1, len(finishes.completed) // bars)
    rows = [
        _in_bars(row, together) for row in (finishes.completed, finishes.other, finishes.failed)
    ]
    totals = [sum(bar) for bar in zip(*rows, strict=True)]
    most = max(totals, default=0)
    paths = _paths(rows, most, height)
    length = span(finishes.step_seconds * len(finishes.completed))
    step = span(finishes.step_seconds * together)
    return Chart(
        width=_PITCH * len(totals),
        height=height,
        completed=paths[0],
        other=paths[1],
        failed=paths[2],
        most=most,
        span=length,
        step=step,
        summary=_in_words(finishes, most, length, step),
    )


def _in_bars(counts: Sequence[int], together: int) -> list[int]:
    # Counted from the end: only the first bar may have fewer steps.
    begins = range(len(counts) % together, len(counts), together)
    return [sum(counts[begin : begin + together]) for begin in begins]


def _paths(rows: Sequence[Sequence[int]], most: int, height: int) -> list[str]:
    """Return the path of each row; no value above 0 is invisible."""
    tops = [0] * len(rows[0])
    paths = []
    for row in rows:
        bars = []
        for place, count in enumerate(row):
            if not count:
                continue
            tall = max(_LEAST_HEIGHT, round(count / most * height))
            tall = min(tall, height)
            foot = min(tops[place], height - _LEAST_HEIGHT)
            tall = min(tall, height - foot)
            tops[place] = foot + tall
            bars.append(f"M{place * _PITCH + 1} {height - foot}v-{tall}h{_BAR}v{tall}z")
        paths.append("".join(bars))
    return paths


def _in_words(finishes: FinishesReport, most: int, length: str, step: str) -> str:
    completed, failed, other = map(sum, (finishes.completed, finishes.failed, finishes.other))
    if not completed + failed + other:
        return f"Nothing finished in the last {length}"
    others = f", {other:,} other" if other else ""
    return (
        f"Finishes of the last {length}: {completed:,} completed, {failed:,} failed{others}; "
        f"at most {plural(most, 'finish', 'finishes')} in {step}"
    )


@dataclass(frozen=True, slots=True)
class TreeRow:
    """One instance or entity of the tree, at `depth`."""

    instance_id: str
    words: str
    kind: str
    depth: int
    x: int
    y: int
    line: str

    @property
    def label(self) -> str:
        """The id, its middle left out if too long."""
        most = _LONGEST_TEXT - 2 * min(self.depth, _MOST_INDENTS)
        if len(self.instance_id) <= most:
            return self.instance_id
        half = (most - 1) // 2
        return f"{self.instance_id[:half]}…{self.instance_id[-half:]}"


@dataclass(frozen=True, slots=True)
class Tree:
    """The family and the blocking chain of an instance; `left_out` counts those not drawn."""

    rows: Sequence[TreeRow]
    left_out: int
    width: int = TREE_WIDTH

    @property
    def height(self) -> int:
        """The height of the picture."""
        return len(self.rows) * (_ROW + _GAP)

    @property
    def summary(self) -> str:
        """The text alternative."""
        chain = sum(row.kind == "chain" for row in self.rows)
        blocked = f", blocking chain of {chain}" if chain else ""
        asked = next(row for row in self.rows if row.kind == "self")
        others = plural(len(self.rows) - chain - 1, "other")
        return f"{asked.instance_id} and {others} of its family{blocked}"


def tree_of(found: FoundInstance) -> Tree:
    """Draw the family of an instance and its blocking chain."""
    row, blame = found.row, found.blame
    own = Member(row.instance_id, row.name or "", str(row.runtime_status))
    members = list(_members(found.family or own))
    known = {member.instance_id for _, member in members}
    chain = blame.chain[1:]
    rows: list[_Row] = []
    left_out = 0
    for depth, member in members:
        is_asked = member.instance_id == row.instance_id
        is_chain = member.instance_id in chain
        is_done = member.runtime_status == RuntimeStatus.COMPLETED
        left_out += sum(member.left_out.values())
        if is_done and not (is_asked or is_chain) and len(rows) >= _MOST_DONE:
            left_out += 1
            continue
        kind = (
            "self" if is_asked else "chain" if is_chain else _STATES.get(member.runtime_status, "")
        )
        words = f"{member.orchestrator}: {member.runtime_status}".lstrip(": ")
        rows.append((depth, member.instance_id, words, kind))
        if is_asked:
            rows.extend(_chain([hop for hop in chain if hop not in known], blame, depth + 1))
    return Tree(tuple(_placed(rows)), left_out)


def _members(member: Member, depth: int = 0) -> Iterator[tuple[int, Member]]:
    yield depth, member
    for child in member.children:
        yield from _members(child, depth + 1)


def _chain(hops: Sequence[str], blame: Blame, depth: int) -> Iterator[_Row]:
    for place, hop in enumerate(hops):
        words = "entity" if hop.startswith("@") else "blocks it"
        if hop == blame.held_by:
            words = "holds the lock"
        if hop == blame.chain[-1] and blame.leaf_orchestrator and ends_in_who_waits(blame):
            words = f"{blame.leaf_orchestrator}, {words}"
        yield depth + place, hop, words, "chain"


def _placed(found: Sequence[_Row]) -> Iterator[TreeRow]:
    """Place rows below each other, each with the line from its parent."""
    last: dict[int, int] = {}
    for place, (depth, instance_id, words, kind) in enumerate(found):
        x, y = _INDENT * min(depth, _MOST_INDENTS), place * (_ROW + _GAP)
        line = ""
        if depth:
            above = last.get(depth - 1, 0) * (_ROW + _GAP) + _ROW
            line = f"M{x - _INDENT // 2} {above}V{y + _ROW // 2}H{x}"
        last[depth] = place
        yield TreeRow(instance_id, words, kind, depth, x, y, line)


@dataclass(slots=True)
class Lane:
    """All steps of one kind and name: bars by state, as paths, in `depth` rows."""

    what: str
    name: str
    depth: int = 1
    count: int = 0
    failed: int = 0
    open: int = 0
    paths: dict[str, str] = field(default_factory=lambda: defaultdict(str))

    @property
    def height(self) -> int:
        """The height of the lane."""
        return self.depth * (_BAR + 2)

    @property
    def summary(self) -> str:
        """The text alternative."""
        odd = [
            f"{count:,} {word}"
            for count, word in ((self.failed, "failed"), (self.open, "pending"))
            if count
        ]
        return f"{self.what} {self.name}".rstrip() + f": {', '.join([f'{self.count:,}', *odd])}"


@dataclass(frozen=True, slots=True)
class TimelineChart:
    """A history over time: lanes from `begin` to `end`, in seconds since the epoch."""

    begin: float
    end: float
    lanes: Sequence[Lane]
    left_out: int

    @property
    def span(self) -> str:
        """Its duration, for people."""
        return span(self.end - self.begin)


def timeline_of(steps: Sequence[Step], at: float) -> TimelineChart | None:
    """Draw the steps of a history as of *at*; None if none has a time."""
    timed = [(*_times(step, at), step) for step in steps if step.time is not None]
    if not timed:
        return None
    begin = min(start for start, _, _ in timed)
    end = (
        max(at, *(stop for _, stop, _ in timed))
        if any(s.is_open for s in steps)
        else max(stop for _, stop, _ in timed)
    )
    lanes: dict[tuple[str, str], Lane] = {}
    ends: dict[tuple[str, str], list[float]] = defaultdict(list)
    scale = TIMELINE_LENGTH / max(1e-3, end - begin)
    for start, stop, step in sorted(timed, key=lambda each: each[:2]):
        key = (_kind(step), step.name)
        lane = lanes.setdefault(key, Lane(*key))
        place = _place(ends[key], start, stop)
        lane.depth = max(lane.depth, place + 1)
        state = _OPEN if step.is_open else _FAILED if step.event.endswith("Failed") else _DONE
        lane.count += 1
        lane.failed += state == _FAILED
        lane.open += state == _OPEN
        x = (start - begin) * scale
        width = max(_LEAST_WIDTH, (stop - start) * scale)
        x = min(x, TIMELINE_LENGTH - width)
        lane.paths[state] += f"M{x:.0f} {place * (_BAR + 2) + 1}h{width:.0f}v{_BAR}h-{width:.0f}z"
    shown = list(lanes.values())
    return TimelineChart(begin, end, shown[:_MOST_LANES], max(0, len(shown) - _MOST_LANES))


def _kind(step: Step) -> str:
    """Return what a step is, without its result."""
    return (
        step.what.removesuffix(" failed")
        .removesuffix(", no result yet")
        .removesuffix(", not fired yet")
    )


def _times(step: Step, at: float) -> tuple[float, float]:
    moment = datetime.fromisoformat(step.time or "").timestamp()
    if step.is_open:
        return moment, max(moment, at)
    return moment - (step.seconds or 0.0), moment


def _place(ends: list[float], start: float, stop: float) -> int:
    """Return the row of a lane with room for a bar, else the last one."""
    for place, end in enumerate(ends):
        if end <= start:
            ends[place] = stop
            return place
    if len(ends) < _MOST_BESIDE:
        ends.append(stop)
    return len(ends) - 1
