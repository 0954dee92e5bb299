"""Activities: they happen at once in the emulator, and say how long they take."""

from emulator.engine.actions import CallActivity
from emulator.engine.disturbances import Disturbances
from emulator.engine.failures import Failure, failure_of
from emulator.engine.functions import ActivityContext, Functions
from emulator.engine.user_code import attempt
from emulator.json_text import JsonValue, transported


def run_activity(
    action: CallActivity, context: ActivityContext, functions: Functions, disturbances: Disturbances
) -> tuple[JsonValue, Failure | None]:
    """Return the result of an activity, or why it failed; the context has what it takes."""
    disturbed = disturbances.strike(action.name, context.random)

    def run() -> JsonValue:
        if disturbed is not None and disturbed.error is not None:
            raise RuntimeError(disturbed.error)
        argument = transported(action.argument)
        return transported(functions.run_activity(action.name, argument, context))

    result = attempt(run)
    if disturbed is not None and disturbed.error is None:
        context.never_returns()
    if isinstance(result, Exception):
        return None, failure_of(result, action.name)
    return result, None
