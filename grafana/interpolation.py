"""What Grafana puts in place of variables, so that committed queries can be asked elsewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

_VARIABLE = re.compile(r"\$\{(?P<braced>\w+)(?::\w+)?\}|\$(?P<bare>\w+)")
_LABEL_VALUES = re.compile(r"label_values\((?P<selector>.+), *(?P<label>\w+)\)")


class LabelValues(NamedTuple):
    """A variable's query: the values of a label of some series."""

    selector: str
    label: str


def interpolate(text: str, values: Mapping[str, str]) -> str:
    """
    Return *text* with the values of its variables.

    Raises:
        KeyError: a variable has no value.
    """
    return _VARIABLE.sub(lambda found: values[found["braced"] or found["bare"]], text)


def variables_in(text: str) -> set[str]:
    """Return the names of the variables in *text*."""
    return {found["braced"] or found["bare"] for found in _VARIABLE.finditer(text)}


def label_values(query: str) -> LabelValues:
    """
    Read the query of a variable.

    Raises:
        ValueError: it asks for something else than the values of a label.
    """
    found = _LABEL_VALUES.fullmatch(query)
    if found is None:
        raise ValueError(f"not of the form label_values(selector, label): {query}")
    return LabelValues(found["selector"], found["label"])
