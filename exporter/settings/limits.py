"""Limits of instances, by default and by orchestrator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, Field

from exporter.settings.durations import HOUR, MINUTE, Limit
from exporter.settings.shown import Shown
from exporter.settings.values import FROZEN


class LimitInForce(NamedTuple):
    """A limit in seconds, None for no limit, and where it comes from."""

    seconds: float | None
    source: Literal["default", "configured"]


@dataclass(frozen=True, slots=True)
class OrchestratorLimits:
    """The limits of one orchestrator."""

    pending: LimitInForce
    idle: LimitInForce
    age: LimitInForce
    success: LimitInForce
    retention: LimitInForce

    def items(self) -> Iterator[tuple[str, LimitInForce]]:
        """Yield each limit by its name."""
        for field in fields(self):
            yield field.name, getattr(self, field.name)


def _check_pattern(pattern: str) -> str:
    if not pattern.strip():
        raise ValueError("has an empty name: give an orchestrator or a pattern")
    return pattern


Pattern = Annotated[str, AfterValidator(_check_pattern)]


class LimitOverrides(BaseModel):
    """Limits of the orchestrators of one name or pattern; what is not set is as for the others."""

    model_config = FROZEN

    pending: Limit = Field(default=None, description="Overrides `limits.pending`.")
    idle: Limit = Field(default=None, description="Overrides `limits.idle`.")
    age: Limit = Field(default=None, description="Overrides `limits.age`.")
    success: Limit = Field(default=None, description="Overrides `limits.success`.")
    retention: Limit = Field(default=None, description="Overrides `limits.retention`.")


class Limits(BaseModel):
    """How long instances may take before they count as over the limit."""

    model_config = FROZEN

    pending: Limit = Field(default=10 * MINUTE, description="How long an instance may be Pending.")
    idle: Limit = Field(
        default=HOUR, description="How long a running instance may go without progress."
    )
    age: Limit = Field(default=None, description="How long an instance may be active in all.")
    success: Limit = Field(
        default=None, description="How long ago the latest success of an orchestrator may be."
    )
    retention: Limit = Field(
        default=None, description="How long finished instances may stay in storage."
    )
    orchestrators: Annotated[dict[Pattern, LimitOverrides], Shown("groups by name or pattern")] = (
        Field(
            default={},
            description="Limits by orchestrator: its name in any case, or a pattern as `Order*`.",
        )
    )

    def for_orchestrator(self, name: str) -> OrchestratorLimits:
        """
        Return the limits of the orchestrator *name*.

        Each limit comes from the first that sets it: the exact name, the name in another case,
        the patterns (`*`, `?`, `[...]`, whose case counts) in the order written, the default.
        """
        ranked: list[LimitOverrides | Limits] = [*self._matching(name), self]
        in_force = {
            field.name: _first_set(field.name, ranked) for field in fields(OrchestratorLimits)
        }
        return OrchestratorLimits(**in_force)

    def _matching(self, name: str) -> Iterator[LimitOverrides]:
        if name in self.orchestrators:
            yield self.orchestrators[name]
        yield from _same_but_for_case(name, self.orchestrators)
        for pattern, overrides in self.orchestrators.items():
            if fnmatchcase(name, pattern):
                yield overrides


def _same_but_for_case(
    name: str, overrides: Mapping[str, LimitOverrides]
) -> Iterator[LimitOverrides]:
    for other, limits in overrides.items():
        if other.casefold() == name.casefold():
            yield limits


def _first_set(limit: str, ranked: list[LimitOverrides | Limits]) -> LimitInForce:
    for limits in ranked:
        if limit in limits.model_fields_set:
            return LimitInForce(getattr(limits, limit), "configured")
    return LimitInForce(getattr(ranked[-1], limit), "default")
