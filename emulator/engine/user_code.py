"""Calls into functions that users wrote, which may raise anything."""

from collections.abc import Callable
from typing import TypeVar

ValueT = TypeVar("ValueT")


def attempt(call: Callable[[], ValueT]) -> ValueT | Exception:
    """Call a user's code; returns what it returned, or the exception that it raised."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - it fails its function and nothing else
        return error
