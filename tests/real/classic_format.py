"""Scrapes in the classic text format, for a Prometheus that would rather have OpenMetrics."""

import http.client
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

CLASSIC = "text/plain;version=0.0.4"
OWN_HEADERS = frozenset({"accept", "connection", "host"})
PASSED_BACK = ("Content-Type", "Content-Encoding")


@contextmanager
def classic_format(address: str) -> Iterator[str]:
    """
    Give the target at `address` a second address, where it is only ever asked for classic text.

    Scrapes go through a proxy that replaces the Accept header and changes nothing else: Prometheus
    has a setting for this (`scrape_protocols`) only from 2.49 on.
    """

    class Handler(_Handler):
        target = address

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    target: str
    timeout = 10.0

    def do_GET(self) -> None:
        try:
            answer, body = self._ask_target()
        except (OSError, http.client.HTTPException) as error:
            self.send_error(HTTPStatus.BAD_GATEWAY, explain=str(error))
            return
        self.send_response(answer.status)
        for name in PASSED_BACK:
            if (value := answer.getheader(name)) is not None:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _ask_target(self) -> tuple[http.client.HTTPResponse, bytes]:
        headers = {k: v for k, v in self.headers.items() if k.lower() not in OWN_HEADERS}
        connection = http.client.HTTPConnection(self.target, timeout=self.timeout)
        try:
            connection.request("GET", self.path, headers={**headers, "Accept": CLASSIC})
            answer = connection.getresponse()
            return answer, answer.read()
        finally:
            connection.close()

    def log_message(self, *_: object) -> None:
        """Say nothing: a failed scrape is in what Prometheus says of its target."""
