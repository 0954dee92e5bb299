"""Rows to put into a hub."""

from emulator import Instance, RuntimeStatus
from emulator.json_text import JsonValue
from tests.emulator.conftest import NOW


def instance(
    instance_id: str,
    status: RuntimeStatus = RuntimeStatus.RUNNING,
    *,
    name: str = "ProcessOrder",
    created: float = NOW - 60,
    updated: float = NOW - 30,
    argument: JsonValue = None,
    output: JsonValue = None,
) -> Instance:
    return Instance(
        instance_id=instance_id,
        name=name,
        status=status,
        created=created,
        updated=updated,
        input=argument,
        output=output,
    )
