"""A configuration that a release accepted is accepted, and says the same hubs."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from exporter.cli import main
from exporter.cli.conventions import ExitCode
from exporter.settings import load_settings
from tests.docs.placed import place_files, place_variables
from tests.releases.release import Release, releases


def reused(release: Release, folder: Path) -> dict[str, str]:
    """Return the environment of a release, with its files in *folder*."""
    content = yaml.safe_load(release.config.read_text(encoding="utf-8"))
    place_files(content, folder)
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    environ = release.environment
    place_variables(environ, folder)
    return {**environ, "DURABLE_EXPORTER_CONFIG_FILE": str(path)}


@pytest.mark.parametrize("release", releases(), ids=str)
def test_the_command_takes_file_and_environment(
    release: Release, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main.run(["check", "--offline"], reused(release, tmp_path))
    assert code == ExitCode.OK, capsys.readouterr().err


@pytest.mark.parametrize("release", releases(), ids=str)
def test_they_mean_the_same_hubs(release: Release, tmp_path: Path) -> None:
    content = yaml.safe_load(release.config.read_text(encoding="utf-8"))
    hubs = {hub.name: hub for hub in load_settings(reused(release, tmp_path)).hubs}
    said = {hub.get("name", name): hub for name, hub in content["hubs"].items()}
    assert set(hubs) == set(said)
    for name, hub in said.items():
        assert str(hubs[name].url).startswith(hub["url"])
        assert hubs[name].task_hub == hub.get("task_hub")


def test_a_setting_that_is_gone_would_be_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environ = reused(releases()[-1], tmp_path)
    path = Path(environ["DURABLE_EXPORTER_CONFIG_FILE"])
    path.write_text(f"{path.read_text()}gone: 1\n", encoding="utf-8")
    assert main.run(["check", "--offline"], environ) == ExitCode.CONFIGURATION
    assert "gone" in capsys.readouterr().err
