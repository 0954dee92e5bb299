"""Mutants of alerts, each with one thing wrong, and which of them cases find."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

from exporter.alerts.model import Alert, Kind, Parameter
from exporter.alerts.prometheus import Document, rule
from exporter.alerts.table import DEFAULTS
from exporter.settings.durations import parse_duration
from tests.alerts.cases import BY_NAME, Tried
from tests.alerts.promtool_rules import findings

FACTOR = 4
_SELECTOR = re.compile(r"\b(durable_functions\w+)\{([^}]*)\}")
_HUB = r"task_hub, cluster, namespace, job"
_GUARD = re.compile(
    rf"\s*and on \({_HUB}, instance, pod\)"
    r" durable_functions_exporter_sweep_fresh\{sweep=\"\w+\"\} == 1"
)
_HOLD = re.compile(r"\nor on \([^)]*\)\n\(\n  max without \(alertname.*", re.DOTALL)
_OWNERS = re.compile(
    rf"\n\* on \({_HUB}\) group_left \(owner, team\) durable_functions:hub_info:max"
)
_FOLD = re.compile(r"\b(?:max|min|group) without \(instance, pod")


def mutants(alert: Alert) -> Iterator[tuple[str, Document]]:
    """Yield the title of each mutant, and its rule."""
    for parameter in alert.own_parameters:
        for value in _others(parameter):
            yield f"{parameter.name}={value}", rule(alert, {**DEFAULTS, parameter.name: value})
    shipped = rule(alert)
    expression = cast("str", shipped["expr"])
    for title, changed in _of_expression(expression):
        if changed != expression:
            yield title, {**shipped, "expr": changed}
    labels = cast("Mapping[str, str]", shipped["labels"])
    yield "no severity", {**shipped, "labels": {**labels, "severity": "none"}}
    if alert.cause_labels:
        yield "causes are labels", {**shipped, "labels": {"severity": labels["severity"]}}
    if "keep_firing_for" in shipped:
        yield "no keep_firing_for", {**shipped, "keep_firing_for": "0s"}


def _others(parameter: Parameter) -> Iterator[str]:
    if parameter.kind is Kind.DURATION:
        seconds = parse_duration(parameter.default)
        yield f"{seconds * FACTOR or 600:.0f}s"
        if seconds:
            yield "0s" if parameter.name.endswith("_for") else f"{seconds / FACTOR:.0f}s"
    else:
        number = float(parameter.default)
        yield f"{number * FACTOR or FACTOR * 10:g}"
        if number:
            yield f"{number / FACTOR:g}"


def _of_expression(expression: str) -> Iterator[tuple[str, str]]:
    for family, matcher in _matchers(expression):
        yield f"{family} without {matcher}", _without(expression, family, matcher)
    yield "old data counts", _GUARD.sub("", expression)
    yield "no hold", _HOLD.sub("", expression)
    yield "no owners", _OWNERS.sub("", expression)
    yield "namesakes are one", expression.replace(", cluster, namespace, job", "")
    yield "replicas add up", _FOLD.sub("sum without (instance, pod", expression)


def _matchers(expression: str) -> list[tuple[str, str]]:
    """Return every matcher of every family, once."""
    found = (
        (selector[1], matcher)
        for selector in _SELECTOR.finditer(expression)
        for matcher in selector[2].split(", ")
    )
    return list(dict.fromkeys(found))


def _without(expression: str, family: str, matcher: str) -> str:
    def changed(selector: re.Match[str]) -> str:
        if selector[1] != family:
            return selector[0]
        kept = ", ".join(other for other in selector[2].split(", ") if other != matcher)
        return f"{family}{{{kept}}}" if kept else family

    return _SELECTOR.sub(changed, expression)


def excused(alert: str, survivors: Collection[str], *, hourly: bool = False) -> set[str]:
    """
    Return those *survivors* that need not be found.

    Such as do what the alert does; a window that is longer than it must be, if a shorter one is
    found, or the other way round; and what cannot be seen where rules are evaluated *hourly*, which
    is the same for all alerts.
    """
    same = {title for title in survivors if (alert, title) in EQUIVALENT}
    windows = {
        parameter.name for parameter in BY_NAME[alert].parameters if parameter.kind is Kind.DURATION
    }
    once = [title for title in survivors if title.partition("=")[0] in windows]
    names = [title.partition("=")[0] for title in once]
    unseen = {title for title in survivors if hourly and _MINUTES.search(title)}
    return (
        same
        | unseen
        | {title for title, name in zip(once, names, strict=True) if names.count(name) == 1}
    )


_MINUTES = re.compile(
    r"_for=[1-9]|^no hold$|^no keep_firing_for$|^durable_functions_exporter_sweep_"
)
_KNOWN = "durable_functions_instances_finished_total"
_FAILING = "OrchestrationsFailing"
EQUIVALENT = {
    # Only whether something is there counts, or whether it is 0.
    *(
        (alert, "replicas add up")
        for alert in ("ManyHubsUnreachable", "ExporterDown", "ShardMissing")
    ),
    # What is known of an orchestrator has each status.
    *((alert, f'{_KNOWN} without runtime_status="Completed"') for alert in ("NoSuccess", _FAILING)),
    # What it is matched with leaves these out.
    *(
        (alert, f"durable_functions_limit_seconds without {matcher}")
        for alert in (
            "HubStalled",
            "PendingStuck",
            "OrchestrationStalled",
            "PurgeNotKeepingUp",
            "NoSuccess",
        )
        for matcher in ('orchestrator!=""', 'orchestrator!="_other"')
    ),
    *(
        (_FAILING, f"durable_functions_{family} without {matcher}")
        for family in ("limit_ratio", "limit_instances", "failure_ratio")
        for matcher in ('orchestrator!=""', 'orchestrator!="_other"')
    ),
    *(
        ("DeploymentBroken", f'durable_functions_{family} without orchestrator!="_other"')
        for family in (
            "last_finished_timestamp_seconds",
            "failure_reasons_total",
            "instances_continued_total",
        )
    ),
    (
        "NoSuccess",
        'durable_functions_last_finished_timestamp_seconds without orchestrator!="_other"',
    ),
    (_FAILING, f'{_KNOWN} without orchestrator!="_other"'),
    (_FAILING, 'durable_functions_unresolved_failures without orchestrator!="_other"'),
    # What failed within an hour failed within a day.
    (_FAILING, 'durable_functions_recent_finished_instances without window="24h"'),
    # There is no other limit yet.
    (_FAILING, 'durable_functions_limit_ratio without limit="failure_ratio"'),
    (_FAILING, 'durable_functions_limit_instances without limit="unresolved_failures"'),
}


# Most mutants are found by short cases, so that few are tried on those that take hours.
LONG = 3600.0
_TAG = re.compile(r"__(m\d+)\b")
# Where a rule cannot be evaluated, `promtool` gives up the case, and with it all other rules.
_FAILS = re.compile(r"rule: \w+?__(m\d+), time: .*, err: ")


def found_mutants(shipped: Tried, mutants: Mapping[str, Document], folder: Path) -> set[str]:
    """Return the titles of the *mutants* that are found, and `shipped` if the rule itself is."""
    short = [case for case in shipped.cases if case.lasts <= LONG]
    long = [case for case in shipped.cases if case.lasts > LONG]
    found: set[str] = set()
    for cases in (short, long):
        left = {title: rule for title, rule in mutants.items() if title not in found}
        if cases:
            found |= _found_by(replace(shipped, cases=cases), left, folder)
    return found


def _found_by(shipped: Tried, mutants: Mapping[str, Document], folder: Path) -> set[str]:
    every = {"shipped": shipped.rules[""], **mutants}
    left = {f"m{number}": title for number, title in enumerate(every)}
    found: set[str] = set()
    while left:
        rules = {f"__{tag}": every[title] for tag, title in left.items()}
        path = replace(shipped, rules=rules).write(folder, "mutants")
        text = findings([path])[path]
        failing = set(_FAILS.findall(text))
        found |= {left.pop(tag) for tag in failing or set(_TAG.findall(text))}
        if not failing:
            break
    return found
