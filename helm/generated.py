"""What of the chart is generated."""

from __future__ import annotations

from collections.abc import Mapping

from helm.documented import chart_values
from helm.readme import readme_of
from helm.rules import FILE, rules_file
from helm.schema import schema_of


def generated() -> Mapping[str, str]:
    """Return the content of every generated file of the chart, by its path in it."""
    values = chart_values()
    return {
        "README.md": readme_of(values),
        "values.schema.json": schema_of(values),
        FILE: rules_file(),
    }
