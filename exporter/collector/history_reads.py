"""The reads that a diagnosis asks for, made through the client of a hub within bounds."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread

from exporter.api.client import HubClient
from exporter.api.errors import ApiError, HistoryRefused, HubFailed, ProtocolError
from exporter.api.telemetry import GET_INSTANCE
from exporter.diagnosis.blame import Blame, trace
from exporter.diagnosis.knowledge import HubKnowledge
from exporter.diagnosis.nodes import Absence, Answer, Node, Read
from exporter.diagnosis.sampling import Sampler
from exporter.ledger.over_limit import OverLimitInstances
from exporter.ledger.tracked import TrackedInstance
from exporter.settings import HUB_DEFAULTS

Result = TypeVar("Result")

# One instance that cannot be read says nothing about the others; many in a row do.
_FAILURES_IN_A_ROW_BEFORE_GIVING_UP = 5
# To follow so much of a history takes a few milliseconds; more is done off the event loop.
_MOST_BYTES_AT_ONCE = 1 << 18


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """Seconds that all reads of a cycle may take, and bytes after which no more is asked for."""

    timeout: float = HUB_DEFAULTS.timeouts.sweep
    bytes: int = 16 << 20


@dataclass(frozen=True, slots=True)
class Reads(Generic[Result]):
    """
    What came of reads: their number, and the result where all that were wanted could be made.

    `error` is what was wrong with the hub, if that stopped them.
    """

    made: int
    is_complete: bool = False
    result: Result | None = None
    error: ApiError | None = None


@dataclass(frozen=True, slots=True)
class _Done(Generic[Result]):
    result: Result


def _send(wanted: Generator[Read, Answer, Result], answer: Answer) -> Read | _Done[Result]:
    """Hand in an answer; a thread cannot raise that this was the last one."""
    try:
        return wanted.send(answer)
    except StopIteration as done:
        return _Done(done.value)


async def in_slices(work: Generator[None, None, Result]) -> Result:
    """Return what *work* comes to, which yields so that others get their turn."""
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
        Let a sampler look at what was *found* over a limit among the *tracked* instances.

        However it ends, the sampler keeps what was read.
        """
        for _ in sampler.look(tracked, found):
            await anyio.lowlevel.checkpoint()
        return await self.make(sampler.cycle(tracked, at))

    async def why(
        self,
        instance_id: str,
        known: dict[str, Node] | None = None,
        knowledge: HubKnowledge | None = None,
    ) -> Reads[tuple[Blame, Node]]:
        """Follow the blame from one instance; *known* is what was read, and is added to."""
        return await self.make(trace(instance_id, {} if known is None else known, knowledge))

    async def make(self, wanted: Generator[Read, Answer, Result]) -> Reads[Result]:
        """Make the reads that *wanted* asks for, as long as the limits and the hub allow."""
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
        """Read once; raises `ApiError` for what is wrong with the hub, not with the instance."""
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
