"""The log events of a hub: constants, documented in `docs/logs.md`."""

from __future__ import annotations

import structlog

from exporter.api.errors import ApiError
from exporter.api.times import format_shown_time
from exporter.collector.schedule import SweepCost
from exporter.collector.snapshot import Sweep
from exporter.diagnosis.groups import Cause
from exporter.diagnosis.view import DiagnosisView
from exporter.ledger.snapshot import MOST_NAMED, LedgerChanges

SWEEP_COMPLETE = "sweep complete"
SWEEP_FAILED = "sweep failed"
SWEEP_SKIPPED = "sweep skipped: daily page budget spent"
SWEEP_CRASHED = "sweep crashed"
STATE_CRASHED = "state crashed"
OUTSIDE_PREFIXES = "active instances outside id_prefixes are not tracked"
HORIZON_PULLED_BACK = "accounts were ahead of the server clock and are reset to it"
CLOCK_IGNORED = "server clock ignored"
CLOCK_FOLLOWED = "server clock trusted again"
HUB_UP = "hub is up"
HUB_DOWN = "hub is down"
HUB_REPLACED = "hub was replaced"
OVER_LIMIT = "instance is over a limit"
WITHIN_LIMIT = "instance is back within its limit"
INSTANCE_FAILED = "instance failed"
FAILURE_RESOLVED = "failure is resolved"
DIAGNOSIS_CRASHED = "diagnosis crashed"
HISTORIES_UNREAD = "histories cannot be read"
HISTORIES_READ = "histories can be read again"
STALLED = "instances are stalled"
RESUMED = "stalled instances resumed"
SUPPRESSED = "further events suppressed"

_REPLACED_HINT = (
    "all known instances vanished at once: compare hubName and the storage connection of the app"
)

log = structlog.get_logger()


class HubEvents:
    """Logs what happens to the hub *hub*."""

    def __init__(self, hub: str) -> None:
        self._log = log.bind(hub=hub)
        self._causes: dict[str, Cause] = {}
        self._histories_fail = False
        self._clock_is_ignored = False

    def came_up(self) -> None:
        """Log that the hub answers again, or for the first time."""
        self._log.info(HUB_UP)

    def went_down(self, error: ApiError) -> None:
        """Log that the active instances cannot be listed any more."""
        self._log.warning(HUB_DOWN, kind=error.kind.value, error=error.reason, hint=error.hint)

    def swept(self, sweep: Sweep, error: ApiError | None, cost: SweepCost) -> None:
        """Log how a sweep ended."""
        taken = round(cost.seconds, 3)
        if error is None:
            self._log.info(
                SWEEP_COMPLETE, sweep=sweep.value, seconds=taken, pages=cost.pages, rows=cost.rows
            )
        else:
            self._log.warning(
                SWEEP_FAILED,
                sweep=sweep.value,
                seconds=taken,
                pages=cost.pages,
                rows=cost.rows,
                kind=error.kind.value,
                error=error.reason,
                hint=error.hint,
            )

    def skipped(self, sweep: Sweep, page_budget: int | None) -> None:
        """Log that a sweep is skipped because the page budget is spent."""
        self._log.warning(SWEEP_SKIPPED, sweep=sweep.value, page_budget=page_budget)

    def outside_prefixes(self, instances: int) -> None:
        """Log that the configured prefixes do not cover all instances."""
        self._log.warning(OUTSIDE_PREFIXES, instances=instances, setting="id_prefixes")

    def clock(self, skew: float | None, *, is_ignored: bool) -> None:
        """Log that the exporter's clock replaces the server's, or not any more."""
        if is_ignored == self._clock_is_ignored:
            return
        self._clock_is_ignored = is_ignored
        seconds = None if skew is None else round(skew)
        if is_ignored:
            self._log.warning(CLOCK_IGNORED, skew=seconds)
        else:
            self._log.info(CLOCK_FOLLOWED, skew=seconds)

    def crashed(self, event: str) -> None:
        """Log the exception being handled: a defect of the exporter."""
        self._log.exception(event)

    def changed(self, changes: LedgerChanges, now: float) -> None:
        """Log the changes of single instances up to *now*, by the server's clock."""
        if changes.pulled_back:
            self._log.warning(HORIZON_PULLED_BACK, seconds=round(changes.pulled_back))
        if changes.replaced:
            self._log.warning(HUB_REPLACED, hint=_REPLACED_HINT)
        for over in changes.over_limit.named:
            self._log.warning(
                OVER_LIMIT,
                instance_id=over.instance_id,
                orchestrator=over.orchestrator,
                runtime_status=over.status.value,
                limit=over.limit,
                seconds=round(now - over.since),
            )
        for failed in changes.failed.named:
            self._log.warning(
                INSTANCE_FAILED,
                instance_id=failed.instance_id,
                orchestrator=failed.orchestrator,
                category=failed.reason.category.value,
                failed_function=failed.reason.failed_function,
                error_type=failed.reason.error_type,
            )
        for back in changes.recovered.named:
            self._log.info(
                WITHIN_LIMIT,
                instance_id=back.instance_id,
                orchestrator=back.orchestrator,
                limit=back.limit,
            )
        for resolved in changes.resolved.named:
            self._log.info(
                FAILURE_RESOLVED,
                instance_id=resolved.instance_id,
                orchestrator=resolved.orchestrator,
            )
        self._left_out(
            (OVER_LIMIT, changes.over_limit.left_out),
            (INSTANCE_FAILED, changes.failed.left_out),
            (WITHIN_LIMIT, changes.recovered.left_out),
            (FAILURE_RESOLVED, changes.resolved.left_out),
        )

    def diagnosed(self, error: ApiError | None, view: DiagnosisView) -> None:
        """Log new and ended causes of stalled instances; *error* stopped the reads."""
        if error is not None and not self._histories_fail:
            self._log.warning(
                HISTORIES_UNREAD, kind=error.kind.value, error=error.reason, hint=error.hint
            )
        elif error is None and self._histories_fail:
            self._log.info(HISTORIES_READ)
        self._histories_fail = error is not None
        causes = {each.cause: each for each in view.causes if each.wait.waiting_on.means_trouble}
        news = [each for cause, each in causes.items() if cause not in self._causes]
        gone = [each for cause, each in self._causes.items() if cause not in causes]
        for cause in news[:MOST_NAMED]:
            self._stalled(cause)
        for cause in gone[:MOST_NAMED]:
            self._log.info(RESUMED, cause=cause.cause, orchestrator=cause.orchestrator)
        self._causes = causes
        self._left_out((STALLED, len(news[MOST_NAMED:])), (RESUMED, len(gone[MOST_NAMED:])))

    def _stalled(self, cause: Cause) -> None:
        self._log.warning(
            STALLED,
            cause=cause.cause,
            orchestrator=cause.orchestrator,
            waiting_on=cause.wait.waiting_on.value,
            target=cause.wait.target,
            since=None if cause.wait.since is None else format_shown_time(cause.wait.since),
            end=cause.end.value,
            blocked=cause.blocked,
        )

    def _left_out(self, *events: tuple[str, int]) -> None:
        for event, count in events:
            if count:
                self._log.info(SUPPRESSED, of=event, instances=count)
