"""`python -m tests.grafana.pictures` takes the pictures of `docs/dashboards.md`."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

from PIL import Image

from grafana.preview.__main__ import preview
from tests.grafana.committed import NAMES, Json
from tests.tools import node_package, tool

SCRIPT = Path(__file__).with_name("looking.js")
PICTURES = Path(__file__).parents[2] / "docs" / "dashboards"


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
    """Return what is to be seen at addresses, and take pictures where jobs ask for them."""
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


def shrink(path: Path) -> None:
    """Write a picture anew with a palette, where a browser writes all colours."""
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    small.save(path, optimize=True)


def main() -> None:
    """Take a picture of each dashboard."""
    parser = argparse.ArgumentParser(prog="python -m tests.grafana.pictures")
    parser.add_argument("--prometheus", required=True, metavar="URL")
    parser.add_argument("--seconds", default="1800", help="how far back (%(default)s)")
    parser.add_argument("--earlier", default="10m", help="what dashed lines show (%(default)s)")
    options = parser.parse_args()
    PICTURES.mkdir(exist_ok=True)
    chosen = {"seconds": options.seconds, "earlier": options.earlier, "price": "0.05"}
    with (
        serving(options.prometheus, scrape_interval=1.0) as url,
        tempfile.TemporaryDirectory() as home,
    ):
        jobs = [
            {
                "url": f"{url}/?" + urlencode({"dashboard": name, **_of(name), **chosen}),
                "screenshot": str(PICTURES / f"{name}.png"),
            }
            for name in NAMES
        ]
        look(jobs, Path(home))
    for name in NAMES:
        shrink(PICTURES / f"{name}.png")


def _of(name: str) -> dict[str, str]:
    return {"orchestrator": "PaymentSaga"} if name == "orchestrator" else {}


if __name__ == "__main__":
    main()
