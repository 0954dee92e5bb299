"""An orchestration that keeps what it took: for scenarios in which a lock leaks."""

from emulator.engine.context import EntityId, OrchestrationContext
from emulator.engine.functions import Functions, Steps

functions = Functions()

LEAKED_LOCK = "LeakedLock"


@functions.orchestrator
def LeakedLock(context: OrchestrationContext) -> Steps:
    """Lock the entity of the input, and wait for an event that nobody sends."""
    _, class_name, key = str(context.get_input()).split("@", 2)
    yield context.lock_entities(EntityId(class_name, key))
    yield context.wait_for_external_event("GiveItBack")
    return None
