"""The reference page of the metrics, written from the catalogue."""

from __future__ import annotations

from collections.abc import Iterable

from exporter.metrics.catalogue import CATALOGUE
from exporter.metrics.family import Family, Kind

_INTRODUCTION = """\
# Metrics

Every family that the exporter serves, from the table in `exporter/metrics/catalogue.py`. This page
is generated: `make docs` writes it anew.

All values come from the last sweeps, never from the scrape itself: ten scrapers cost the API as
much as one. Families of a hub carry `task_hub`, the configured name of the hub, which must be
unique within one Prometheus. What a sweep feeds is withdrawn, never frozen, once its last complete
sweep is older than `stale_after` or five intervals; counters stay. A new counter series shows its
base for `counter_hold` before its increments, so that `increase()` sees them.

A **distribution** is of values now, not of events. It is three untyped families, `_bucket`,
`_gcount` and `_gsum`, to be queried without `rate`:

```promql
histogram_quantile(0.9, sum by (le) (durable_functions_instance_age_seconds_bucket))
```

A hub shows no more names per label than `label_limit`; the rest share `_other`. An instance without
a name is `_unnamed`. Ids, inputs, outputs and messages are never labels.

Not observable through the API, and so not counted: an instance whose row comes and goes between two
sweeps, what finished before or during first contact, and a restart of an id against continue-as-new
within one gap.
"""


def page() -> str:
    """Return the page as Markdown."""
    of_hubs = [family for family in CATALOGUE if "_exporter_" not in family.name]
    of_itself = [family for family in CATALOGUE if "_exporter_" in family.name]
    return "\n".join(
        [
            _INTRODUCTION,
            "## Task hubs",
            "",
            *_table(of_hubs),
            "",
            "## The exporter itself",
            "",
            "Beside these come `process_*` and `python_*` of the client library.",
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
        sweep = f"`{family.sweep}`" if family.sweep else ""
        yield (
            f"| `{family.name}` | {family.kind} | {', '.join(labels)} | {sweep} "
            f"| {family.stability} | {family.help} |"
        )
