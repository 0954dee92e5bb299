"""Settings that were renamed: the former name works for one release, with a warning."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from exporter.settings.schema import SettingPath

# Taken until the next minor version, with a warning. A renamed setting stays in its group.
FORMER_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "history_budget": "max_histories_per_sweep",
        "host_requests": "max_requests_per_host",
        "label_limit": "max_label_values",
        "ledger_max_finishes": "max_ledger_finishes",
        "metrics.most_scrapes": "metrics.max_concurrent_scrapes",
        "page_budget": "max_pages_per_day",
        "page_size": "max_page_size",
        "reason_limit": "max_failure_reasons",
        "retries.attempts": "retries.max_retries",
        "retries.backoff_max": "retries.max_backoff",
    }
)


def todays(path: SettingPath) -> SettingPath:
    """Return *path* with the name that its setting has today, at the top level or in a hub."""
    depth = 2 if path[0] == "hubs" else 0
    name = FORMER_NAMES.get(".".join(path[depth:]))
    return path if name is None else (*path[:depth], *name.split("."))
