"""
What one would write in an hour: httpx, json and prometheus-client, and no exporter.

It finds what a census finds: by name and status how many there are, when the last one was created
and finished; by status the oldest; by name what failed within a day. Times are compared as texts,
as whoever has a million of them would do.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from bench.served_hub import AT

REGISTRY = CollectorRegistry()
INSTANCES = Gauge("instances", "Instances", ["name", "status"], registry=REGISTRY)
LAST_CREATED = Gauge("last_created", "Last creation", ["name", "status"], registry=REGISTRY)
LAST_UPDATED = Gauge("last_updated", "Last update", ["name", "status"], registry=REGISTRY)
FAILED = Gauge("failed_within_a_day", "Failed within a day", ["name"], registry=REGISTRY)
OLDEST = Gauge("oldest_created", "Creation of the oldest instance", ["status"], registry=REGISTRY)


def pages(client: httpx.Client) -> Iterator[list[dict[str, Any]]]:
    """Read page after page."""
    parameters = {
        "top": "1000",
        "showInput": "false",
        "createdTimeFrom": "2000-01-01T00:00:00Z",
        "taskHub": sys.argv[2],
    }
    token: str | None = ""
    while token is not None:
        headers = {"x-ms-continuation-token": token} if token else {}
        response = client.get("/instances", params=parameters, headers=headers)
        response.raise_for_status()
        yield response.json()
        token = response.headers.get("x-ms-continuation-token")


def seconds(text: str) -> float:
    """Read a time of the API."""
    return datetime.fromisoformat(text).timestamp()


def sweep(client: httpx.Client) -> int:
    """Read everything and set the gauges; returns how many instances there are."""
    counts: Counter[tuple[str, str]] = Counter()
    failed: Counter[str] = Counter()
    last_created: dict[tuple[str, str], str] = {}
    last_updated: dict[tuple[str, str], str] = {}
    oldest: dict[str, str] = {}
    day_ago = f"{datetime.fromtimestamp(AT, UTC) - timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
    for page in pages(client):
        for row in page:
            name, status = key = row["name"], row["runtimeStatus"]
            created, updated = row["createdTime"], row["lastUpdatedTime"]
            counts[key] += 1
            if created > last_created.get(key, ""):
                last_created[key] = created
            if updated > last_updated.get(key, ""):
                last_updated[key] = updated
            if created < oldest.get(status, "~"):
                oldest[status] = created
            if status == "Failed" and updated >= day_ago:
                failed[name] += 1
    for key, count in counts.items():
        INSTANCES.labels(*key).set(count)
        LAST_CREATED.labels(*key).set(seconds(last_created[key]))
        LAST_UPDATED.labels(*key).set(seconds(last_updated[key]))
    for status, text in oldest.items():
        OLDEST.labels(status).set(seconds(text))
    for name, count in failed.items():
        FAILED.labels(name).set(count)
    generate_latest(REGISTRY)
    return counts.total()


def main() -> None:
    """Sweep once; prints the processor seconds and the instances."""
    base = f"http://127.0.0.1:{sys.argv[1]}/runtime/webhooks/durabletask"
    with httpx.Client(base_url=base, trust_env=False, timeout=60.0) as client:
        begin = time.process_time()
        instances = sweep(client)
        print(time.process_time() - begin, instances)


if __name__ == "__main__":
    main()
