"""Templates of links: they lead only to the configured web address."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.settings.configured import SECRET, URL, load, load_hub, problems


def test_they_come_from_variables_and_from_a_file_and_a_hub_adds_its_own(tmp_path: Path) -> None:
    assert load_hub({"LINKS__MONITOR": "https://m.example/{instance_id}"}).links == {
        "monitor": "https://m.example/{instance_id}"
    }
    yaml = f"""
links:
  Azure portal: https://portal.example/#q={{orchestrator}}
hubs:
  orders:
    url: {URL}
    links:
      logs: http://logs.example:8080?q={{task_hub}}%20{{instance_id}}
"""
    (hub,) = load({}, yaml, tmp_path).hubs
    assert hub.links == {
        "logs": "http://logs.example:8080?q={task_hub}%20{instance_id}",
        "Azure portal": "https://portal.example/#q={orchestrator}",
    }


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("javascript:alert({instance_id})", "is not a URL"),
        ("ftp://x.example/{instance_id}", "is not a URL"),
        ("//x.example/{instance_id}", "is not a URL"),
        ("/{instance_id}", "is not a URL"),
        ("https://", "is not a URL"),
        ("https://x.example:0/", "is not a URL"),
        ("https://[x/", "is not a URL"),
        ("https://{task_hub}.example/", "has a placeholder in its host"),
        ("https://x.example:{task_hub}/", "has a placeholder in its host"),
        ("https://x.example{instance_id}", "has a placeholder in its host"),
        ("{instance_id}", "is not a URL"),
        (f"https://me:{SECRET}@x.example/{{instance_id}}", "has a user or password in it"),
        (f"https://x.example/{{{SECRET}}}", "has an unknown placeholder"),
        ("https://x.example/{}", "has an unknown placeholder"),
        ("https://x.example/{0}", "has an unknown placeholder"),
        ("https://x.example/{instance_id.__class__}", "has an unknown placeholder"),
        ("https://x.example/{instance_id!r}", "has an unknown placeholder"),
        ("https://x.example/{instance_id:>9}", "has an unknown placeholder"),
        ("https://x.example/{instance_id", "has an unknown placeholder"),
        ("https://x.example/}", "has an unknown placeholder"),
        ("https://x.example/a b", "has blanks or control characters"),
        ("https://x.example/\x01", "has blanks or control characters"),
    ],
)
def test_a_template_that_could_lead_elsewhere_is_refused(template: str, reason: str) -> None:
    (problem,) = problems({"URL": URL, "LINKS__MONITOR": template})
    assert problem.startswith("DURABLE_EXPORTER_LINKS__MONITOR")
    assert reason in problem


@pytest.mark.parametrize("name", [" ", " a", "x" * 41, "a\tb"])
def test_a_link_has_a_name_that_can_be_shown(name: str, tmp_path: Path) -> None:
    yaml = f'url: {URL}\nlinks: {{"{name.replace(chr(9), chr(92) + "t")}": "https://x.example"}}'
    (problem,) = problems({}, yaml, tmp_path)
    assert "is not a link name" in problem
