"""The status page: overview, hubs, instances."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined, Template, select_autoescape
from markupsafe import Markup, escape

from exporter import __version__
from exporter.api.times import parse_time
from exporter.collector.instance_lookup import FoundInstance
from exporter.collector.snapshot import HubIdentity, HubSnapshot
from exporter.diagnosis.waits import WaitingOn
from exporter.ledger.status import ACTIVE, RuntimeStatus, known_status
from exporter.web import formatting
from exporter.web.charts import chart_of, timeline_of, tree_of
from exporter.web.report import HubStatus, OrchestratorReport, OverLimitSample, links_to
from exporter.web.reporting import Reporter, badness
from exporter.web.steps import steps_of
from exporter.web.waits import blame_in_words

REFRESH_SECONDS = 30
MOST_IN_DETAIL = 8
MOST_WITH_CHARTS = 50
_MOST_LINES = 200
_MOST_STEPS = 100
_LONGEST_FAILURE = 20_000
_MOST_GROUPS = 20
_GROUPS_AT_A_GLANCE = 3
_SAMPLES_AT_A_GLANCE = 3
_BETWEEN_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[-_./:@])")

_STATUS_WORDS = {
    HubStatus.DOWN: "Cannot be polled",
    HubStatus.ERROR: "Needs attention",
    HubStatus.WARNING: "Warning",
    HubStatus.STARTING: "Not polled yet",
    HubStatus.OK: "Healthy",
}

_pages = Environment(
    loader=PackageLoader("exporter.web"),
    autoescape=select_autoescape(default=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True, slots=True)
class View:
    """
    How a page is shown at `now`.

    `root` is the relative path to `/`, so that pages work below any path of a proxy; `refreshes`
    says whether the page reloads itself, `has_instances` whether instances have pages.
    """

    now: float
    root: str
    refreshes: bool
    has_instances: bool = False

    @property
    def clock(self) -> str:
        """The time for people."""
        return datetime.fromtimestamp(self.now, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")

    @property
    def moment(self) -> str:
        """The time for programs."""
        return formatting.rfc3339(self.now) or ""

    @property
    def query(self) -> str:
        """The query of links to other pages."""
        return "" if self.refreshes else "?refresh=off"


def overview_page(snapshots: Sequence[HubSnapshot], view: View) -> str:
    """Return the page of all hubs, the worst first; a single hub's own page."""
    if len(snapshots) == 1:
        return hub_page(snapshots[0], view, is_only=True)
    by_name = {each.identity.name: each for each in snapshots}
    hubs = sorted((Reporter(each, view.now).summary() for each in snapshots), key=badness)
    bad = [hub for hub in hubs if hub.status not in (HubStatus.STARTING, HubStatus.OK)]
    detailed = bad[:MOST_IN_DETAIL]
    numbers = Counter(hub.status for hub in hubs)
    return _pages.get_template("overview.html").render(
        view=view,
        hubs=hubs,
        headline=_headline(numbers, len(hubs)),
        numbers=numbers,
        current=sum(hub.current for hub in hubs),
        detailed=[Reporter(by_name[hub.name], view.now).report() for hub in detailed],
        not_detailed=len(bad) - len(detailed),
        samples=_SAMPLES_AT_A_GLANCE,
        with_charts=len(hubs) <= MOST_WITH_CHARTS,
    )


def hub_page(snapshot: HubSnapshot, view: View, *, is_only: bool = False) -> str:
    """Return the page of one hub; *is_only* if there is no other."""
    report = Reporter(snapshot, view.now).report()
    return _pages.get_template("hub.html").render(
        view=view,
        hub=report,
        is_only=is_only,
        orchestrators=sorted(report.orchestrators, key=_in_trouble_first),
        over_limit=_families(sorted(report.over_limit_samples, key=lambda each: each.since)),
        failed=sorted(report.failed_samples, key=lambda each: each.orchestrator),
        server_now=view.now + (snapshot.clock_skew or 0.0),
    )


