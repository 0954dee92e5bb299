"""YAML, read strictly: a key that comes twice or is not text is a mistake, not a choice."""

from __future__ import annotations

from collections.abc import Hashable

import yaml


class NotYaml(Exception):
    """The text cannot be read as YAML; the message says where, and shows none of it."""


class _StrictLoader(yaml.SafeLoader):
    """Notes keys that are not text and keys that come twice in `problems`, with their lines."""

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
        seen: set[str] = set()
        kept = []
        for key, value in node.value:
            problem = _problem_of(key, seen)
            if problem is None:
                kept.append((key, value))
            else:
                self.problems.append((key.start_mark.line + 1, problem))
        node.value = kept
        return super().construct_mapping(node, deep=deep)


def read_yaml(text: str) -> tuple[object, list[tuple[int, str]]]:
    """
    Return what *text* says, and which of its lines are mistaken; None if it says nothing.

    Raises:
        NotYaml: it cannot be read as a whole.
    """
    try:
        loader = _StrictLoader(text)
        return loader.get_single_data(), loader.problems
    except yaml.YAMLError as error:
        raise NotYaml(f"is not YAML ({_reason(error)}): correct it there") from None
    except RecursionError:
        raise NotYaml("is nested too deeply, or in itself: make it flat") from None


def _problem_of(key: yaml.Node, seen: set[str]) -> str | None:
    """Say what is wrong with a key, and note it as seen; None if it can be used."""
    if key.tag == "tag:yaml.org,2002:merge":
        return None
    if key.tag != "tag:yaml.org,2002:str" or not isinstance(key, yaml.ScalarNode):
        return "a key is not text: put it in quotes"
    if key.value in seen:
        return f"the key {key.value!r} stands here a second time: remove one of the two"
    seen.add(key.value)
    return None


def _reason(error: yaml.YAMLError) -> str:
    """Return line and reason without the text around them, which may hold a key."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return "it holds characters that YAML does not allow"
