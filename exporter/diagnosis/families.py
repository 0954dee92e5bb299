"""Families of instances: who started whom."""

from __future__ import annotations

from collections.abc import Callable

# Real families are a few generations deep.
MOST_GENERATIONS = 16


def head_of(instance_id: str, parent_of: Callable[[str], str | None]) -> str:
    """
    Return the first ancestor of an instance, itself where it has none.

    *parent_of* returns None where the search ends. Of a circle, and of what is deeper than is
    followed, the last one that was reached is returned.
    """
    seen = {instance_id}
    for _ in range(MOST_GENERATIONS):
        parent = parent_of(instance_id)
        if parent is None or parent in seen:
            break
        seen.add(parent)
        instance_id = parent
    return instance_id
