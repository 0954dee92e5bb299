"""What an evaluation of all rules reads, on a real Prometheus with a day of ten large hubs."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path

import pytest
import yaml

from exporter.alerts.prometheus import rules
from exporter.alerts.shared import HUB_INFO, RECORDINGS
from exporter.alerts.table import ALERTS, chosen
from exporter.collector.snapshot import Sweep, SweepResult
from exporter.ledger.reasons import Category
from exporter.ledger.status import RuntimeStatus
from exporter.metrics import catalogue as c
from exporter.metrics.family import Family
from tests.real.prometheus import Prometheus, running_prometheus
from tests.tools import tool

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.nightly,
    pytest.mark.usefixtures("prometheus_at_hand"),
]

HUBS = 10
ORCHESTRATORS = 30
MOST_SAMPLES = 3_000_000
NOW = 1_800_000_000.0
SCRAPE_SECONDS = 30.0
# Windows of up to half an hour see each scrape, longer ones a sample every few minutes.
DENSE_SECONDS = 2100.0
SPARSE_SECONDS = 240.0
DAY_SECONDS = 86_400.0
WEEK_SECONDS = 7 * DAY_SECONDS
# Six hours, which one of the opt-in alerts looks at, now and a week before.
DURATION_STEPS = 725
OPT_IN = {alert.full_name for alert in ALERTS if alert.opt_in}

log = logging.getLogger(__name__)

Labels = Mapping[str, str]
NAMES = [f"Orchestrator{number}" for number in range(ORCHESTRATORS)]
ORCHESTRATOR = [{"orchestrator": name} for name in NAMES]
FINISHED = [status.value for status in (RuntimeStatus.COMPLETED, RuntimeStatus.FAILED)]


def with_label(series: Sequence[Labels], label: str, *values: str) -> list[Labels]:
    return [{**labels, label: value} for labels, value in product(series, values)]


# A hub whose every orchestrator runs, waits, finishes and fails now and then.
OF_A_HUB: Mapping[Family, Sequence[Labels]] = {
    c.UP: [{}],
    c.HUB_INFO: [{"function_app": "app", "hub_name": "Hub", "connection": "", "team": "a"}],
    c.INSTANCES: with_label(ORCHESTRATOR, "runtime_status", *RuntimeStatus),
    c.LIMIT: with_label([{"orchestrator": ""}], "limit", "pending", "idle", "stopped", "success"),
    c.LIMIT_RATIO: [{"orchestrator": "", "limit": "failure_ratio"}],
    c.LIMIT_INSTANCES: [{"orchestrator": "", "limit": "unresolved_failures"}],
    c.OVER_LIMIT: with_label(ORCHESTRATOR, "limit", "pending", "idle", "age", "suspended"),
    c.CREATED: ORCHESTRATOR,
    c.FINISHED: with_label(ORCHESTRATOR, "runtime_status", *FINISHED),
    c.CONTINUED: ORCHESTRATOR[:5],
    c.FAILURES: with_label(ORCHESTRATOR, "category", *Category),
    c.FAILURE_REASONS: [
        {**labels, "category": "function_missing", "failed_function": "Gone", "error_type": ""}
        for labels in ORCHESTRATOR[:5]
    ],
    c.UNRESOLVED: ORCHESTRATOR,
    c.RECENT: with_label(
        with_label(ORCHESTRATOR, "runtime_status", *FINISHED), "window", "1h", "24h"
    ),
    c.FAILURE_RATIO: with_label(ORCHESTRATOR, "window", "1h", "24h"),
    c.LAST_FINISHED: with_label(ORCHESTRATOR, "runtime_status", *FINISHED),
    c.LAST_PROGRESS: ORCHESTRATOR,
    c.OLDEST_RETAINED: [{"runtime_status": status} for status in FINISHED],
    c.STALLED: [
        {**labels, "waiting_on": "activity", "target": "Charge"} for labels in ORCHESTRATOR[:5]
    ],
    c.ORPHANED: ORCHESTRATOR,
    c.ENTITY_ORPHANED_LOCKS: [{"entity": f"entity{number}"} for number in range(10)],
    c.ENTITY_BACKLOG_MAX: [{"entity": f"entity{number}"} for number in range(10)],
    **{
        family: [{"sweep": sweep} for sweep in Sweep]
        for family in (
            c.LAST_SWEEP,
            c.SWEEP_FRESH,
            c.SWEEP_INTERVAL,
            c.SWEEP_CONFIGURED_INTERVAL,
            c.ROWS,
        )
    },
    c.SWEEPS: with_label([{"sweep": sweep} for sweep in Sweep], "result", *SweepResult),
    c.API_ERRORS: [{"operation": "list", "kind": kind} for kind in ("timeout", "throttled")],
    c.BASELINE: [{}],
    c.PAGE_BUDGET_REMAINING: [{}],
    c.UNDIAGNOSED: [{}],
    c.CLOCK_SKEW: [{}],
    c.OUTSIDE_PREFIXES: [{}],
    c.STATE_ERRORS: [{"reason": "write"}],
    c.LABEL_VALUES_FOLDED: [{"label": "orchestrator"}],
}
OF_THE_EXPORTER: Mapping[Family, Labels] = {
    c.BUILD_INFO: {"version": "1.0", "python_version": "3.12"},
    c.SHARD_INFO: {"shard": "0", "shards": "1"},
    c.RELOAD_SUCCESSFUL: {},
}


def moments() -> list[float]:
    """Return when samples were taken, the oldest first."""
    sparse = range(int(DAY_SECONDS / SPARSE_SECONDS), int(DENSE_SECONDS / SPARSE_SECONDS), -1)
    dense = range(int(DENSE_SECONDS / SCRAPE_SECONDS), -1, -1)
    return [
        *(NOW - SPARSE_SECONDS * step for step in sparse),
        *(NOW - SCRAPE_SECONDS * step for step in dense),
    ]


def lines() -> Iterator[str]:
    """Yield the past as OpenMetrics."""
    at = moments()
    target = 'job="exporter",namespace="monitoring",instance="exporter:10771",pod="exporter-0"'
    hubs = [f"hub{number}" for number in range(HUBS)]
    everything: list[tuple[str, Labels]] = [
        (HUB_INFO.name, {"task_hub": hub, "team": "a"}) for hub in hubs
    ]
    everything += [(family.name, labels) for family, labels in OF_THE_EXPORTER.items()]
    everything += [
        (family.name, {"task_hub": hub, **labels})
        for family, series in OF_A_HUB.items()
        for hub in hubs
        for labels in series
    ]
    for name, labels in everything:
        own = "".join(f'{label}="{value}",' for label, value in labels.items() if value)
        yield from (f"{name}{{{own}{target}}} 1 {moment:.3f}" for moment in at)
    of_durations = [
        (f"{c.DURATION.name}_{part}", hub, name)
        for part, hub, name in product(("sum", "count"), hubs, NAMES)
    ]
    for family_name, hub, name in of_durations:
        own = f'task_hub="{hub}",orchestrator="{name}",runtime_status="Completed"'
        for at_week in (NOW - WEEK_SECONDS, NOW):
            yield from (
                f"{family_name}{{{own},{target}}} {step} {at_week - step * SCRAPE_SECONDS:.3f}"
                for step in range(DURATION_STEPS, -1, -1)
            )


def backfill(folder: Path) -> None:
    text = folder / "past.txt"
    with text.open("w") as file:
        for line in lines():
            file.write(f"{line}\n")
        file.write("# EOF\n")
    data = folder / "prometheus-data"
    data.mkdir()
    subprocess.run(
        [tool("promtool"), "tsdb", "create-blocks-from", "openmetrics", text, data],
        check=True,
        capture_output=True,
    )
    text.unlink()


async def samples_read(prometheus: Prometheus, text: str) -> dict[str, int]:
    """Return how many samples each rule of a file reads in one evaluation."""
    groups = yaml.safe_load(text)["groups"]
    found = {}
    for rule in (rule for group in groups for rule in group["rules"]):
        name = rule.get("alert") or rule["record"]
        found[name] = await prometheus.samples_read(rule["expr"], NOW)
    return found


async def test_an_evaluation_of_all_rules_reads_few_samples(tmp_path: Path) -> None:
    backfill(tmp_path)
    flags = ("--storage.tsdb.retention.time=100y",)
    async with running_prometheus(tmp_path, flags=flags) as prometheus:
        series = await prometheus.query('count({__name__=~"durable_functions_.+"})', NOW)
        shipped = await samples_read(prometheus, rules())
        every = await samples_read(prometheus, rules(opted=OPT_IN))
    log.info(
        "%d series; %d samples, with opt-in alerts %d; most: %s",
        series[0].value,
        sum(shipped.values()),
        sum(every.values()),
        sorted(every.items(), key=lambda item: -item[1])[:8],
    )
    assert len(shipped) == len(chosen()) + len(RECORDINGS)
    assert series[0].value > HUBS * 900
    # Each rule looks at something, so none reads nothing; but for shards there is only one.
    assert {name for name, read in shipped.items() if not read} <= {
        "durable_functions:shards_present:count", "DurableFunctionsShardMissing",
        "DurableFunctionsHubReplaced",
    }  # fmt: skip
    assert sum(every.values()) < MOST_SAMPLES
