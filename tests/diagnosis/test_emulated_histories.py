"""
Histories that the emulator gave, kept as a corpus, and what their instances wait on.

`UPDATE_HISTORIES=1` writes them anew, where the emulator has come nearer to the real extension.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
import pytest

from emulator import Emulator, running
from exporter.api.wire import InstanceStatus
from exporter.diagnosis.classify import classify
from tests.diagnosis.stuck_app import BACKENDS, END, START, TRUTH, VERSIONS, stuck_hub

pytestmark = pytest.mark.anyio

EMULATED = Path(__file__).parents[1] / "data" / "histories" / "emulated.json"


async def reads_of(version: str, backend: str) -> dict[tuple[str, bool], str]:
    """Return the bodies of the reads that a diagnosis makes, by id and whether with inputs."""
    hub = stuck_hub(VERSIONS[version], BACKENDS[backend]())
    bodies: dict[tuple[str, bool], str] = {}
    async with (
        running(Emulator(hub, clock=hub.clock)) as url,
        httpx.AsyncClient(base_url=f"{url}/durabletask/", verify=False) as client,
    ):
        for instance_id in TRUTH:
            path = f"instances/{quote(instance_id, safe='')}?showHistory=true&showInput="
            body = bodies[instance_id, False] = (await client.get(f"{path}false")).text
            if classify(msgspec.json.decode(body, type=InstanceStatus)).needs_inputs:
                bodies[instance_id, True] = (await client.get(f"{path}true")).text
    return bodies


async def test_the_corpus_is_what_the_emulator_gives_in_every_backend_and_version() -> None:
    found: dict[tuple[str, str, bool, str], list[str]] = {}
    for version in VERSIONS:
        for backend in BACKENDS:
            for (instance_id, inputs), body in (await reads_of(version, backend)).items():
                found.setdefault((version, instance_id, inputs, body), []).append(backend)
    corpus = [
        {"id": i, "version": version, "backends": backends, "inputs": inputs, "body": body}
        for (version, i, inputs, body), backends in sorted(found.items())
    ]
    text = "[\n" + ",\n".join(json.dumps(entry) for entry in corpus) + "\n]\n"
    if os.environ.get("UPDATE_HISTORIES"):
        EMULATED.write_text(text, "utf-8")
    assert text == EMULATED.read_text("utf-8")


def corpus() -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads(EMULATED.read_text("utf-8"))
    return entries


@pytest.mark.parametrize(
    "entry", corpus(), ids=lambda e: f"{e['version']} {'/'.join(e['backends'])} {e['id']}"
)
def test_an_emulated_history_tells_what_its_instance_waits_on(entry: dict[str, Any]) -> None:
    truth = TRUTH[entry["id"]]
    status = msgspec.json.decode(entry["body"], type=InstanceStatus)
    reading = classify(status, inputs=entry["inputs"])
    if reading.needs_inputs:
        assert not entry["inputs"]
        assert truth.own[0] in ("entity", "entity_lock") or entry["id"] == "signals"
        return
    wait = reading.waits[0].as_of(END)
    assert (wait.waiting_on.value, wait.target) == truth.own
    assert wait.since == pytest.approx(START + truth.since, abs=truth.tolerance)
