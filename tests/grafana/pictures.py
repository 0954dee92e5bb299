"""
`python -m tests.grafana.pictures` takes the pictures of `docs/dashboards.md`.

Of one hub, that of the demo, and of twelve: both live for an hour within seconds.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import anyio
from PIL import Image, PngImagePlugin

from emulator import ManualClock
from emulator.scenarios.play import play
from emulator.scenarios.scenario import load_scenario
from exporter.alerts.prometheus import rules
from exporter.cli.demo import OPTIONS
from exporter.cli.logs import set_up_logging
from grafana.preview.__main__ import preview
from tests.grafana.committed import NAMES, Json
from tests.real.blocks import create_blocks
from tests.real.played import TICK, Exporter, Hub, played
from tests.real.prometheus import running_prometheus
from tests.tools import node_package, tool

SCRIPT = Path(__file__).with_name("looking.js")
PICTURES = Path(__file__).parents[2] / "docs" / "dashboards"
TITLES = "panels"
"""The metadata of a picture: the titles of its panels, as JSON."""

ONE_HUB = {name: name for name in NAMES}
TWELVE_HUBS = {"fleet-12": "fleet", "hub-12": "hub"}
"""Dashboards by their pictures."""

TEAMS = {
    "checkout": ("Orders", "Returns", "Payments", "Refunds", "Invoices"),
    "logistics": ("Parcels",),
    "insurance": ("Claims", "Policies", "Renewals", "Reports", "Archive"),
}
SECONDS = 3600.0
_AHEAD = 120.0
"""The end of the played time: by then all of it is played and stored."""


@contextmanager
def serving(prometheus: str, *, scrape_interval: float) -> Iterator[str]:
    """Serve the preview, and return its address."""
    with preview(prometheus, scrape_interval=scrape_interval) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{running.server_port}"
        finally:
            running.shutdown()
            thread.join()


def look(jobs: Iterable[Mapping[str, str]], home: Path) -> list[Json]:
    """Return what addresses show, and take the pictures of jobs."""
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "CHROMIUM": str(tool("chromium")),
        "NODE_PATH": str(node_package("playwright-core").parent),
    }
    lines = "".join(f"{json.dumps(job)}\n" for job in jobs)
    done = subprocess.run(
        [tool("node"), SCRIPT],
        input=lines,
        env=environ,
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def shrink(path: Path, titles: Sequence[str] = ()) -> None:
    """Rewrite a picture with a palette."""
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    about = PngImagePlugin.PngInfo()
    about.add_text(TITLES, json.dumps(titles))
    small.save(path, optimize=True, pnginfo=about)


def one_hub(clock: ManualClock) -> Exporter:
    """Return an exporter that polls the demo's hub."""
    demo = play(load_scenario("demo"), clock)
    hub = Hub("OrdersHub", demo, options={**OPTIONS, "labels.team": "checkout"})
    return Exporter({"job": "durable-functions", "instance": "exporter:10771"}, [hub])


def twelve_hubs(clock: ManualClock) -> Exporter:
    """Return an exporter of twelve hubs, of which one stops and one never answers."""
    plays = play(load_scenario(str(Path(__file__).with_name("twelve.yaml"))), clock)
    options = {"limits.idle": "10m", "retries.max_retries": "0"}
    hubs = [
        Hub(name.lower(), plays, f"{name}Hub", {**options, "labels.team": team})
        for team, names in TEAMS.items()
        for name in names
    ]
    dead = {**options, "labels.team": "logistics"}
    hubs.append(Hub("customs", "http://127.0.0.1:9", "CustomsHub", dead))
    return Exporter({"job": "durable-functions", "instance": "exporter:10771"}, hubs)


async def take(exporter: Exporter, clock: ManualClock, pictures: Mapping[str, str]) -> None:
    """Take pictures of dashboards, by the names of the files, at the end of an hour."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        create_blocks(home, await played(clock, [exporter], SECONDS, scraped_after=7.0))
        # What is wrong has been for long: no alert waits for what it has seen.
        at_once = re.sub(r"\bfor: \w+", "for: 0s", rules())
        (home / "rules.yaml").write_text(at_once, encoding="utf-8")
        await anyio.sleep(max(0.0, clock.now() - time.time()))
        async with running_prometheus(
            home,
            scrape_interval="1s",
            config={"rule_files": ["rules.yaml"]},
            # What was stored has no marks where series end, so only the last scrape counts.
            flags=("--query.lookback-delta=29s",),
        ) as prometheus:
            await prometheus.wait_until('count(ALERTS{alertstate="firing"}) > 0')
            await anyio.sleep(3)
            at = {"at": f"{time.time():.3f}"}
            with serving(prometheus.url, scrape_interval=TICK) as url:
                jobs = [
                    {
                        "url": f"{url}/?" + urlencode({"dashboard": board, **at, **_chosen(name)}),
                        "screenshot": str(PICTURES / f"{name}.png"),
                    }
                    for name, board in pictures.items()
                ]
                found = await anyio.to_thread.run_sync(look, jobs, home)
    for name, seen in zip(pictures, found, strict=True):
        shrink(PICTURES / f"{name}.png", [panel["title"] for panel in seen["panels"]])


def _chosen(name: str) -> dict[str, str]:
    chosen = {"seconds": f"{SECONDS:.0f}", "earlier": "30m", "price": "0.05"}
    if name == "orchestrator":
        chosen["orchestrator"] = "PaymentSaga"
    if name == "hub-12":
        chosen["task_hub"] = "parcels"
    return chosen


async def main() -> None:
    """Take all pictures."""
    set_up_logging("error", "console")
    PICTURES.mkdir(exist_ok=True)
    for make, pictures in ((one_hub, ONE_HUB), (twelve_hubs, TWELVE_HUBS)):
        end = (time.time() + _AHEAD) // TICK * TICK
        clock = ManualClock(end - SECONDS)
        await take(make(clock), clock, pictures)


if __name__ == "__main__":
    anyio.run(main)
