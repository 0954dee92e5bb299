"""The examples of docs/emulator.md work as they stand there."""

import re
from pathlib import Path

import pytest

from emulator.scenarios.play import rehearse
from emulator.scenarios.scenario import read_scenario

PAGE = (Path(__file__).parents[2] / "docs" / "emulator.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.anyio
async def test_functions_scenario_and_test_run() -> None:
    functions_file, test = blocks("python")
    (scenario,) = (block for block in blocks("yaml") if block.startswith("about:"))
    names: dict[str, object] = {}
    exec(functions_file, names)
    assert rehearse(read_scenario("own.yaml", scenario), functions=names["functions"]) == []  # type: ignore[arg-type]
    exec(test, names)
    await names["test_something"]()  # type: ignore[operator]
