"""What a collector does to sample the instances of a hub, by hand."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace

from exporter.api.client import HubClient
from exporter.api.query import InstanceQuery
from exporter.api.times import parse_time
from exporter.api.wire import entity_class
from exporter.collector.hub_diagnosis import HistoryReader, ReadLimits, Reads
from exporter.diagnosis.blame import Blame
from exporter.diagnosis.nodes import Answer, Read
from exporter.diagnosis.sampling import Sampler
from exporter.diagnosis.view import Views
from exporter.ledger.over_limit import find_over_limit
from exporter.ledger.rules import LedgerRules
from exporter.ledger.status import ACTIVE, known_status
from exporter.ledger.tracked import TrackedInstance
from tests.api.paged import all_rows
from tests.ledger.rules import DEFAULT_RULES

SWEEP = 1


def limits(
    *, pending: float = 600.0, idle: float = 600.0, age: float | None = 3000.0
) -> LedgerRules:
    """Return rules that have the same limits for every orchestrator, in seconds."""
    seconds = {"pending": pending, "idle": idle, "age": age}
    in_force = {name: value for name, value in seconds.items() if value is not None}
    return replace(DEFAULT_RULES, limits=in_force)


async def tracked_of(client: HubClient) -> dict[str, TrackedInstance]:
    """List the active orchestrations of a hub."""
    tracked: dict[str, TrackedInstance] = {}
    listing = client.list_instances(InstanceQuery(statuses=tuple(ACTIVE)))
    for row in await all_rows(client, listing):
        if entity_class(row) is None:
            tracked[row.instance_id] = TrackedInstance(
                row.name or "",
                known_status(row.runtime_status),
                parse_time(row.created_time),
                parse_time(row.last_updated_time),
                SWEEP,
            )
    return tracked


@dataclass(slots=True)
class Survey:
    """A hub that is sampled again and again."""

    client: HubClient
    sampler: Sampler
    limits: ReadLimits | None = None
    tracked: dict[str, TrackedInstance] = field(default_factory=dict)

    async def cycle(self, at: float) -> Reads[None]:
        tracked = self.tracked = await tracked_of(self.client)
        reader = HistoryReader(self.client, self.limits)
        found = find_over_limit(tracked, SWEEP, at, self.sampler.limits_of)
        return await reader.sample(self.sampler, tracked, found, at)

    def blames(self, at: float) -> Mapping[str, Blame]:
        return Views(50).of(self.sampler, at, str, self.tracked).blames


def survey(client: HubClient, reads: int = 1000, most_samples: int = 5000) -> Survey:
    """Return a survey of a hub, whose limits are ten minutes."""
    return Survey(client, Sampler(limits(), reads, most_samples))


def answered(wanted: Generator[Read, Answer, object], answers: Mapping[Read, Answer]) -> list[Read]:
    """Give *wanted* the answers it asks for, to the end; return what it asked."""
    asked: list[Read] = []
    try:
        read = next(wanted)
        while True:
            asked.append(read)
            read = wanted.send(answers[read])
    except StopIteration:
        return asked
