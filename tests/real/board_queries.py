"""What a Prometheus answers to the queries of dashboards."""

from __future__ import annotations

import math
from collections.abc import Mapping

from grafana.preview.asking import interpolate
from tests.grafana.committed import (
    NAMES,
    PanelQuery,
    all_queries,
    variable_queries,
    variables,
)
from tests.real.prometheus import Prometheus, Sample

GIVEN = {
    "replicas": "instance, pod",
    "price": "0.5",
    "currency": "EUR",
    "instance_id": "",
    "earlier": "5s",
    "__rate_interval": "15s",
    "__interval": "15s",
    "__range": "10m",
}
"""What people type, and what Grafana gives; a week earlier the demo did not run."""


ONLY_OF_A_PROCESS = {
    "fleet / Firing alerts / A",
    "fleet / Firing alerts / B",
    "exporter / Age of the written state / A",
    "exporter / State written / A",
    "exporter / States that could not be used or written / A",
}
"""What the demo shows, in `test_dashboards`: rules and state files are not played."""


async def choices(
    prometheus: Prometheus, board: str, given: Mapping[str, str]
) -> list[dict[str, str]]:
    """
    Return what people can choose on a dashboard: all of what is many, else each value in turn.

    A choice may hang on the one before it. Where a label has no values, nothing is chosen.
    """
    chosen: list[dict[str, str]] = [dict(given)]
    for each in variable_queries():
        if each.board != board:
            continue
        variable = variables(board)[each.name]
        if variable["multi"]:
            chosen = [{**one, each.name: variable["allValue"]} for one in chosen]
            continue
        chosen = [
            {**one, each.name: value}
            for one in chosen
            for value in await prometheus.label_values(
                interpolate(each.asked.selector, one), each.asked.label
            )
            or [""]
        ]
    return chosen


def tells(samples: list[Sample]) -> bool:
    """Whether there is any number among what was returned."""
    return any(not math.isnan(sample.value) for sample in samples)


class Unanswered:
    """The queries that have not returned data yet, whatever was chosen."""

    def __init__(
        self,
        prometheus: Prometheus,
        at: float | None = None,
        given: Mapping[str, str] = GIVEN,
    ) -> None:
        self._prometheus, self._at, self._given = prometheus, at, given
        self.queries = all_queries()

    async def ask_again(self) -> set[str]:
        """Ask those that are left, and return their names."""
        chosen = {board: await choices(self._prometheus, board, self._given) for board in NAMES}
        self.queries = [
            query for query in self.queries if not await self._answers(query, chosen[query.board])
        ]
        return {str(query) for query in self.queries}

    async def _answers(self, query: PanelQuery, chosen: list[dict[str, str]]) -> bool:
        for values in chosen:
            if tells(await self._prometheus.query(interpolate(query.expr, values), self._at)):
                return True
        return False
