"""The chart runs the image as its Dockerfile requires."""

from __future__ import annotations

import re

from exporter.settings import Settings
from tests.chart.chart import CHART, VALUES, Rendered, render, values_of

DOCKERFILE = (CHART.parents[1] / "Dockerfile").read_text(encoding="utf-8")


def said(instruction: str) -> str:
    """Return the last such instruction of the Dockerfile."""
    found: list[str] = re.findall(rf"^{instruction} (.+)$", DOCKERFILE, re.MULTILINE)
    return found[-1]


def rendered() -> Rendered:
    return render(values_of(VALUES[0].parent / "claim.yaml"))


def test_user_and_group_are_those_of_the_image() -> None:
    context = rendered().workload["spec"]["template"]["spec"]["securityContext"]
    assert said("USER") == f"{context['runAsUser']}:{context['runAsGroup']}"
    assert context["fsGroup"] == context["runAsGroup"]


def test_the_command_is_that_of_the_image() -> None:
    assert said("ENTRYPOINT") == '["durable-exporter"]'
    assert "command" not in rendered().exporter
    assert rendered().exporter["args"] == ["serve"]


def test_the_port_is_that_of_image_and_settings() -> None:
    (port,) = rendered().exporter["ports"]
    assert str(port["containerPort"]) == said("EXPOSE")
    listening = Settings.model_fields["listen_address"].default
    assert listening.port == port["containerPort"]
