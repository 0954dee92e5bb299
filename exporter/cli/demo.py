"""`demo`: an emulator and an exporter that polls it, in one process."""

from __future__ import annotations

import argparse
import secrets
import tempfile
from collections.abc import Mapping
from functools import partial

import anyio

from emulator import RealClock, TaskHub, running, truth
from emulator.scenarios.play import play
from emulator.scenarios.scenario import load_scenario
from exporter.cli.conventions import ExitCode
from exporter.cli.logs import set_up_logging
from exporter.cli.process import outcome_of
from exporter.cli.serve import serve
from exporter.settings import Settings, load_settings
from exporter.web.sockets import bind

EXAMPLE = "demo"

HUB = "OrdersHub"
SCENARIO = "demo"
OPTIONS = {
    "intervals.active": "5s",
    "intervals.entities": "10s",
    "intervals.census": "30s",
    "counter_hold": "15s",
    "max_pages_per_day": "1000000",
    "limits.orchestrators.ApprovalWorkflow.age": "3d",
    "limits.orchestrators.CleanupMonitor.idle": "30m",
    "limits.orchestrators.NightlyReport.age": "2h",
    "limits.orchestrators.NightlyReport.idle": "30m",
    "limits.orchestrators.PaymentSaga.age": "1h",
    "limits.orchestrators.PaymentSaga.idle": "30s",
    "limits.orchestrators.PaymentSaga.success": "30m",
    "limits.orchestrators.ProcessOrder.age": "30m",
    "limits.orchestrators.ProcessOrder.idle": "1m",
    "limits.orchestrators.ProcessOrder.success": "10m",
    "limits.orchestrators.ProcessOrder.retention": "12h",
    "limits.orchestrators.TransferFunds.idle": "5m",
}


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of `demo`."""
    command.add_argument(
        "--listen-address", default="127.0.0.1:10771", metavar="HOST:PORT", help="(%(default)s)"
    )
    command.add_argument("--seed", type=int, default=1, help="(%(default)s)")


def run(options: argparse.Namespace, _environ: Mapping[str, str]) -> ExitCode:
    """Run the command."""
    return outcome_of(partial(_run, options))


def _run(options: argparse.Namespace) -> ExitCode:
    with tempfile.TemporaryDirectory(prefix="durable-exporter-demo-") as state_dir:
        anyio.run(_demo, options.listen_address, options.seed, state_dir)
    return ExitCode.OK


async def _demo(listen_address: str, seed: int, state_dir: str) -> None:
    key = secrets.token_urlsafe()
    address = _settings("http://127.0.0.1", key, listen_address, state_dir).listen_address
    # Fail before the scenario is played, which takes seconds.
    bind(address.host, address.port).close()
    emulator = play(load_scenario(SCENARIO), RealClock(), seed=seed, system_key=key)
    async with running(emulator) as url:
        settings = _settings(url, key, listen_address, state_dir)
        set_up_logging(settings.log_level, settings.log_format)
        await serve(settings, listening=partial(_print_banner, url, emulator.hubs[HUB.lower()]))


def _settings(url: str, key: str, listen_address: str, state_dir: str) -> Settings:
    """Return the exporter's settings, without the environment, which may be a real exporter's."""
    given = {
        "url": url,
        "task_hub": HUB,
        "key": key,
        "listen_address": listen_address,
        "state_dir": state_dir,
        "log_level": "error",
        "log_format": "console",
        "metrics.exemplars": "true",
        "web.instance_pages": "true",
    }
    return load_settings({}, {**given, **OPTIONS})


def _print_banner(emulator_url: str, hub: TaskHub, settings: Settings, port: int) -> None:
    url = f"http://{settings.listen_address.host or '127.0.0.1'}:{port}"
    now = truth(hub)
    instances = sum(now.instances.values())
    orchestrators = len({name for name, _ in now.instances})
    print(
        f"""\
An emulated function app and an exporter that polls it are running. Nothing leaves this machine.

  status page       {url}/
  metrics           {url}/metrics
  the emulated API  {emulator_url}/runtime/webhooks/durabletask (with a new key each time)

What to expect, within half a minute:
  {instances} instances of {orchestrators} orchestrators; some fail now and then, PaymentSaga most
  often; TransferFunds is stuck in Pending, some ApprovalWorkflow instances wait
  for more than an hour;
  {sum(now.entities.values())} entities, one of them locked and with a backlog, soon another one
  whose holder was terminated.
Counters start at 0: what finished before the exporter's first contact is history.

Stop with Ctrl-C.""",
        flush=True,
    )
