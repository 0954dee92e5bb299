"""
What one would write in an hour: httpx, json and prometheus-client, and no exporter.

Counts the instances by name and status, and finds the oldest of each status.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from datetime import datetime

import httpx
from prometheus_client import CollectorRegistry, Gauge, generate_latest

REGISTRY = CollectorRegistry()
INSTANCES = Gauge("instances", "Instances", ["name", "status"], registry=REGISTRY)
OLDEST = Gauge("oldest_created", "Creation of the oldest instance", ["status"], registry=REGISTRY)


def sweep(client: httpx.Client) -> int:
    """Read every page and set the gauges; returns how many instances there are."""
    counts: Counter[tuple[str, str]] = Counter()
    oldest: dict[str, str] = {}
    parameters = {
        "top": "1000",
        "showInput": "false",
        "createdTimeFrom": "2000-01-01T00:00:00Z",
        "taskHub": sys.argv[2],
    }
    headers: dict[str, str] = {}
    while True:
        response = client.get("/instances", params=parameters, headers=headers)
        response.raise_for_status()
        for row in response.json():
            status = row["runtimeStatus"]
            counts[row["name"], status] += 1
            if status not in oldest or row["createdTime"] < oldest[status]:
                oldest[status] = row["createdTime"]
        token = response.headers.get("x-ms-continuation-token")
        if not token:
            break
        headers = {"x-ms-continuation-token": token}
    for (name, status), count in counts.items():
        INSTANCES.labels(name, status).set(count)
    for status, created in oldest.items():
        OLDEST.labels(status).set(datetime.fromisoformat(created).timestamp())
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
