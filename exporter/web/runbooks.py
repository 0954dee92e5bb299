"""Which runbook a finding has: they are those of the alerts, one page each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from exporter.diagnosis.waits import WaitingOn

RUNBOOKS: Mapping[str, str] = {
    "stale": "DurableFunctionsDataStale",
    "over_limit_pending": "DurableFunctionsPendingStuck",
    "over_limit_idle": "DurableFunctionsOrchestrationStalled",
    "over_limit_age": "DurableFunctionsOverAge",
    "over_limit_suspended": "DurableFunctionsSuspendedForgotten",
    "orphaned_locks": "DurableFunctionsEntityLockOrphaned",
    "failing": "DurableFunctionsOrchestrationsFailing",
    "unresolved_failures": "DurableFunctionsOrchestrationsFailing",
    "state_not_kept": "DurableFunctionsStateNotWritten",
    "page_budget": "DurableFunctionsDataStale",
    "names_folded": "DurableFunctionsExporterMisconfigured",
    "empty": "DurableFunctionsHubEmpty",
}
_OF_TROUBLE = {
    "auth": "DurableFunctionsHubUnreachable",
    "stopped": "DurableFunctionsHubUnreachable",
    "throttled": "DurableFunctionsThrottled",
}
_OF_STALLED = {
    WaitingOn.NOT_STARTED: "DurableFunctionsPendingStuck",
    WaitingOn.HISTORY_REFUSED: "DurableFunctionsDeploymentBroken",
}
_ANY_STALLED = "DurableFunctionsOrchestrationStalled"


def runbook_of_trouble(kind: str, *, otherwise: str) -> str:
    """Return the runbook for a request that failed as *kind* says, else *otherwise*."""
    return _OF_TROUBLE.get(kind, otherwise)


def runbook_of_stalled(stalled: Mapping[tuple[str, str, str], int]) -> str:
    """Return the runbook for what most of *stalled* wait on: orchestrator, wait, target."""
    waits: Counter[str] = Counter()
    for (_, waiting_on, _), count in stalled.items():
        waits[waiting_on] += count
    ((most, _),) = waits.most_common(1)
    return _OF_STALLED.get(WaitingOn(most), _ANY_STALLED)
