"""The reference page of the metrics, written from the catalogue."""

from __future__ import annotations

from collections.abc import Iterable

from exporter.metrics.catalogue import CATALOGUE
from exporter.metrics.family import Family, Kind

_INTRODUCTION = """\
# Metrics

Every family that the exporter serves, from the table in `exporter/metrics/catalogue.py`. This page
is generated: `make docs` regenerates it.

All values come from the last sweeps, never from the scrape itself: ten scrapers cost the API as
much as one. Families of a hub carry `task_hub`, the configured name of the hub, which must be
unique within one Prometheus. What a sweep feeds is removed, never frozen, once its last complete
sweep is older than `stale_after` or five intervals; counters stay. A new counter series shows its
base for `counter_hold` before its increments, so that `increase()` sees them.

A **distribution** is of values now, not of events: a `gaugehistogram` in OpenMetrics, untyped in
the classic format, where servers refuse that. It has buckets only, and is queried without `rate`:

```promql
histogram_quantile(0.9, sum by (le) (durable_functions_instance_age_seconds_bucket))
```

**Zero and absent.** For every known orchestrator (configured ones from the start) there are, at 0
too: instances in Pending, Running, Suspended, Completed and Failed; instances over each limit in
force; unresolved failures; what completed and failed within the windows; the counters of starts, of
Completed and Failed, and of the failures that a broken deployment causes. Everything else comes
with its first use. Timestamps, ratios and distributions are absent where there is nothing.

A hub shows no more names per label than `max_label_values`; the rest share `_other`. An instance
without a name is `_unnamed`. Names that differ in case alone are one, as for the runtime, in one
spelling: the configured one, else that of most active instances at first contact (of as many, the
smaller), else the first that was seen. It stays, over restarts too. Ids, inputs, outputs and
messages are never labels.

With `metrics.exemplars`, OpenMetrics names behind each `durable_functions_instances_finished_total`
the id of the instance that finished last (`instance_id`), unless it is longer than exemplars may be
(128 characters with its name). `prometheus --enable-feature=exemplar-storage` keeps them.

What instances over a limit wait on is *sampled*: `max_histories_per_sweep` histories are read
after each active sweep, those of the oldest first, and a sample stays counted until its instance
moves. How many of the hub are not diagnosed yet is
`durable_functions_exporter_undiagnosed_instances`; where that is 0, stalled and waiting instances
are all of them. [What an instance waits on](diagnosis.md) explains `waiting_on`.

Not observable through the API, and so not counted: an instance whose row comes and goes between two
sweeps, what finished before or during first contact, and a restart of an id against continue-as-new
within one gap.
"""

_SCRAPING = """\
## Scraping

`/metrics` answers `GET` and `HEAD` in the classic text format or in OpenMetrics, whichever has the
higher `q` in the `Accept` header, and compressed where `Accept-Encoding` allows gzip. What a hub
shows is written when the hub publishes, so a scrape costs little, however many there are.

- `?task_hub=orders&task_hub=billing` shows these hubs alone, and the exporter's own families. A
  name that is not served here fails the whole scrape with 404: without it, a hub that was renamed
  or moved would look like one that has nothing to show.
- More than `metrics.max_concurrent_scrapes` scrapes at once get 503 with `Retry-After`. One that
  its client has not read within `metrics.scrape_timeout` is cut off.
- `metrics.exclude` leaves families out, by name or pattern: `python_*`, or
  `durable_functions_entity_*`. The name is the one in the first column below; of a distribution
  `..._bucket`, as the classic format calls it, will do too.
"""


def page() -> str:
    """Return the page as Markdown."""
    of_hubs = [family for family in CATALOGUE if "_exporter_" not in family.name]
    of_itself = [family for family in CATALOGUE if "_exporter_" in family.name]
    return "\n".join(
        [
            _INTRODUCTION,
            _SCRAPING,
            "## Task hubs",
            "",
            *_table(of_hubs),
            "",
            "## The exporter itself",
            "",
            "The client library adds `process_*` and `python_*`.",
            "",
            *_table(of_itself),
            "",
        ]
    )


def _table(families: Iterable[Family]) -> Iterable[str]:
    yield "| metric | type | labels | fed by | stability | meaning |"
    yield "|---|---|---|---|---|---|"
    for family in families:
        labels = [f"`{label}`" for label in family.label_names]
        if family.kind in (Kind.HISTOGRAM, Kind.DISTRIBUTION):
            labels.append("`le`")
        if family.free_labels:
            labels.append("configured ones")
        sweeps = ", ".join(f"`{sweep}`" for sweep in family.sweeps)
        yield (
            f"| `{family.name}` | {family.kind} | {', '.join(labels)} | {sweeps} "
            f"| {family.stability} | {family.help} |"
        )
