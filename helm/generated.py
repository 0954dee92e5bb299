"""What of the chart is generated."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from exporter.settings.schema import FORMER_NAMES
from helm.documented import chart_values
from helm.readme import readme_of
from helm.rules import FILE, rules_file
from helm.schema import schema_of

# Copies: a link is a file with a path in it wherever a checkout or a controller knows no links.
_DASHBOARDS = Path(__file__).parents[1] / "grafana" / "dashboards"
_HEADING = "# Former names of settings and their names of today, written by `make docs`.\n"


def former_names_file() -> str:
    """Return the file by which the chart finds settings that go by a former name."""
    return _HEADING + yaml.safe_dump(dict(FORMER_NAMES))


def generated() -> Mapping[str, str]:
    """Return the content of every generated file of the chart, by its path in it."""
    values = chart_values()
    return {
        "README.md": readme_of(values),
        "values.schema.json": schema_of(values),
        FILE: rules_file(),
        "files/former-names.yaml": former_names_file(),
        **{
            f"dashboards/{path.name}": path.read_text(encoding="utf-8")
            for path in sorted(_DASHBOARDS.glob("*.json"))
        },
    }
