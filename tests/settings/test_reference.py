"""The reference page of the settings."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from pydantic import BaseModel

from exporter.settings import HubSettings, Settings, load_settings
from exporter.settings.groups import OrchestratorLimits
from exporter.settings.reference import page
from exporter.settings.schema import is_group
from tests.settings.configured import load, write

DOCS = Path(__file__).parents[2] / "docs"
MODELS = [
    Settings, HubSettings, OrchestratorLimits,
    *(
        field.annotation
        for model in (Settings, HubSettings)
        for field in model.model_fields.values()
        if is_group(field.annotation)
    ),
]  # fmt: skip


def examples(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page(), re.DOTALL)


def test_the_committed_page_is_the_generated_one() -> None:
    assert (DOCS / "settings.md").read_text(encoding="utf-8") == page()


@pytest.mark.parametrize("model", MODELS)
def test_every_setting_is_described_by_one_sentence(model: type[BaseModel]) -> None:
    for name, field in model.model_fields.items():
        assert field.description is not None, name
        assert re.fullmatch(r"[A-Z][^.]*(\.\w[^.]*)*\.", field.description), name


@pytest.mark.parametrize("variables", examples("sh"))
def test_the_examples_of_variables_load(variables: str, tmp_path: Path) -> None:
    write(tmp_path / "orders", "key")
    lines = shlex.split(variables.replace("/run/secrets", str(tmp_path)))
    settings = load_settings(dict(line.split("=", 1) for line in lines))
    assert settings.hubs[-1].key_path == tmp_path / "orders" or len(settings.hubs) == 2


@pytest.mark.parametrize("yaml", examples("yaml"))
def test_the_examples_of_files_load(yaml: str, tmp_path: Path) -> None:
    settings = load({}, yaml.replace("/run/secrets", str(tmp_path)), tmp_path)
    assert [hub.name for hub in settings.hubs] == ["orders", "billing-eu", "local"]
