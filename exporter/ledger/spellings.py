"""Names that differ in case alone are one: the runtime compares them so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping

from msgspec.structs import replace

from exporter.ledger.label_values import by_name
from exporter.ledger.state import LedgerState
from exporter.ledger.status import Pair


def with_one_spelling(state: LedgerState, configured: Container[str]) -> LedgerState:
    """
    Return *state* with one spelling of each orchestrator: the *configured* one, else the smallest.

    Version 0.1 took each spelling for an orchestrator of its own. What was counted of the others
    ends; what there is of them now is the kept one's.
    """
    own = by_name(name for name, place in state.orchestrators.items() if not place.is_folded)
    kept = {
        other: min(spellings, key=lambda each: (each not in configured, each))
        for spellings in own.values()
        if len(spellings) > 1
        for other in spellings
    }
    gone = {name for name, spelling in kept.items() if name != spelling}
    if not gone:
        return state
    latest: dict[tuple[str, ...], float] = {}
    for (of, label, *rest), moment in state.latest.items():
        key = (of, kept.get(label, label), *rest)
        latest[key] = max(moment, latest.get(key, 0.0))
    census = state.census
    return replace(
        state,
        orchestrators={name: at for name, at in state.orchestrators.items() if name not in gone},
        counters={key: each for key, each in state.counters.items() if not gone & {*key[1:2]}},
        durations={key: each for key, each in state.durations.items() if not gone & {*key}},
        latest=latest,
        open={
            key: replace(each, name=kept.get(each.name, each.name))
            for key, each in state.open.items()
        },
        failures={
            key: replace(each, label=kept.get(each.label, each.label))
            for key, each in state.failures.items()
        },
        in_doubt={
            key: replace(each, label=kept.get(each.label, each.label))
            for key, each in state.in_doubt.items()
        },
        recent={
            key: [(kept.get(label, label), status, count) for label, status, count in finishes]
            for key, finishes in state.recent.items()
        },
        census=census
        and replace(
            census,
            counts=[
                (*pair, count)
                for pair, count in _sums(
                    (((label, status), count) for label, status, count in census.counts), kept
                ).items()
            ],
        ),
        finished_since=_sums(state.finished_since.items(), kept),
    )


def _sums(counts: Iterable[tuple[Pair, int]], kept: Mapping[str, str]) -> dict[Pair, int]:
    sums: Counter[Pair] = Counter()
    for (label, status), count in counts:
        sums[kept.get(label, label), status] += count
    return sums
