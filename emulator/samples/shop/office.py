"""What happens behind the shop: approvals, reports, imports, and cleaning."""

from datetime import timedelta

from emulator.engine.context import OrchestrationContext
from emulator.engine.functions import ActivityContext, Functions, Steps
from emulator.json_text import JsonValue
from emulator.samples.shop.arguments import number

functions = Functions()

_REMINDER = timedelta(hours=24)
_DEADLINE = timedelta(hours=72)
_CLEANING_PERIOD = timedelta(minutes=1)


@functions.orchestrator
def ApprovalWorkflow(context: OrchestrationContext) -> Steps:
    """Ask a manager, remind after a day, and take three days without the event for a no."""
    yield context.call_activity("NotifyManager", "please approve")
    context.set_custom_status("waiting for a manager")
    asked = context.current_utc_datetime
    decision = context.wait_for_external_event("Approval")
    reminder = context.create_timer(asked + _REMINDER)
    deadline = context.create_timer(asked + _DEADLINE)
    first = yield context.task_any([decision, reminder])
    if first is reminder:
        yield context.call_activity("NotifyManager", "please do not forget")
        context.set_custom_status("waiting for a manager, reminded")
        yield context.task_any([decision, deadline])
    for timer in (reminder, deadline):
        timer.cancel()
    approved = decision.is_completed and decision.result == {"approved": True}
    context.set_custom_status("decided")
    yield context.call_activity("PublishDecision", approved)
    return {"approved": approved}


@functions.orchestrator
def NightlyReport(context: OrchestrationContext) -> Steps:
    """Run one activity for several minutes."""
    return (yield context.call_activity("RenderReport"))


@functions.orchestrator
def ImportBatch(context: OrchestrationContext) -> Steps:
    """Import the files of a batch all at once, each one in an orchestration of its own."""
    files = yield context.call_activity("ListFiles", context.get_input())
    rows = yield context.task_all(
        [context.call_sub_orchestrator("ImportFile", file) for file in files]
    )
    return {"files": len(files), "rows": sum(rows)}


@functions.orchestrator
def ImportFile(context: OrchestrationContext) -> Steps:
    """Read a file and return the number of its rows; one that has not changed is not read."""
    file = context.get_input()
    if not number(file, "changed", default=1):
        return 0
    return (yield context.call_activity("ParseFile", file))


@functions.orchestrator
def CleanupMonitor(context: OrchestrationContext) -> Steps:
    """Delete what has expired, every minute, for ever; the input counts the rounds."""
    began = context.current_utc_datetime
    yield context.call_activity("DeleteExpiredFiles")
    yield context.create_timer(began + _CLEANING_PERIOD)
    context.continue_as_new({"round": number(context.get_input(), "round") + 1})
    return None


@functions.activity
def NotifyManager(_message: JsonValue, context: ActivityContext) -> JsonValue:
    """Take 0.2 to 1 s."""
    context.takes(context.random.uniform(0.2, 1))
    return None


@functions.activity
def PublishDecision(_approved: JsonValue, context: ActivityContext) -> JsonValue:
    """Take 0.2 to 1 s."""
    context.takes(context.random.uniform(0.2, 1))
    return None


@functions.activity
def RenderReport(_argument: JsonValue, context: ActivityContext) -> JsonValue:
    """Take 4 to 9 minutes."""
    context.takes(context.random.uniform(240, 540))
    return {"pages": context.random.randint(180, 240)}


@functions.activity
def ListFiles(batch: JsonValue, context: ActivityContext) -> JsonValue:
    """Find as many files as the batch says, else 4 to 12; about half of them have changed."""
    context.takes(context.random.uniform(0.2, 1))
    count = number(batch, "files") or context.random.randint(4, 12)
    folder = f"{number(batch, 'batch'):04}"
    return [
        {"file": f"{folder}/{index:04}.csv", "changed": bool(context.random.randrange(2))}
        for index in range(count)
    ]


@functions.activity
def ParseFile(_file: JsonValue, context: ActivityContext) -> JsonValue:
    """Take 0.1 to 6 s."""
    context.takes(context.random.uniform(0.1, 6))
    return context.random.randint(10, 5000)


@functions.activity
def DeleteExpiredFiles(_argument: JsonValue, context: ActivityContext) -> JsonValue:
    """Take 0.2 to 2 s."""
    context.takes(context.random.uniform(0.2, 2))
    return {"deleted": context.random.randint(0, 9)}
