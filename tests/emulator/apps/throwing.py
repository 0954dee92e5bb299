"""Errors of other languages, raised in the functions of a recorded app."""

from collections.abc import Mapping

from emulator import FunctionFailed
from emulator.engine.failures import Failure
from emulator.json_text import JsonValue


def thrown(
    message: str,
    error_type: str = "Error",
    *,
    cause: Failure | None = None,
    properties: Mapping[str, JsonValue] | None = None,
    leaves_worker: bool = False,
) -> FunctionFailed:
    """Return what to raise where the recorded function threw an error of a type."""
    return FunctionFailed(
        Failure(
            message=message,
            exception_type=error_type,
            error_type=error_type,
            cause=cause,
            properties=properties,
            leaves_worker=leaves_worker,
        )
    )
