"""
What one would write in an hour: httpx, json and prometheus-client, and no exporter.

It finds what a census finds: by name and status how many there are, when the last one was created
and finished; by status the oldest.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import httpx
from prometheus_client import CollectorRegistry, Gauge, generate_latest

REGISTRY = CollectorRegistry()
INSTANCES = Gauge("instances", "Instances", ["name", "status"], registry=REGISTRY)
LAST_CREATED = Gauge("last_created", "Last creation", ["name", "status"], registry=REGISTRY)
LAST_UPDATED = Gauge("last_updated", "Last update", ["name", "status"], registry=REGISTRY)
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


def sweep(client: httpx.Client) -> int:
    """Read everything and set the gauges; returns how many instances there are."""
    counts: Counter[tuple[str, str]] = Counter()
    last_created: dict[tuple[str, str], datetime] = {}
    last_updated: dict[tuple[str, str], datetime] = {}
    oldest: dict[str, datetime] = {}
    for page in pages(client):
        for row in page:
            status = row["runtimeStatus"]
            key = row["name"], status
            created = datetime.fromisoformat(row["createdTime"])
            updated = datetime.fromisoformat(row["lastUpdatedTime"])
            counts[key] += 1
            last_created[key] = max(created, last_created.get(key, created))
            last_updated[key] = max(updated, last_updated.get(key, updated))
            oldest[status] = min(created, oldest.get(status, created))
    for key, count in counts.items():
        INSTANCES.labels(*key).set(count)
        LAST_CREATED.labels(*key).set(last_created[key].timestamp())
        LAST_UPDATED.labels(*key).set(last_updated[key].timestamp())
    for status, moment in oldest.items():
        OLDEST.labels(status).set(moment.timestamp())
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
