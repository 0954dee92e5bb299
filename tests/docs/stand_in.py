"""
`durable-exporter` as pages call it: the real command, but for what would run for good.

Servers are ended once they listen, and an emulator has little traffic; a wait for an orchestrator
is one look. What many pages ask in the same words is asked once, and answered from what was said
then.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

COMMAND = (sys.executable, "-m", "exporter")
SERVERS = {
    "serve": ("listening", ["--listen-address", "127.0.0.1:0"]),
    "emulator": ("http://", ["--port", "0", "--rate", "0.01"]),
}
# Codes that answer the question: nothing is in flight or something is; there is no such instance.
ANSWERS = {"drain": (0, 3), "why": (0, 4)}


def main(arguments: list[str]) -> int:
    """Run the command and return 0 where it did what the page promises."""
    name = arguments[0] if arguments and not arguments[0].startswith("--") else "serve"
    if arguments == ["--version"]:
        return subprocess.run([*COMMAND, *arguments], check=False).returncode
    if name == "demo":
        # Its own test runs it; here only its options are looked at.
        return subprocess.run([*COMMAND, *arguments, "--help"], check=False).returncode
    if name in SERVERS and "--rehearse" not in arguments:
        return _serve(name, arguments)
    if name == "record":
        # For a moment, whatever the page says.
        arguments = [*arguments, "--for", "1s"]
    return _ask(name, [each for each in arguments if each != "--wait"])


def _ask(name: str, arguments: list[str]) -> int:
    writes = name == "record" or "--output" in arguments or "--output-dir" in arguments
    said = _answer_to(arguments)
    if writes or not said.exists():
        done = subprocess.run([*COMMAND, *arguments], stdout=subprocess.PIPE, check=False)
        if done.returncode not in ANSWERS.get(name, (0,)):
            sys.stdout.buffer.write(done.stdout)
            return done.returncode
        unfinished = said.with_suffix(f".{os.getpid()}")
        unfinished.write_bytes(done.stdout)
        unfinished.replace(said)
    sys.stdout.buffer.write(said.read_bytes())
    return 0


def _answer_to(arguments: list[str]) -> Path:
    """Return the file with what was said to this, in the same environment."""
    own = sorted(item for item in os.environ.items() if item[0].startswith("DURABLE_EXPORTER_"))
    question = repr((arguments, own, Path.cwd() if "config" in repr((arguments, own)) else ""))
    name = hashlib.sha256(question.encode()).hexdigest()
    return Path(os.environ["STAND_IN_ANSWERS"]) / name


def _serve(name: str, arguments: list[str]) -> int:
    ready, options = SERVERS[name]
    process = subprocess.Popen(
        [*COMMAND, *arguments, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    heard = ""
    for line in process.stdout:
        heard += line
        if ready in line:
            process.send_signal(signal.SIGTERM)
            process.communicate()
            return 0
    sys.stderr.write(heard)
    return process.wait() or 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
