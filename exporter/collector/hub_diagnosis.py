"""What a hub's collector learns after an active sweep: what instances beyond a limit wait on."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from functools import partial

import anyio
import anyio.to_thread
import msgspec

from exporter.api.client import HubClient
from exporter.api.errors import ApiError
from exporter.collector.history_reads import HistoryReader, ReadLimits, Reads, in_slices
from exporter.collector.sweeps import HubSweeps
from exporter.diagnosis.children import children_of
from exporter.diagnosis.orphans import Orphans
from exporter.diagnosis.sampling import Sampler, SamplingRules
from exporter.diagnosis.view import DiagnosisView, Views
from exporter.ledger.ledger import Ledger
from exporter.ledger.rules import LedgerRules
from exporter.ledger.snapshot import ActiveView

# Of the series of a hub, the combinations of labels that tell what instances wait on; each has
# two series at most.
_SHARE_OF_SERIES = 20
# Of the reads and of the time, what the parents of possible orphans may take.
_SHARE_OF_PARENTS = 3


class HubDiagnosis:
    """
    Samples the instances of one hub and keeps what it has learned of them.

    At most *reads* histories are read at a time, none where it is 0. `trouble` is what stopped the
    last reads, if anything did.
    """

    def __init__(self, client: HubClient, rules: LedgerRules, reads: int) -> None:
        self.is_on = reads > 0
        self.trouble: ApiError | None = None
        self._client = client
        self._sampler = Sampler(rules, SamplingRules(reads=reads))
        self._orphans = Orphans()
        self._views = Views(rules.label_limit, rules.max_series // _SHARE_OF_SERIES)

    async def sample(self, sweeps: HubSweeps, at: float, seconds: float, reads: int) -> Reads[None]:
        """
        Look at the instances over a limit; read for at most so many *seconds*.

        Without *reads* it only lets go of those that have moved.
        """
        ledger, sampler = sweeps.ledger, self._sampler
        sampler.knowledge.take(ledger.traits)
        reader = HistoryReader(self._client, ReadLimits(timeout=seconds))
        sampler.children = await in_slices(children_of(ledger.tracked, ledger.sweep))
        self._orphans.look(sampler.children, ledger.tracked, at)
        wanted = self._orphans.to_read(ledger.sweep, reads // _SHARE_OF_PARENTS)
        with anyio.move_on_after(seconds / _SHARE_OF_PARENTS):
            await sweeps.read_parents(wanted, partial(self._orphans.saw, sweep=ledger.sweep))
        sampler.rules = replace(sampler.rules, reads=reads - len(wanted))
        made = await reader.sample(sampler, ledger.tracked, ledger.over_limits.found, at)
        self.trouble = made.error
        return replace(made, made=made.made + len(wanted))

    async def view(self, ledger: Ledger, active: ActiveView, at: float) -> DiagnosisView:
        """Add up what is known as of *at*, off the event loop: of thousands it takes a while."""
        ids = (each.instance_id for each in active.over_limit_samples)
        named = {each: copy(ledger.tracked[each]) for each in ids if each in ledger.tracked}
        work = partial(self._views.of, self._sampler, at, ledger.label_of, named)
        orphans = self._orphans.counts(ledger.traits.called, ledger.label_of)
        return msgspec.structs.replace(await anyio.to_thread.run_sync(work), orphans=orphans)
