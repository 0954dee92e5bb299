"""Every event that is logged stands in `docs/logs.md` with its level and keys, and nothing else."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXPORTER = ROOT / "exporter"
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
# What is pure logs nothing, and has events of histories.
SILENT = {"diagnosis", "ledger"}
MODULES = [path for path in sorted(EXPORTER.rglob("*.py")) if SILENT.isdisjoint(path.parts)]


@dataclass(slots=True)
class Logged:
    """What the calls that log one event say."""

    levels: set[str] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def log_calls(tree: ast.AST) -> Iterator[tuple[ast.Call, str]]:
    """Yield the calls of loggers, with their level."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        owner = node.func.value
        name = owner.id if isinstance(owner, ast.Name) else getattr(owner, "attr", "")
        if name.strip("_") == "log" and node.func.attr in LEVELS:
            yield node, node.func.attr


def is_name_of_event(argument: ast.arg) -> bool:
    """Tell whether an argument is the text of an event to log; histories have events too."""
    kind = argument.annotation
    return argument.arg == "event" and isinstance(kind, ast.Name) and kind.id == "str"


def constants() -> dict[str, str]:
    """Return the texts of all upper-case names of modules; a name means one text."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in MODULES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if (
                isinstance(node, ast.Assign)
                and isinstance(node.targets[0], ast.Name)
                and isinstance(node.value, ast.Constant)
                and isinstance(node.value.value, str)
            ):
                found[node.targets[0].id].add(node.value.value)
    return {name: texts.pop() for name, texts in found.items() if len(texts) == 1}


def logged() -> dict[str, Logged]:
    """Return what the code logs, by event."""
    texts = constants()
    events: dict[str, Logged] = defaultdict(Logged)
    passing: dict[str, Logged] = {}
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in MODULES]
    for tree in trees:
        for function in functions(tree):
            if any(is_name_of_event(each) for each in function.args.args):
                passing.setdefault(function.name, Logged())
            for call, method in log_calls(function):
                event = call.args[0]
                assert isinstance(event, ast.Name), f"{ast.unparse(call)}: not a constant"
                into = passing[function.name] if event.id == "event" else events[texts[event.id]]
                into.levels.add("error" if method == "exception" else method)
                into.keys |= {each.arg or "**" for each in call.keywords}
                into.keys |= {"exception"} if method == "exception" else set()
    for _ in passing:
        for name, caller, argument in passed(trees, set(passing)):
            if argument == "event":
                passing[caller].levels |= passing[name].levels
                passing[caller].keys |= passing[name].keys
            elif argument in texts:
                events[texts[argument]].levels |= passing[name].levels
                events[texts[argument]].keys |= passing[name].keys
    return events


def passed(trees: list[ast.Module], takers: set[str]) -> Iterator[tuple[str, str, str]]:
    """Yield which function that takes an event is called where, and with which name."""
    for tree in trees:
        for function in functions(tree):
            for node in ast.walk(function):
                if isinstance(node, ast.Call):
                    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                    if name in takers:
                        for argument in node.args:
                            if isinstance(argument, ast.Name):
                                yield name, function.name, argument.id


def documented() -> dict[str, tuple[str, set[str]]]:
    page = (ROOT / "docs" / "logs.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([^`]+)` \| (\w+) \| ([^|]*) \| [^|]+ \|$", page, re.MULTILINE)
    assert len(rows) == len({event for event, *_ in rows})
    return {event: (level, set(re.findall(r"`(\w+)`", keys))) for event, level, keys in rows}


def test_every_event_is_a_constant_and_documented_with_its_level_and_keys() -> None:
    code = {event: (each.levels, each.keys) for event, each in logged().items()}
    assert len(code) > 15
    assert code == {event: ({level}, keys) for event, (level, keys) in documented().items()}
