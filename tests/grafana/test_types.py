"""The dashboards match the types of Grafana's own packages, of each major version."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.grafana.committed import NAMES, Json, board
from tests.grafana.test_generated import OF_DATA_SOURCES
from tests.tools import node_package, tool

MAJORS = (10, 11, 12, 13)
PLAIN = """\
type Plain<T> = T extends string ? `${T}`
  : T extends object ? { [K in keyof T]: Plain<T[K]> }
  : T;
"""
"""JSON has no enumerations, only their values."""

COMPOSABLE = {
    "stat": "stat/panelcfg/x/StatPanelCfg",
    "timeseries": "timeseries/panelcfg/x/TimeSeriesPanelCfg",
    "table": "table/panelcfg/x/TablePanelCfg",
    "heatmap": "heatmap/panelcfg/x/HeatmapPanelCfg",
    "bargauge": "bargauge/panelcfg/x/BarGaugePanelCfg",
    "state-timeline": "statetimeline/panelcfg/x/StateTimelinePanelCfg",
}
"""The modules in which the options of each type of panel are described."""

CUSTOM = {"timeseries": "FieldConfig", "heatmap": "FieldConfig", "state-timeline": "FieldConfig"}
QUERY = "prometheus/dataquery/x/PrometheusDataQuery"
QUERY_MAJORS = (10,)
"""Later the type of a query went to a package of the data source."""

OPTIONS = (
    "--noEmit", "--strict", "--skipLibCheck", "--preserveSymlinks",
    "--module", "esnext", "--moduleResolution", "bundler", "--pretty", "false",
)  # fmt: skip
RAW = "./node_modules/@grafana/schema/dist/esm/raw/composable"


def declarations(name: str, content: Json) -> Iterator[str]:
    """Yield a dashboard, and the options and queries that its type leaves open."""
    for each in content["annotations"]["list"]:
        for key in OF_DATA_SOURCES:
            each.pop(key, None)
    yield declared(f"board_{name}", "Partial<Dashboard>", content)
    for panel in content["panels"]:
        if panel["type"] == "row":
            continue
        kind, place = panel["type"].replace("-", "_"), f"{name}_{panel['id']}"
        yield declared(f"options_{place}", f"Partial<{kind}.Options>", panel["options"])
        custom = panel["fieldConfig"]["defaults"].get("custom")
        if panel["type"] in CUSTOM and custom:
            yield declared(f"custom_{place}", f"Partial<{kind}.FieldConfig>", custom)
        for target in panel["targets"]:
            yield declared(f"target_{place}_{target['refId']}", "Partial<query>", target)


def declared(name: str, of_type: str, value: object) -> str:
    return f"export const {name}: Plain<{of_type}> = {json.dumps(value, indent=1)};"


def imports(major: int) -> Iterator[str]:
    yield "import type { Dashboard } from '@grafana/schema';"
    for kind, module in COMPOSABLE.items():
        # By its file: what a package exports names these modules in some versions only.
        yield f"import type * as {kind.replace('-', '_')} from '{RAW}/{module}_types.gen';"
    if major in QUERY_MAJORS:
        yield f"import type {{ PrometheusDataQuery as query }} from '{RAW}/{QUERY}_types.gen';"
    else:
        yield "type query = Record<string, unknown>;"


def prepared(folder: Path, major: int, boards: Sequence[tuple[str, Json]]) -> str:
    """Write the compiler's input beside the packages of that version."""
    package = node_package(f"grafana-schema-{major}")
    (packages := folder / str(major) / "node_modules" / "@grafana").mkdir(parents=True)
    (packages / "schema").symlink_to(package)
    lines = [*imports(major), PLAIN]
    for name, content in boards:
        lines.extend(declarations(name, content))
    (source := folder / str(major) / "boards.ts").write_text("\n".join(lines), encoding="utf-8")
    return str(source.relative_to(folder))


def refused(folder: Path, *boards: tuple[str, Json]) -> list[str]:
    """Return the compiler's errors for dashboards, by major version."""
    sources = [prepared(folder, major, boards) for major in MAJORS]
    compiler = node_package("typescript") / "bin" / "tsc"
    found = subprocess.run(
        [tool("node"), compiler, *OPTIONS, *sources],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return found.stdout.splitlines()


def test_every_dashboard_has_the_types_of_grafana_10_to_13(tmp_path: Path) -> None:
    assert refused(tmp_path, *((name, board(name)) for name in NAMES)) == []


def test_wrong_types_and_unknown_keys_are_found(tmp_path: Path) -> None:
    content = board("fleet")
    content["refresh"] = 60
    content["graphTooltipp"] = 1
    content["panels"][1]["options"]["graphMode"] = "sparkle"
    content["panels"][1]["targets"][0]["format"] = "vector"
    said = refused(tmp_path, ("fleet", content))
    for major in MAJORS:
        of_version = "\n".join(line for line in said if line.startswith(f"{major}/"))
        assert "graphTooltipp" in of_version or "'number' is not assignable" in of_version
        assert '"sparkle"' in of_version
        assert ('"vector"' in of_version) is (major in QUERY_MAJORS)
