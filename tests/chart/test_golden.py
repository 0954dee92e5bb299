"""A few renders as files, so that reviews show changes of templates."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.chart.chart import VALUES, render, values_of

GOLDEN = Path(__file__).parent / "golden"
# One pod and its Secrets; shards with claims; web configuration; everything else of the network.
NAMES = ("keys-in-values", "shards-with-claims", "tls-and-passwords", "closed-network")


@pytest.mark.parametrize("name", NAMES)
def test_the_render_is_the_committed_one(name: str) -> None:
    rendered = render(values_of(VALUES[0].parent / f"{name}.yaml"))
    assert rendered.texts is not None
    text = "".join(
        f"# {path.partition('/')[2]}\n{content.strip()}\n"
        for path, content in rendered.texts.items()
        if content.strip()
    )
    path = GOLDEN / f"{name}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
