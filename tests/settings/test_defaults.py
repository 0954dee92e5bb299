"""A default is written once, in the field of its setting: what is built from settings has none."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from exporter.settings.schema import Place, document

EXPORTER = Path(__file__).parents[2] / "exporter"
OUTSIDE = [path for path in EXPORTER.rglob("*.py") if path.parent.name != "settings"]
# No value at all: nothing, or off.
NOTHING = (None, 0, 0.0, "", False)


def names(place: Place) -> Iterator[str]:
    for name, below in (place.members or {}).items():
        yield name
        yield from names(below)


SETTINGS = frozenset(names(document()))


def trees() -> Iterator[ast.Module]:
    for path in OUTSIDE:
        yield ast.parse(path.read_text(encoding="utf-8"))


def is_setting(node: ast.AST) -> bool:
    """Return whether an expression reads a setting: `hub.max_pages`, `hub.retries.backoff`."""
    return any(
        isinstance(each, ast.Attribute)
        and each.attr in SETTINGS
        and {getattr(each.value, "id", ""), getattr(each.value, "attr", "")}
        & {"hub", "_hub", "settings", "retries", "timeouts", "intervals", "buckets", "metrics"}
        for each in ast.walk(node)
    )


def given_settings() -> set[tuple[str, str]]:
    """Return the classes and functions that take a setting, with the parameters."""
    found: set[tuple[str, str | None]] = set()
    for tree in trees():
        for call in ast.walk(tree):
            if isinstance(call, ast.Call):
                name = getattr(call.func, "id", getattr(call.func, "attr", ""))
                found |= {(name, word.arg) for word in call.keywords if is_setting(word.value)}
                found |= {(name, str(n)) for n, value in enumerate(call.args) if is_setting(value)}
    return {(name, parameter) for name, parameter in found if parameter is not None}


def literal_defaults() -> Iterator[tuple[str, str, ast.expr]]:
    """Yield each parameter with a default, by its name and by its number."""
    for tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                fields = [each for each in node.body if isinstance(each, ast.AnnAssign)]
                for number, field in enumerate(fields):
                    if field.value is not None and isinstance(field.target, ast.Name):
                        yield node.name, field.target.id, field.value
                        yield node.name, str(number), field.value
                for method in node.body:
                    if isinstance(method, ast.FunctionDef) and method.name == "__init__":
                        yield from of_function(node.name, method, first=1)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield from of_function(node.name, node, first=0)


def of_function(
    name: str, node: ast.FunctionDef | ast.AsyncFunctionDef, first: int
) -> Iterator[tuple[str, str, ast.expr]]:
    arguments = node.args
    without = len(arguments.args) - len(arguments.defaults)
    for number, value in enumerate(arguments.defaults, start=without):
        yield name, arguments.args[number].arg, value
        yield name, str(number - first), value
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        if default is not None:
            yield name, argument.arg, default


def has_a_value(default: ast.expr) -> bool:
    """Return whether a default is a literal value other than empty."""
    try:
        value = ast.literal_eval(default)
    except ValueError:
        # A number in it that is not of a setting, as in 8 << 20.
        numbers = [each for each in ast.walk(default) if isinstance(each, ast.Constant)]
        return any(isinstance(each.value, int | float) and each.value for each in numbers)
    return value not in NOTHING and value != ()


def test_nothing_that_is_given_a_setting_has_a_default_of_its_own() -> None:
    given = given_settings()
    assert {("LedgerRules", "max_series"), ("RequestLimits", "page_bytes")} <= given
    assert ("RetryPolicy", "0") in given
    twice = {
        f"{name}.{parameter} = {ast.unparse(default)}"
        for name, parameter, default in literal_defaults()
        if (name, parameter) in given and has_a_value(default)
    }
    assert twice == set()