def instance_page(identity: HubIdentity, found: FoundInstance, view: View) -> str:
    """Return the page of one instance."""
    row, blame = found.row, found.blame
    steps = tuple(steps_of(found.events, found.at))
    leaf = blame.leaf
    is_active = known_status(row.runtime_status) in ACTIVE
    return _pages.get_template("instance.html").render(
        view=view,
        hub=identity,
        row=row,
        now=found.at,
        created=formatting.rfc3339(parse_time(row.created_time)),
        updated=formatting.rfc3339(parse_time(row.last_updated_time)),
        links=links_to(identity, row.instance_id, row.name or ""),
        verdict=list(blame_in_words(found, found.at)),
        is_trouble=is_active and leaf is not None and leaf.waiting_on.means_trouble,
        is_ended_well=row.runtime_status == RuntimeStatus.COMPLETED,
        failure=found.failure,
        longest_failure=_LONGEST_FAILURE,
        tree=tree_of(found),
        timeline=timeline_of(steps, found.at),
        steps=steps[-_MOST_STEPS:],
        left_out=found.left_out,
    )


def no_instance_page(hub: str, instance_id: str, why: str, view: View) -> str:
    """Return the page that explains *why* an instance is not shown."""
    return _pages.get_template("no_instance.html").render(
        view=view, hub=hub, instance_id=instance_id, why=why
    )


def missing_page(name: str, view: View) -> str:
    """Return the page for an unknown hub *name*."""
    return _pages.get_template("missing.html").render(view=view, name=name)


def template_of(name: str) -> Template:
    """Return a template in the style of these pages."""
    return _pages.get_template(name)


def _ago(moment: str | None, now: float) -> str:
    """Return how long ago a moment was, empty if unknown."""
    return (
        "" if moment is None else formatting.span(now - datetime.fromisoformat(moment).timestamp())
    )


def _in_trouble_first(line: OrchestratorReport) -> tuple[int, int, int, str]:
    over = sum((line.over_limit or {}).values())
    return -(line.stalled or 0), -(line.unresolved_failures or 0), -over, line.name


def _families(samples: Sequence[OverLimitSample]) -> Sequence[tuple[int, OverLimitSample]]:
    """Return samples with their depth: children below the parents that await them."""
    children: dict[str, list[OverLimitSample]] = defaultdict(list)
    by_id = {each.instance_id: each for each in samples}
    nested: dict[str, None] = {}
    for each in samples:
        child = by_id.get(each.chain[1]) if len(each.chain) > 1 else None
        if each.waiting_on == WaitingOn.SUB_ORCHESTRATION and child and child is not each:
            children[each.instance_id].append(child)
            nested[child.instance_id] = None
    found: list[tuple[int, OverLimitSample]] = []
    seen: set[int] = set()
    stack = [(0, each) for each in reversed(samples) if each.instance_id not in nested]
    while stack:
        depth, sample = stack.pop()
        if id(sample) not in seen:
            seen.add(id(sample))
            found.append((depth, sample))
            stack.extend((depth + 1, child) for child in reversed(children[sample.instance_id]))
    return [*found, *((0, each) for each in samples if id(each) not in seen)]


def _row_id(instance_id: str) -> str:
    """Return the anchor of an instance's row."""
    return f"instance-{quote(instance_id, safe='')}"


def _breakable(name: str) -> Markup:
    """Return a name that breaks between its words."""
    return Markup("<wbr>").join(map(escape, _BETWEEN_WORDS.split(name)))


def _headline(numbers: Mapping[HubStatus, int], hubs: int) -> str:
    """Return the headline for all hubs."""
    all_hubs = formatting.plural(hubs, "task hub")
    in_need = numbers[HubStatus.DOWN] + numbers[HubStatus.ERROR]
    warned, starting = numbers[HubStatus.WARNING], numbers[HubStatus.STARTING]
    if not hubs:
        return "No task hub is polled here"
    if in_need:
        return f"{in_need} of {all_hubs} {'has' if in_need == 1 else 'have'} errors"
    if warned:
        return f"{warned} of {all_hubs} {'has' if warned == 1 else 'have'} warnings"
    if starting:
        return f"{starting} of {all_hubs} {'has' if starting == 1 else 'have'} not been polled yet"
    return f"All {all_hubs} are healthy"


_pages.globals.update(
    ago=_ago,
    breakable=_breakable,
    chart_of=chart_of,
    groups_at_a_glance=_GROUPS_AT_A_GLANCE,
    most_groups=_MOST_GROUPS,
    most_lines=_MOST_LINES,
    percent=formatting.percent,
    plural=formatting.plural,
    words_of=formatting.words_of,
    refresh_seconds=REFRESH_SECONDS,
    rfc3339=formatting.rfc3339,
    row_id=_row_id,
    size=formatting.size,
    span=formatting.span,
    status_words=_STATUS_WORDS,
    version=__version__,
)
