"""The workflows: they cannot run here, but what they name is there, and they may do little."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".github/workflows"
PATHS = sorted(FOLDER.glob("*.yml"))
MAY_WRITE = {
    "package": {"id-token"},
    "image": {"packages", "id-token"},
    "chart": {"packages", "id-token"},
    "notes": {"contents"},
}
PINNED = re.compile(r" *(?:- )?uses: [\w.-]+(?:/[\w.-]+)+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
OWN = re.compile(r" *uses: \./\.github/workflows/\w+\.yml")


def workflow(name: str) -> dict[Any, Any]:
    # BaseLoader: elsewhere the key `on` is a boolean.
    content = yaml.load((FOLDER / name).read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    assert isinstance(content, dict)
    return content


def jobs() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path in PATHS:
        for name, job in workflow(path.name)["jobs"].items():
            yield path.name, name, job


def steps() -> Iterator[dict[str, Any]]:
    for _, _, job in jobs():
        yield from job.get("steps", ())


def test_workflows_are_what_the_official_schema_says(tmp_path: Path) -> None:
    assert lint(*PATHS).returncode == 0
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(PATHS[0].read_text(encoding="utf-8").replace("runs-on:", "run-on:"))
    assert lint(wrong).returncode == 1


def lint(*paths: Path) -> subprocess.CompletedProcess[str]:
    schema = ("--builtin-schema", "vendor.github-workflows")
    return subprocess.run(
        [sys.executable, "-m", "check_jsonschema", *schema, *paths],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_what_a_job_is_told_of_another_one_that_one_says() -> None:
    release = workflow("release.yml")["jobs"]
    read = re.findall(r"needs\.(\w+)\.outputs\.(\w+)", (FOLDER / "release.yml").read_text())
    assert read
    assert all(output in release[job]["outputs"] for job, output in read)


def test_a_release_comes_from_a_tag_of_a_version_and_from_nothing_else() -> None:
    assert [path.name for path in PATHS] == ["ci.yml", "release.yml"]
    assert workflow("release.yml")["on"] == {"push": {"tags": ["v[0-9]+.[0-9]+.[0-9]+*"]}}


def test_nothing_is_published_before_all_tests_have_passed() -> None:
    release = workflow("release.yml")["jobs"]
    assert release["test"]["uses"] == "./.github/workflows/ci.yml"
    assert "workflow_call" in workflow("ci.yml")["on"]
    assert release["build"]["needs"] == "test"
    assert {name for name in MAY_WRITE if "build" in release[name]["needs"]} == set(MAY_WRITE)
    (run,) = workflow("ci.yml")["jobs"].values()
    assert run["steps"][-1] == {"run": ".ci/run"}


def test_no_job_may_do_more_than_it_must() -> None:
    for path in PATHS:
        assert workflow(path.name)["permissions"] == {}, path.name
    for file, name, job in jobs():
        allowed = MAY_WRITE.get(name, set()) if file == "release.yml" else set()
        granted = {scope for scope, right in job["permissions"].items() if right == "write"}
        assert granted == allowed, name
        assert set(job["permissions"].values()) <= {"read", "write"}


def test_every_action_is_a_commit_and_every_checkout_leaves_no_token_behind() -> None:
    lines = [
        line
        for path in FOLDER.parent.rglob("*")
        if path.is_file()
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.match(r"\s*(- )?uses:", line)
    ]
    assert len(lines) > 10
    for line in lines:
        assert PINNED.fullmatch(line) or OWN.fullmatch(line), line
    for step in steps():
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"] == {"persist-credentials": "false"}


def test_scripts_are_sound_and_take_what_comes_from_outside_as_variables_only() -> None:
    scripts = [step["run"] for step in steps() if "run" in step]
    assert len(scripts) > 5
    for script in scripts:
        assert "${{" not in script
        checked = subprocess.run(
            ["bash", "-n"], input=script, text=True, capture_output=True, check=False
        )
        assert (checked.returncode, checked.stderr) == (0, "")


def test_every_file_that_is_named_is_there() -> None:
    text = "\n".join(step.get("run", "") for step in steps())
    named = set(re.findall(r"--requirement (\S+)", text)) | {".ci/run"}
    image = next(step for step in steps() if step.get("id") == "built")["with"]
    named |= {image["file"], image["context"]}
    assert len(named) == 4
    assert all((ROOT / path).exists() for path in named), named


def test_the_image_is_for_both_architectures_with_what_is_in_it_and_where_it_comes_from() -> None:
    image = next(step for step in steps() if step.get("id") == "built")["with"]
    assert image["platforms"] == "linux/amd64,linux/arm64"
    assert image["provenance"] == "mode=max"
    assert image["sbom"] == "true"
    arguments = {line.split("=")[0] for line in image["build-args"].splitlines()}
    declared = set(
        re.findall(r"^ARG (\w+)", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert arguments <= declared
    assert any("cosign sign" in step.get("run", "") for step in steps())


@pytest.mark.parametrize("name", ["LICENSE", "README.md", "emulator", "exporter", "pyproject.toml"])
def test_what_the_wheel_is_made_of_comes_into_the_image_and_tests_do_not(name: str) -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert lines[1] == "*"
    assert f"!{name}" in lines
    assert not [line for line in lines if line.startswith(("!tests", "!.", "!bench"))]
