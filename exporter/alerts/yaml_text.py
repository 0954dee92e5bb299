"""YAML that people read: texts of several lines as they are, keys in the order given."""

from __future__ import annotations

import math
from collections.abc import Mapping

import yaml

Document = Mapping[str, object]


class _Writer(yaml.SafeDumper):
    """Writes texts of several lines as blocks."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 # the signature of the base
        """Indent lists below their keys, as rules are usually written."""
        super().increase_indent(flow, indentless=False)


def _text(writer: _Writer, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return writer.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Writer.add_representer(str, _text)


def written(document: Document) -> str:
    """Return *document* as YAML."""
    text: str = yaml.dump(
        document, Dumper=_Writer, sort_keys=False, width=math.inf, allow_unicode=True
    )
    return text
