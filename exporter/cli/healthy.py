"""
`healthy`: whether the exporter of this machine answers, for health checks without a shell.

It loads as little as it can: it runs every half minute, within the exporter's own memory limit.
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
# An empty host is all addresses; a wildcard can be listened on, not called.
_LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - looked up only


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    for option in ("config_file", "listen_address"):
        name = f"--{option.replace('_', '-')}"
        command.add_argument(name, metavar="VALUE", help="as of the exporter that is asked")


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Run the command."""
    said = {"config_file": options.config_file, "listen_address": options.listen_address}
    return healthy(environ, {name: value for name, value in said.items() if value is not None})


def healthy(environ: Mapping[str, str], overrides: Mapping[str, str]) -> ExitCode:
    """
    Ask the exporter that has these settings whether it is healthy.

    Whatever else is wrong in them does not matter: a configuration that it refused while it runs
    is not the one in force.
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
    """Return why the server is not healthy, whether it speaks TLS or not; None if it is."""
    where = _LOOPBACK.get(address.host, address.host), address.port
    try:
        return _answer(http.client.HTTPConnection(*where, timeout=_PATIENCE_SECONDS))
    except http.client.HTTPException:
        # Not HTTP: it wants encryption, and says so in TLS or by hanging up.
        return _problem_of_encrypted(*where)
    except ConnectionResetError:
        return _problem_of_encrypted(*where)
    except OSError as error:
        return str(error)


def _problem_of_encrypted(host: str, port: int) -> str | None:
    # It is asked whether it is there, and told nothing: whose certificate it has does not matter.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPSConnection(host, port, timeout=_PATIENCE_SECONDS, context=context)
    try:
        return _answer(connection)
    except (ssl.SSLEOFError, ConnectionResetError, BrokenPipeError):
        # Who has no certificate that is wanted is turned away like this; who does that is there.
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
