"""
Remembers a release: `python -m tests.releases.record` writes the folder of the present version.

It is run once, before the release, as CONTRIBUTING.md says; what is released is not written anew.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import anyio
import yaml

from emulator import Emulator, ManualClock, running
from exporter import __version__
from tests.chart.chart import CHART, VALUES, Rendered, helm3, render, values_of
from tests.chart.pods import laid_out
from tests.cli.process import START
from tests.releases.fixed import fixed_of
from tests.releases.hub import LEFT, go_on, hub_at_first, scraped_with, served
from tests.releases.release import FOLDER, as_json, described

# Values without hubs, which the exporter refuses: nobody runs them.
_REFUSED = "nothing"
_MOST_SETTINGS = "every-setting"


def record(folder: Path) -> None:
    """Write everything anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _record_chart(folder)
    (folder / "families.json").write_text(as_json(described()), encoding="utf-8")
    anyio.run(record_state, folder)


def _record_chart(folder: Path) -> None:
    (folder / "values").mkdir()
    fixed: dict[str, Any] = {}
    for path in VALUES:
        if path.stem == _REFUSED:
            continue
        shutil.copy(path, folder / "values")
        rendered = render(values_of(path))
        fixed[path.stem] = fixed_of(rendered)
        if path.stem == _MOST_SETTINGS:
            _record_configuration(rendered, folder)
    with tempfile.TemporaryDirectory() as home:
        packed = helm3("package", str(CHART), "--destination", home, home=Path(home))
        assert packed.returncode == 0, packed.stderr
        (package,) = Path(home).glob("*.tgz")
        shutil.copy(package, folder / "chart.tgz")
    text = yaml.safe_dump(fixed, sort_keys=True)
    (folder / "fixed.yaml").write_text(text, encoding="utf-8")


def _record_configuration(rendered: Rendered, folder: Path) -> None:
    """Keep what the chart makes of values that say every setting: it is all of the exporter's."""
    with tempfile.TemporaryDirectory() as pod:
        specification = rendered.workload["spec"]["template"]["spec"]
        environ = laid_out(rendered, specification, Path(pod)).environ
        config = Path(environ["DURABLE_EXPORTER_CONFIG_FILE"]).read_text(encoding="utf-8")
        lines = [f"{name}={value}" for name, value in environ.items() if "CONFIG_FILE" not in name]
        (folder / "config.yaml").write_text(config.replace(pod, ""), encoding="utf-8")
        text = "".join(f"{line.replace(pod, '')}\n" for line in sorted(lines))
        (folder / "environment").write_text(text, encoding="utf-8")


async def record_state(folder: Path) -> None:
    """Let an exporter of a small hub count a little, and keep what it leaves."""
    (folder / "state").mkdir()
    clock = ManualClock(START)
    hub = hub_at_first(clock)
    async with (
        running(Emulator(hub, clock=clock)) as url,
        served(url, folder / "state") as daemon,
    ):
        await scraped_with(daemon, Completed=0, Failed=0)
        clock.set(LEFT)
        go_on(hub)
        text = await scraped_with(daemon, Completed=1, Failed=1)
    (folder / "scraped.txt").write_text(text, encoding="utf-8")
    for path in (folder / "state").iterdir():
        if path.suffix != ".state":
            # The lock, and the journal: of one that was stopped it is empty.
            path.unlink()


if __name__ == "__main__":
    record(FOLDER / __version__)
