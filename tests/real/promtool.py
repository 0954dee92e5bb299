"""The verdict of the real promtool."""

import subprocess

from tests.tools import tool


class Findings(AssertionError):
    """What promtool objects to, in its own words."""


def check_metrics(text: bytes) -> None:
    """Lint an exposition in the classic text format; raises `Findings` if there are any."""
    command = [str(tool("promtool")), "check", "metrics"]
    done = subprocess.run(command, input=text, capture_output=True, timeout=60, check=False)
    if done.returncode:
        raise Findings((done.stderr + done.stdout).decode())
