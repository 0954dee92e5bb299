"""The functions of the recordings, and one whose rewind succeeds."""

from emulator import ActivityContext, Functions, OrchestrationContext, Steps
from emulator.json_text import JsonValue
from emulator.samples import recorded

functions = Functions()
functions.include(recorded.functions)


@functions.orchestrator
def Refund(context: OrchestrationContext) -> Steps:  # noqa: N802 - as functions of apps are named
    return (yield context.call_activity("PayBack", context.get_input()))


@functions.activity
def PayBack(amount: JsonValue, context: ActivityContext) -> JsonValue:  # noqa: N802
    """Fail the first time."""
    if context.runs_before == 0:
        raise RuntimeError("the bank is closed")
    return {"paid": amount}
