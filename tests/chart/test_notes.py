"""The notes after an installation name the next step, and it works."""

from __future__ import annotations

import re
import shlex
from typing import Any

from tests.chart.chart import NAMESPACE, RELEASE, VALUES, render, values_of


def notes(**values: Any) -> str:  # noqa: ANN401 - they are any YAML
    return render(values).notes


def of_file(name: str) -> str:
    return render(values_of(VALUES[0].parent / f"{name}.yaml")).notes


def test_without_a_hub_they_say_how_to_name_one_and_that_is_accepted() -> None:
    told = notes()
    assert "No hub is configured: the pod runs the demo" in told
    assert "http://localhost:10771/" in told
    assert "helm test" not in told
    # What is configured is no demo's: the pod says itself what it misses.
    assert "No hub is configured, so no pod can start" in notes(settings={"log_level": "debug"})
    said = dict(each.split("=", 1) for each in re.findall(r"--set (\S+)", told))
    hub = {
        "url": said["hubs.orders.url"],
        "task_hub": said["hubs.orders.task_hub"],
        "keySecret": {"name": said["hubs.orders.keySecret.name"]},
    }
    assert "polls 1 hub" in notes(hubs={"orders": hub})


def test_with_hubs_they_name_test_page_and_monitor() -> None:
    told = of_file("one-hub")
    assert f"helm test {RELEASE} --namespace {NAMESPACE} --logs" in told
    (forward,) = (line for line in told.splitlines() if "port-forward" in line)
    service = render(values_of(VALUES[0].parent / "one-hub.yaml")).one("Service")
    assert f"service/{service['metadata']['name']}" in shlex.split(forward)
    assert "http://localhost:10771/" in told
    assert "serviceMonitor.enabled" in told


def test_they_follow_what_the_values_say() -> None:
    assert "serviceMonitor" not in of_file("two-hubs-existing-secrets")
    assert "polls 2 hub(s) of these values, as 3 pods" in of_file("three-shards")
    assert "https://localhost:10771/" in of_file("tls-and-passwords")
    assert "10771:80" in of_file("service")


def test_a_hub_without_its_name_is_pointed_out() -> None:
    url = "https://orders.example"
    hint = "The hub orders has no task_hub"
    assert hint in notes(hubs={"orders": {"url": url}})
    assert hint not in notes(hubs={"orders": {"url": url, "task_hub": "OrdersHub"}})
    assert hint not in notes(hubs={"orders": {"url": url, "connection": "Storage"}})


def test_a_former_name_of_a_setting_is_pointed_out_with_the_new_one() -> None:
    hubs = {"orders": {"url": "https://orders.example", "page_size": 10}}
    told = notes(hubs=hubs, settings={"retries": {"attempts": 1}, "max_label_values": 10})
    until = ", as the next minor version refuses the former name."
    assert [line.removesuffix(until) for line in told.splitlines() if line.endswith(until)] == [
        "hubs.orders.page_size was renamed: use hubs.orders.max_page_size",
        "settings.retries.attempts was renamed: use settings.retries.max_retries",
    ]
