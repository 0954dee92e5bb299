"""`python -m grafana.preview` serves a page that draws the committed dashboards."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx

from grafana.preview.asking import FOLDER, Asking, View

PAGE = Path(__file__).with_name("page")
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
OWN = {"dashboard", "at", "seconds", "smooth"}


class Handler(BaseHTTPRequestHandler):
    """Serves the page's files, and dashboards with their data."""

    def __init__(self, asking: Asking, scrape_interval: float, *arguments: object) -> None:
        self._asking, self._scrape_interval = asking, scrape_interval
        super().__init__(*arguments)  # type: ignore[arg-type] # those of the server

    def do_GET(self) -> None:
        """Answer a request."""
        url = urlsplit(self.path)
        if url.path == "/board.json":
            self._send_board(dict(parse_qsl(url.query)))
        else:
            self._send_file(url.path.removeprefix("/") or "preview.html")

    def _send_board(self, asked: dict[str, str]) -> None:
        name = asked.get("dashboard", "fleet")
        if name not in {path.stem for path in FOLDER.glob("*.json")}:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        view = View(
            at=float(asked.get("at", time.time())),
            seconds=float(asked.get("seconds", 6 * 3600)),
            scrape_interval=self._scrape_interval,
            smooth=float(asked["smooth"]) if "smooth" in asked else None,
            chosen={key: value for key, value in asked.items() if key not in OWN},
        )
        try:
            board = self._asking.board(name, view)
        except (httpx.HTTPError, KeyError) as error:
            self.send_error(HTTPStatus.BAD_GATEWAY, explain=str(error))
            return
        self._send(json.dumps(board).encode(), "application/json")

    def _send_file(self, name: str) -> None:
        path = PAGE / Path(name).name
        if not path.is_file():
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        self._send(path.read_bytes(), TYPES[path.suffix])

    def _send(self, body: bytes, content_type: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", f"{content_type}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing: the page shows errors."""


@contextmanager
def preview(
    prometheus: str, *, scrape_interval: float, port: int = 0
) -> Iterator[ThreadingHTTPServer]:
    """Yield a server on loopback that draws from the Prometheus at a URL."""
    with httpx.Client(base_url=prometheus, trust_env=False, timeout=60.0) as client:
        handler = partial(Handler, Asking(client), scrape_interval)
        with ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
            yield server


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m grafana.preview")
    parser.add_argument("--prometheus", default="http://localhost:9090", metavar="URL")
    parser.add_argument("--scrape-interval", type=float, default=15.0, metavar="SECONDS")
    parser.add_argument("--port", type=int, default=3001)
    options = parser.parse_args(arguments)
    with preview(
        options.prometheus, scrape_interval=options.scrape_interval, port=options.port
    ) as running:
        sys.stdout.write(f"http://127.0.0.1:{running.server_port}/?dashboard=fleet\n")
        sys.stdout.flush()
        running.serve_forever()


if __name__ == "__main__":
    main()
