"""
`healthy`: check whether the exporter on this machine answers, for images without a shell.

It imports as little as possible: it runs every 30 s within the exporter's memory limit.
"""

from __future__ import annotations

import argparse
import http.client
import os
import ssl
import sys
from collections.abc import Mapping

from exporter.cli.conventions import ExitCode
from exporter.cli.terminal import say
from exporter.settings import ListenAddress, load_listen_address

EXAMPLE = "healthy"

_PATH = "/-/healthy"
_PATIENCE_SECONDS = 4.0
# An empty host is all addresses; a wildcard address cannot be connected to.
_LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - looked up only


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    for option in ("config_file", "listen_address"):
        name = f"--{option.replace('_', '-')}"
        command.add_argument(name, metavar="VALUE", help="as given to the exporter")


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Run the command."""
    given = {"config_file": options.config_file, "listen_address": options.listen_address}
    return healthy(environ, {name: value for name, value in given.items() if value is not None})


def healthy(environ: Mapping[str, str], overrides: Mapping[str, str]) -> ExitCode:
    """
    Request the health path of the exporter with these settings.

    Other errors in them are ignored: a running exporter keeps its previous configuration.
    """
    try:
        address = load_listen_address(environ, overrides)
    except ValueError as error:
        say(f"listen_address {error}")
        return ExitCode.CONFIGURATION
    problem = _problem(address)
    if problem is None:
        return ExitCode.OK
    say(f"{address}: {problem}")
    return ExitCode.HUB_FAILED


def _problem(address: ListenAddress) -> str | None:
    """Return why the server is not healthy, None if it is; tries HTTP, then TLS."""
    where = _LOOPBACK.get(address.host, address.host), address.port
    try:
        return _answer(http.client.HTTPConnection(*where, timeout=_PATIENCE_SECONDS))
    except http.client.HTTPException:
        # A TLS server answers plain HTTP with an alert, or hangs up.
        return _problem_of_encrypted(*where)
    except ConnectionResetError:
        return _problem_of_encrypted(*where)
    except OSError as error:
        return str(error)


def _problem_of_encrypted(host: str, port: int) -> str | None:
    # No secret is sent, so the certificate need not be verified.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPSConnection(host, port, timeout=_PATIENCE_SECONDS, context=context)
    try:
        return _answer(connection)
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionResetError, BrokenPipeError):
        # Refused for want of a client certificate: the server is up.
        return None
    except (OSError, http.client.HTTPException) as error:
        return str(error)


def _answer(connection: http.client.HTTPConnection) -> str | None:
    try:
        connection.request("GET", _PATH)
        status = connection.getresponse().status
    finally:
        connection.close()
    return None if status == http.client.OK else f"{_PATH} answered {status}"


if __name__ == "__main__":
    sys.exit(healthy(os.environ, {}))
