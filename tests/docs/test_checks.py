"""The checks of the pages find what they are there to find."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.languages import CHECKS, check_text
from tests.docs.links import problem_of as problem_of_link
from tests.docs.own_commands import problem_of_command
from tests.docs.pages import ROOT, SHELLS, Block, blocks_of
from tests.docs.queries import problem_of, unknown_names
from tests.docs.test_names import METRIC

WRONG = {
    "a command that does not exist": ("sh", "durable-exporter colect"),
    "an option that does not exist": ("sh", "durable-exporter stuck --hubs orders"),
    "a value that cannot be": ("sh", "durable-exporter failures --since soon"),
    "a setting that does not exist": ("sh", "durable-exporter check --set intervals.actives=1m"),
    "a target that does not exist": ("sh", "make coffee"),
    "a program that nobody knows": ("sh", "kubeclt get pods"),
    "a wrong command in a pod": ("sh", "kubectl exec x -- durable-exporter stick"),
    "a wrong command in a container": ("sh", "podman run --rm IMAGE stick"),
    "a wrong command in a substitution": ("sh", 'echo "$(durable-exporter stick)"'),
    "a wrong command behind a pipe": ("sh", "true | durable-exporter stick | jq ."),
    "a wrong command of a session": ("console", "$ durable-exporter stick\nno output"),
    "a script that ends too early": ("sh", "durable-exporter check &&"),
    "a variable that sets nothing": ("sh", "DURABLE_EXPORTER_INTERVALS_ACTIVE=1m"),
    "a variable with a wrong value": ("sh", "export DURABLE_EXPORTER_LIMITS__IDLE=soon"),
    "a query that does not parse": ("promql", "sum by (task_hub (durable_functions_up)"),
    "a metric that does not exist": ("promql", "durable_functions_upp"),
    "a recorded name that does not exist": ("promql", "durable_functions:nothing:max"),
    "a label that does not exist": ("promql", 'durable_functions_up{hub="orders"}'),
    "a grouping by a label that does not exist": ("promql", "sum by (hub) (durable_functions_up)"),
    "a configuration with an unknown setting": ("yaml", "url: https://a.example\nlimit: {}"),
    "a configuration with a wrong value": ("yaml", "limits: {idle: soon}"),
    "a hub without an address": ("yaml", "hubs: {orders: {task_hub: Orders}}"),
    "a scrape that Prometheus refuses": ("yaml", "scrape_configs: [{job: x}]"),
    "rules that Prometheus refuses": ("yaml", "groups: [{name: a, rules: [{alert: b}]}]"),
    "a route without a receiver": ("yaml", "route: {receiver: nobody}\nreceivers: [{name: a}]"),
    "a resource with an unknown field": (
        "yaml",
        "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{prot: 1}]}",
    ),
    "a monitor of an unknown group": (
        "yaml",
        (
            "apiVersion: monitoring.example.com/v1\nkind: ServiceMonitor\nmetadata: {name: a}\n"
            "spec: {selector: {}, endpoints: [{port: metrics}]}"
        ),
    ),
    "a pipeline of what is not configured": (
        "yaml",
        (
            "receivers: {prometheus: {config: {scrape_configs: []}}}\nexporters: {debug: {}}\n"
            "service: {pipelines: {metrics: {receivers: [otlp], exporters: [debug]}}}"
        ),
    ),
    "a web configuration that is refused": ("yaml", "basic_auth_users: {a: plain}"),
    "a scenario that cannot be played": ("yaml", "events: [{at: 1m, do: nothing}]"),
    "a document of no known kind": ("yaml", "colour: blue"),
    "JSON that breaks off": ("json", '{"a": '),
    "Python that does not compile": ("python", "def f(:"),
    "an import that does not exist": ("python", "from emulator import Emulators"),
    "a unit with an unknown section": ("ini", "[Servce]\nExecStart=true"),
    "a unit with a wrong command": ("ini", "[Service]\nExecStart=durable-exporter srve"),
    "a directive that does not exist": ("nginx", "server { lisen 80; }"),
    "nothing at all": ("text", ""),
}


def a_block(language: str, text: str) -> Block:
    return Block("docs/commands.md", 1, language, "", f"{text}\n" if text else "")


@pytest.mark.parametrize(("language", "text"), WRONG.values(), ids=WRONG)
def test_a_wrong_block_is_found(language: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(Exception):  # noqa: B017, PT011 - each tool has its own
        CHECKS[language](a_block(language, text), tmp_path)


def test_every_language_has_a_wrong_block_here() -> None:
    checked = {language for language, check in CHECKS.items() if check is not check_text}
    assert {language for language, _ in WRONG.values()} >= checked - {*SHELLS[1:]}


def test_right_blocks_are_not_found(tmp_path: Path) -> None:
    right = [
        ("sh", "durable-exporter drain A --wait --timeout 20m || exit 1  # a gate"),
        ("sh", "A=$(az account show)\nfor x in 1 2; do durable-exporter why $x; done > all.txt"),
        ("sh", "DURABLE_EXPORTER_LIMITS__IDLE=1h durable-exporter check"),
        ("promql", "# a comment\nup == 0\n\nsum by (task_hub) (\n  durable_functions_instances\n)"),
        ("yaml", "limits: {idle: 1h}"),
    ]
    for number, (language, text) in enumerate(right):
        folder = tmp_path / str(number)
        folder.mkdir()
        CHECKS[language](a_block(language, text), folder)


def test_blocks_are_found_in_lists_and_with_titles_and_reasons(tmp_path: Path) -> None:
    fences = (
        '<!-- not run: no -->\n```sh\na\n```\n\n- b\n\n  ```yaml title="c.yaml"\n  d: 1\n  ```\n'
    )
    own = tmp_path / "page.md"
    own.write_text(fences, encoding="utf-8")
    shell, listed = blocks_of(own, root=tmp_path)
    assert (shell.text, shell.not_run) == ("a\n", "no")
    assert (listed.text, listed.title) == ("d: 1\n", "c.yaml")


@pytest.mark.parametrize(
    "target", ["nothing.md", "settings.md#no-such-heading", "../../outside.md", "#no-such-heading"]
)
def test_a_link_to_nothing_is_found(target: str) -> None:
    assert problem_of_link(ROOT / "docs" / "web.md", target)


def test_a_wrong_name_in_a_query_or_a_text_is_found() -> None:
    assert problem_of("sum(") != ""
    assert list(unknown_names('durable_functions_up{tsk_hub="a"}')) == ["tsk_hub"]
    assert METRIC.findall("`durable_functions_upp`") == ["durable_functions_upp"]
    assert "invalid choice: 'stick'" in problem_of_command("durable-exporter stick")
    assert "--hubs" in problem_of_command("/usr/bin/durable-exporter stuck --hubs orders")
