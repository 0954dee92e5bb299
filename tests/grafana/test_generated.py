"""The committed files are the generated ones, and valid for Grafana's models."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.__main__ import BOARDS
from grafana.board import Board, rendered
from tests.grafana.committed import FOLDER, NAMES, board


def missing(written: object, read: object, path: str = "") -> list[str]:
    """Return what is missing or different in *read*, compared with *written*."""
    if isinstance(written, dict) and isinstance(read, dict):
        return [
            lost
            for key, value in written.items()
            for lost in (
                missing(value, read[key], f"{path}.{key}") if key in read else [f"{path}.{key}"]
            )
        ]
    if isinstance(written, list) and isinstance(read, list) and len(written) == len(read):
        pairs = zip(written, read, strict=True)
        return [
            lost
            for place, (old, new) in enumerate(pairs)
            for lost in missing(old, new, f"{path}[{place}]")
        ]
    return [] if written == read else [path]


OF_DATA_SOURCES = {"expr", "step", "titleFormat", "textFormat", "useValueForTime", "target"}
"""Fields of annotations that data sources read, and models leave to them."""


@pytest.mark.parametrize("one", BOARDS, ids=lambda one: one.name)
def test_the_committed_file_is_what_the_code_writes(one: Board) -> None:
    committed = (FOLDER / f"{one.name}.json").read_text(encoding="utf-8")
    assert committed == rendered(one), "write them anew with python -m grafana"


def test_nothing_else_is_committed_and_the_package_holds_the_same() -> None:
    assert sorted(path.stem for path in FOLDER.iterdir()) == sorted(NAMES)
    assert [one.name for one in BOARDS] == list(NAMES)
    packaged = files("exporter") / "dashboards"
    for name in NAMES:
        text = (packaged / f"{name}.json").read_text(encoding="utf-8")
        assert json.loads(text)["uid"] == f"durable-functions-{name}"


@pytest.mark.parametrize("name", NAMES)
def test_grafanas_model_reads_every_key_and_writes_it_again(name: str) -> None:
    register_default_plugins()
    read = json.loads(json.dumps(Dashboard.from_json(board(name)), cls=JSONEncoder))
    assert {each.rpartition(".")[2] for each in missing(board(name), read)} <= OF_DATA_SOURCES


def test_a_key_that_the_model_does_not_know_would_be_found() -> None:
    register_default_plugins()
    changed = board("fleet")
    changed["panels"][1]["questoin"] = "?"
    changed["panels"][1]["options"]["colourMode"] = "value"
    read = json.loads(json.dumps(Dashboard.from_json(changed), cls=JSONEncoder))
    assert ".panels[1].questoin" in missing(changed, read)
    assert ".panels[1].options.colourMode" in missing(changed, read)
