"""The diagnosis of a hub: reads of histories within bounds, and what they add up to."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import aclosing
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from typing import Generic, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread
import msgspec

from exporter.api.client import HubClient
from exporter.api.errors import ApiError, HistoryRefused, HubFailed, ProtocolError
from exporter.api.query import InstanceQuery
from exporter.api.telemetry import GET_INSTANCE
from exporter.api.times import parse_time
from exporter.api.wire import InstanceRow, entity_class
from exporter.collector.sweeps import HubSweeps
from exporter.diagnosis.blame import Blame, trace
from exporter.diagnosis.families import Orphans, children_of
from exporter.diagnosis.knowledge import HubKnowledge
from exporter.diagnosis.nodes import Absence, Answer, Node, Read
from exporter.diagnosis.sampling import Sampler
from exporter.diagnosis.view import DiagnosisView, Views
from exporter.diagnosis.waits import WaitingOn
from exporter.ledger.app_traits import AppTraits, Worker
from exporter.ledger.ledger import Ledger
from exporter.ledger.over_limit import OverLimitInstances
from exporter.ledger.rules import LedgerRules
from exporter.ledger.snapshot import ActiveView
from exporter.ledger.status import RuntimeStatus
from exporter.ledger.tracked import TrackedInstance
from exporter.settings import HUB_DEFAULTS, HubSettings

Result = TypeVar("Result")

# One unreadable instance says nothing about the others; many in a row do.
_FAILURES_IN_A_ROW_BEFORE_GIVING_UP = 5
# Following this much of a history takes a few milliseconds; more is done off the event loop.
_MOST_BYTES_AT_ONCE = 1 << 18
# Several, since empty pages are normal: a table is read in parts.
_MOST_PAGES = 5
_FIRST_TURN = 2.0
# The part of a hub's series for the label combinations of waits; each has two series at most.
_SHARE_OF_SERIES = 20
# The part of the reads and the time for the parents of possible orphans.
_SHARE_OF_PARENTS = 3


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """Seconds that all reads of a cycle may take, and bytes after which no more are made."""

    timeout: float = HUB_DEFAULTS.timeouts.sweep
    bytes: int = 16 << 20


@dataclass(frozen=True, slots=True)
class Reads(Generic[Result]):
    """
    The outcome of reads: their number, and the result if all wanted ones were made.

    `error` is the trouble of the hub that stopped them, if any.
    """

    made: int
    is_complete: bool = False
    result: Result | None = None
    error: ApiError | None = None


@dataclass(frozen=True, slots=True)
class _Done(Generic[Result]):
    result: Result


def _send(wanted: Generator[Read, Answer, Result], answer: Answer) -> Read | _Done[Result]:
    """Send an answer; a thread cannot raise `StopIteration`."""
    try:
        return wanted.send(answer)
    except StopIteration as done:
        return _Done(done.value)


async def in_slices(work: Generator[None, None, Result]) -> Result:
    """Return the result of *work*, which yields so that other tasks can run."""
    while True:
        try:
            next(work)
        except StopIteration as done:
            result: Result = done.value
            return result
        await anyio.lowlevel.checkpoint()


class HistoryReader:
    """Makes the reads of one hub, one at a time."""

    def __init__(self, client: HubClient, limits: ReadLimits | None = None) -> None:
        self._client = client
        self._limits = limits or ReadLimits()

    async def sample(
        self,
        sampler: Sampler,
        tracked: Mapping[str, TrackedInstance],
        found: OverLimitInstances,
        at: float,
    ) -> Reads[None]:
        """
        Sample what was *found* over a limit among the *tracked* instances.

        However it ends, the sampler keeps what was read.
        """
        await in_slices(sampler.look(tracked, found))
        return await self.make(sampler.cycle(tracked, at))

    async def why(
        self,
        instance_id: str,
        known: dict[str, Node] | None = None,
        knowledge: HubKnowledge | None = None,
    ) -> Reads[tuple[Blame, Node]]:
        """Trace the blocking chain of one instance; *known* is what was read, and is added to."""
        return await self.make(trace(instance_id, {} if known is None else known, knowledge))

    async def make(self, wanted: Generator[Read, Answer, Result]) -> Reads[Result]:
        """Make the reads that *wanted* requests, as far as the limits and the hub allow."""
        made = 0
        failed_in_a_row = 0
        most_bytes = self._bytes_so_far() + self._limits.bytes
        try:
            with anyio.move_on_after(self._limits.timeout):
                read = next(wanted)
                while self._bytes_so_far() < most_bytes:
                    made += 1
                    before = self._bytes_so_far()
                    answer = await self._answer(read)
                    failed_in_a_row = failed_in_a_row + 1 if isinstance(answer, ApiError) else 0
                    if isinstance(answer, ApiError):
                        if failed_in_a_row >= _FAILURES_IN_A_ROW_BEFORE_GIVING_UP:
                            return Reads(made, error=answer)
                        answer = Absence.UNREADABLE
                    if self._bytes_so_far() - before < _MOST_BYTES_AT_ONCE:
                        following = _send(wanted, answer)
                    else:
                        following = await anyio.to_thread.run_sync(_send, wanted, answer)
                    if isinstance(following, _Done):
                        return Reads(made, is_complete=True, result=following.result)
                    read = following
        except StopIteration as done:
            return Reads(made, is_complete=True, result=done.value)
        except ApiError as error:
            return Reads(made, error=error)
        finally:
            wanted.close()
        return Reads(made)

    async def _answer(self, read: Read) -> Answer | ApiError:
        """Read once; raise `ApiError` for trouble of the hub, return that of the instance."""
        try:
            status = await self._client.read_instance(
                read.instance_id, history=read.history, inputs=read.inputs
            )
        except HistoryRefused:
            return Absence.REFUSED
        except (HubFailed, ProtocolError) as error:
            return error
        return Absence.MISSING if status is None else status

    def _bytes_so_far(self) -> int:
        return self._client.telemetry.response_bytes[GET_INSTANCE]


def needs_knowledge(blame: Blame) -> bool:
    """Return whether a wait may be a lost call."""
    return blame.leaf is not None and blame.leaf.waiting_on is WaitingOn.EXTERNAL_EVENT


async def learn(client: HubClient, hub: HubSettings, knowledge: HubKnowledge) -> None:
    """
    Learn from a few pages whether the worker loses calls, and which instances have moved.

    Raises:
        ApiError: the hub could not be asked.
    """
    worker = hub.worker
    traits = AppTraits(worker and Worker(worker))
    if worker is None:
        await _read(client, hub, traits, RuntimeStatus.FAILED)
    traits.gets_events.update(knowledge.answers)
    if traits.loses_calls:
        await _read(client, hub, traits, RuntimeStatus.RUNNING)
        await _read(client, hub, traits, RuntimeStatus.COMPLETED)
    knowledge.take(traits)


async def _read(
    client: HubClient, hub: HubSettings, traits: AppTraits, status: RuntimeStatus
) -> None:
    listing = client.list_instances(InstanceQuery(statuses=(status,)), hub.id_prefixes)
    pages_read = 0
    async with aclosing(client.pages(listing)) as pages:
        async for page in pages:
            for row in page.rows:
                if status is not RuntimeStatus.RUNNING:
                    traits.note_finish(row, status)
                elif _has_moved(row):
                    traits.completed.setdefault(row.name or "", row.instance_id)
            pages_read += 1
            if pages_read >= _MOST_PAGES:
                return


def _has_moved(row: InstanceRow) -> bool:
    """Return whether anything came to a running instance since its first turn."""
    created, updated = parse_time(row.created_time), parse_time(row.last_updated_time)
    return (updated or 0.0) - (created or float("inf")) > _FIRST_TURN and entity_class(row) is None


class HubDiagnosis:
    """
    Samples the instances of one hub and keeps what was learned of them.

    At most *reads* histories are read per cycle, none if it is 0. `trouble` is what stopped the
    last reads, if anything.
    """

    def __init__(self, client: HubClient, rules: LedgerRules, reads: int) -> None:
        self.is_on = reads > 0
        self.trouble: ApiError | None = None
        self._client = client
        self._sampler = Sampler(rules, reads)
        self._orphans = Orphans()
        self._views = Views(rules.label_limit, rules.max_series // _SHARE_OF_SERIES)

    async def sample(self, sweeps: HubSweeps, at: float, seconds: float, reads: int) -> Reads[None]:
        """
        Sample the instances over a limit, reading for at most *seconds*.

        Without *reads* it only drops those that moved.
        """
        ledger, sampler = sweeps.ledger, self._sampler
        sampler.knowledge.take(ledger.traits)
        reader = HistoryReader(self._client, ReadLimits(timeout=seconds))
        sampler.children = await in_slices(children_of(ledger.tracked, ledger.sweep))
        self._orphans.look(sampler.children, ledger.tracked, at)
        wanted = self._orphans.to_read(ledger.sweep, reads // _SHARE_OF_PARENTS)
        with anyio.move_on_after(seconds / _SHARE_OF_PARENTS):
            await sweeps.read_parents(wanted, partial(self._orphans.saw, sweep=ledger.sweep))
        sampler.reads = reads - len(wanted)
        made = await reader.sample(sampler, ledger.tracked, ledger.over_limits.found, at)
        self.trouble = made.error
        return replace(made, made=made.made + len(wanted))

    async def view(self, ledger: Ledger, active: ActiveView, at: float) -> DiagnosisView:
        """Add up what is known as of *at*, off the event loop: thousands take a while."""
        ids = (each.instance_id for each in active.over_limit_samples)
        named = {each: copy(ledger.tracked[each]) for each in ids if each in ledger.tracked}
        work = partial(self._views.of, self._sampler, at, ledger.label_of, named)
        orphans = self._orphans.counts(ledger.traits.called, ledger.label_of)
        return msgspec.structs.replace(await anyio.to_thread.run_sync(work), orphans=orphans)
