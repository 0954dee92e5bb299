"""Writes the generated parts of the chart: `python -m helm`."""

from helm.documented import CHART, chart_values
from helm.readme import readme_of
from helm.schema import schema_of

if __name__ == "__main__":
    values = chart_values()
    for name, content in {
        "README.md": readme_of(values),
        "values.schema.json": schema_of(values),
    }.items():
        (CHART / name).write_text(content, encoding="utf-8")
