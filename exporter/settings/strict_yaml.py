"""Strict YAML: a key that is duplicate or not text is an error."""

from __future__ import annotations

import re
from collections.abc import Hashable

import yaml

_TAG = "tag:yaml.org,2002:"
_TAGS = ("bool", "float", "int", "map", "null", "seq", "str", "timestamp")
# Aliases can make a short text expand without bound.
_MAX_NODES = 100_000
# PyYAML quotes content of the file, which may be a secret.
_QUOTED = re.compile(r"""(['"]).*\1""", re.DOTALL)


class NotYaml(Exception):
    """The text is not YAML; the message says where, and shows none of it."""


class _StrictLoader(yaml.SafeLoader):
    """Collects duplicate keys and keys that are not text in `problems`, with their lines."""

    yaml_constructors = {  # noqa: RUF012 - as the base class has it
        tag: yaml.SafeLoader.yaml_constructors[tag]
        for tag in (None, *(f"{_TAG}{name}" for name in _TAGS))
    }

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.problems: list[tuple[int, str]] = []

    def construct_object(self, node: yaml.Node, deep: bool = False) -> object:
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, LookupError, AttributeError):
            raise yaml.constructor.ConstructorError(
                problem="a value does not fit its type", problem_mark=node.start_mark
            ) from None

    def construct_mapping(
        self, node: yaml.MappingNode, deep: bool = False
    ) -> dict[Hashable, object]:
        if isinstance(node, yaml.MappingNode):
            node.value = self._usable(node)
        return super().construct_mapping(node, deep=deep)

    def _usable(self, node: yaml.MappingNode) -> list[tuple[yaml.Node, yaml.Node]]:
        """Return the valid keys with their values; record the others."""
        seen: set[str] = set()
        kept = []
        for key, value in node.value:
            problem = _problem_of(key, seen)
            if problem is None:
                kept.append((key, value))
            else:
                self.problems.append((key.start_mark.line + 1, problem))
        return kept


def read_yaml(text: str) -> tuple[object, list[tuple[int, str]]]:
    """
    Return the content of *text*, None if it is empty, and its problems by line.

    Raises:
        NotYaml: it cannot be read as a whole.
    """
    try:
        loader = _StrictLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None, []
        if _size(node, {}) > _MAX_NODES:
            raise NotYaml(f"has more than {_MAX_NODES} values, aliases included: shorten it")
        return loader.construct_document(node), loader.problems
    except yaml.YAMLError as error:
        raise NotYaml(f"is not YAML ({_reason(error)}): correct it there") from None
    except RecursionError:
        raise NotYaml("is nested too deeply, or in itself: make it flat") from None


def _size(node: yaml.Node, sizes: dict[int, int | None]) -> int:
    """
    Return the number of values in *node*; *sizes* caches those of other nodes.

    Raises:
        RecursionError: it contains itself, or is nested too deeply.
    """
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) in sizes:
        size = sizes[id(node)]
        if size is None:
            raise RecursionError
        return size
    sizes[id(node)] = None
    pairs = node.value if isinstance(node, yaml.MappingNode) else [node.value]
    size = 1 + sum(_size(below, sizes) for pair in pairs for below in pair)
    sizes[id(node)] = size
    return size


def _problem_of(key: yaml.Node, seen: set[str]) -> str | None:
    """Return the problem of a key, None if it is valid; add it to *seen*."""
    if key.tag == f"{_TAG}merge":
        return None
    if key.tag != f"{_TAG}str" or not isinstance(key, yaml.ScalarNode):
        return "a key is not text: put it in quotes"
    if key.value in seen:
        return "duplicate key: remove one"
    seen.add(key.value)
    return None


def _reason(error: yaml.YAMLError) -> str:
    """Return line and reason without content of the file, which may be a key."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        reason = _QUOTED.sub("...", error.problem or "it cannot be read")
        return f"line {error.problem_mark.line + 1}: {reason}"
    return "it holds characters that YAML does not allow"
