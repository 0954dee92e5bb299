"""The sum of a hub's samples, for metrics and pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec
from msgspec.structs import replace

from exporter.diagnosis.blame import Blame, End
from exporter.diagnosis.groups import Cause, WaitGroup, Waiting, causes_of, groups_of
from exporter.diagnosis.sampling import Sampler
from exporter.diagnosis.scan import wait_by_row
from exporter.diagnosis.waits import Wait
from exporter.ledger.label_values import OTHER, LabelValues
from exporter.ledger.tracked import TrackedInstance

MOST_GROUPS = 200

Label = str
Labels = tuple[Label, Label, Label]


class Coverage(msgspec.Struct, frozen=True, gc=False):
    """How many instances are over a limit, exactly, and how many of their waits are known."""

    over: int
    known: int


class DiagnosisView(msgspec.Struct, frozen=True, gc=False):
    """
    What instances over a limit wait on, by orchestrator, class of the leaf, and target.

    `stalled` are those whose wait means trouble, `waiting` the others; `stalled_since` is when the
    oldest of them began to wait, `overdue_timers` when the oldest overdue timer should have fired.
    `blames` are of single instances, by id, `groups` of those that wait alike. `orphans` are active
    sub-orchestrations whose parent has ended, by their own orchestrator; empty where rows name no
    parents. Times in seconds since the epoch.
    """

    stalled: Mapping[Labels, int]
    waiting: Mapping[Labels, int]
    stalled_since: Mapping[Labels, float]
    overdue_timers: Mapping[Label, float]
    coverage: Mapping[Label, Coverage]
    causes: tuple[Cause, ...]
    blames: Mapping[str, Blame] = {}
    orphans: Mapping[Label, int] = {}
    groups: tuple[WaitGroup, ...] = ()

    def undiagnosed_in_all(self) -> int:
        """Return how many instances are over a limit with an unknown wait."""
        return sum(self.undiagnosed(label) for label in self.coverage)

    def undiagnosed(self, label: Label) -> int:
        """Return how many of an orchestrator are over a limit with an unknown wait."""
        coverage = self.coverage.get(label)
        return max(0, coverage.over - coverage.known) if coverage else 0


class Views:
    """
    Makes views; the label value of a target is permanent, like an orchestrator's.

    At most *target_limit* targets have their own, in at most *most_labels* combinations of labels;
    further targets are `_other`.
    """

    def __init__(self, target_limit: int, most_labels: int = 1000) -> None:
        self._targets = LabelValues(target_limit)
        self._most_labels = most_labels
        self._known: set[Labels] = set()

    def of(
        self,
        sampler: Sampler,
        at: float,
        label_of: Callable[[str], Label],
        named: Mapping[str, TrackedInstance] | None = None,
    ) -> DiagnosisView:
        """
        Add up the samples as of *at*; *label_of* returns the label value of an orchestrator.

        `blames` will hold those of *named* whose wait is known.
        """
        known: Counter[Label] = Counter()
        samples = [(s.orchestrator, s.blame.as_of(at)) for s in sampler.samples.values()]
        labelled = []
        for each in _waits(sampler, samples):
            label, _, target = self._labels(label_of(each.orchestrator), each.leaf)
            known[label] += each.instances
            leaf = replace(each.leaf, target=target)
            labelled.append(replace(each, orchestrator=label, leaf=leaf))
        groups = groups_of(labelled)
        stalled = {_key(group): group for group in groups if group.means_trouble}
        over: Counter[Label] = Counter()
        for name, count in sampler.scanned.over.items():
            over[label_of(name)] += count
        return DiagnosisView(
            stalled={key: group.instances for key, group in stalled.items()},
            waiting={_key(each): each.instances for each in groups if not each.means_trouble},
            stalled_since={
                key: group.since for key, group in stalled.items() if group.since is not None
            },
            overdue_timers=_overdue(samples, at, label_of),
            coverage={label: Coverage(count, known[label]) for label, count in over.items()},
            causes=tuple(causes_of(blame for _, blame in samples)),
            blames=_named(sampler, at, named or {}),
            groups=tuple(groups[:MOST_GROUPS]),
        )

    def _labels(self, label: Label, leaf: Wait) -> Labels:
        target = self._targets.label(leaf.target) if leaf.target else ""
        labels = (label, leaf.waiting_on.value, target)
        if labels in self._known or not target:
            return labels
        if len(self._known) >= self._most_labels:
            return (label, leaf.waiting_on.value, OTHER)
        self._known.add(labels)
        return labels


def _key(group: WaitGroup) -> Labels:
    return group.orchestrator, group.waiting_on.value, group.target


def _named(sampler: Sampler, at: float, named: Mapping[str, TrackedInstance]) -> dict[str, Blame]:
    found: dict[str, Blame] = {}
    for instance_id, instance in named.items():
        sample = sampler.samples.get(instance_id)
        wait = wait_by_row(instance)
        if wait is not None:
            found[instance_id] = blame_by_row(instance_id, instance.name, wait)
        elif sample is not None:
            found[instance_id] = sample.blame.as_of(at)
    return found


def blame_by_row(instance_id: str, name: str, wait: Wait) -> Blame:
    """Return the chain of an instance whose row shows what it waits on."""
    return Blame((instance_id,), wait, wait, End.LEAF, instance_id, name)


def _waits(sampler: Sampler, samples: Iterable[tuple[str, Blame]]) -> Iterator[Waiting]:
    """Yield the instances whose wait is known."""
    yield from sampler.scanned.by_status
    for name, blame in samples:
        if blame.wait is not None and blame.leaf is not None:
            yield Waiting(name, blame.wait, blame.leaf, blame)


def _overdue(
    samples: Iterable[tuple[str, Blame]], at: float, label_of: Callable[[str], Label]
) -> dict[Label, float]:
    overdue: dict[Label, float] = {}
    for name, blame in samples:
        timer = blame.timer
        if timer is None or timer.fire_at is None or timer.as_of(at) is timer:
            continue
        label = label_of(name)
        overdue[label] = min(timer.fire_at, overdue.get(label, timer.fire_at))
    return overdue
