"""`rules`: print the alerts as files for Prometheus, Alertmanager and Grafana."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import yaml
from rich.table import Table

from exporter.alerts.grafana import provisioning
from exporter.alerts.inhibition import inhibition
from exporter.alerts.model import PREFIX, Parameter
from exporter.alerts.own_rules import problems_of
from exporter.alerts.prometheus import rules
from exporter.alerts.shared import SHARED
from exporter.alerts.table import (
    ALERTS,
    FORMER_ALERTS,
    FORMER_PARAMETERS,
    WrongRules,
    full_names,
    remark_on,
    values_with,
)
from exporter.cli.conventions import ExitCode
from exporter.cli.terminal import console, markup, say, table

EXAMPLE = "rules > rules.yaml"

Names = Collection[str]
Writing = Callable[[Mapping[str, str], Names, Names], str]

_FORMATS: Mapping[str, Writing] = {
    "prometheus": lambda values, out, opted: rules(values, without=out, opted=opted),
    "grafana": lambda values, out, opted: provisioning(values, without=out, opted=opted),
    "inhibition": lambda values, _out, _opted: inhibition(values),
}


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of `rules`."""
    command.add_argument(
        "--format",
        choices=tuple(_FORMATS),
        default="prometheus",
        help="rules for Prometheus, for Grafana alerting, or inhibition rules for Alertmanager",
    )
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="PARAMETER=VALUE",
        type=_assignment,
        help="a parameter, such as hub_unreachable_for=10m; repeatable",
    )
    command.add_argument(
        "--disable", nargs="+", action="extend", default=[], metavar="ALERT", help="alerts to omit"
    )
    command.add_argument(
        "--enable",
        nargs="+",
        action="extend",
        default=[],
        metavar="ALERT",
        help="opt-in alerts to add",
    )
    command.add_argument(
        "--list", action="store_true", help="list alerts and parameters with reasons"
    )
    command.add_argument(
        "--check",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="find removed names in your own rules or dashboards (YAML, JSON)",
    )


def run(options: argparse.Namespace, _environ: Mapping[str, str]) -> ExitCode:
    """Run the command."""
    try:
        values = values_with(dict(options.set))
        without = full_names(options.disable)
        opted = full_names(options.enable)
    except WrongRules as error:
        for problem in error.problems:
            say(problem)
        return ExitCode.CONFIGURATION
    if options.check:
        return _check(options.check)
    for remark in _remarks([*options.disable, *options.enable], dict(options.set)):
        say(remark)
    if options.list:
        _show(values, without)
    else:
        print(_FORMATS[options.format](values, without, opted), end="")
    return ExitCode.OK


def _check(files: Iterable[Path]) -> ExitCode:
    """Print the removed names in the *files* of users, a line each."""
    code = ExitCode.OK
    for file in files:
        try:
            # A file may have several documents; JSON is YAML, too.
            documents = list(yaml.safe_load_all(file.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            say(f"cannot read {str(file)!r}: {error}")
            code = ExitCode.CONFIGURATION
            continue
        for where, text in _texts(documents[0] if len(documents) == 1 else documents):
            for problem in problems_of(text):
                print(f"{file}: {where}: {problem}")
                code = code or ExitCode.NOT_FOUND
    return code


def _texts(node: object, where: str = "") -> Iterator[tuple[str, str]]:
    """Yield all texts of a document with their places, such as `groups[0].rules[2].expr`."""
    if isinstance(node, str):
        yield where, node
    elif isinstance(node, Mapping):
        for key, value in node.items():
            yield from _texts(value, f"{where}.{key}".lstrip("."))
    elif isinstance(node, Sequence):
        for number, value in enumerate(node):
            yield from _texts(value, f"{where}[{number}]")


def _remarks(alerts: Iterable[str], parameters: Iterable[str]) -> Iterable[str]:
    for name in alerts:
        short = name.removeprefix(PREFIX)
        if short in FORMER_ALERTS:
            yield remark_on(name, FORMER_ALERTS[short])
    for name in parameters:
        if name in FORMER_PARAMETERS:
            yield remark_on(name, FORMER_PARAMETERS[name])


def _assignment(text: str) -> tuple[str, str]:
    parameter, separator, value = text.partition("=")
    if not separator or not parameter:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form PARAMETER=VALUE")
    return parameter, value


def _show(values: Mapping[str, str], without: Collection[str]) -> None:
    alerts = table("alert", "severity", "for", "shipped", "fires when", folds=("fires when",))
    parameters = table("parameter", "value", "of", "reason", folds=("reason",))
    _add(parameters, SHARED, values, "all")
    for alert in ALERTS:
        if alert.full_name not in without:
            shipped = "opt-in" if alert.opt_in else "yes"
            alerts.add_row(
                alert.name, alert.severity, values[alert.wait.name], shipped, markup(alert.when)
            )
            _add(parameters, alert.own_parameters, values, alert.name)
    for lines in (alerts, parameters):
        console().print(lines)
        console().print()


def _add(
    lines: Table, parameters: Iterable[Parameter], values: Mapping[str, str], owner: str
) -> None:
    for one in parameters:
        lines.add_row(one.name, markup(values[one.name]), owner, markup(one.reason))
