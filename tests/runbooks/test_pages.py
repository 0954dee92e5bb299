"""Every runbook is whole, and what it tells people to type and to click exists."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import promql_parser
import pytest
from promql_parser import (
    AggregateExpr,
    BinaryExpr,
    Expr,
    MatrixSelector,
    VectorSelector,
)

from exporter.alerts import table
from exporter.alerts.prometheus import SLOW_GROUPS, SLOW_INTERVAL
from exporter.alerts.shared import SHARED
from exporter.api.errors import ErrorKind
from exporter.cli import main
from exporter.collector.snapshot import SweepResult
from exporter.diagnosis.waits import WaitingOn
from exporter.ledger.over_limit import LIMITS_OF_INSTANCES
from exporter.ledger.reasons import Category
from exporter.metrics.catalogue import CATALOGUE
from exporter.metrics.family import SPREAD_SUFFIXES, Family
from exporter.settings.durations import parse_duration
from exporter.settings.reference import page as settings_page
from exporter.web.findings import RUNBOOKS, runbook_of_stalled, runbook_of_trouble
from exporter.web.runbook_pages import anchor_of
from tests.runbooks.pages import OF_ALERTS, PAGES, Page, notified_within

ALERTS = {alert.full_name: alert for alert in table.ALERTS}
HEADINGS = [
    "What it means for users",
    "First look",
    "What the exporter cannot see",
    "What to do",
    "How soon you know",
    "How it clears",
    "How to tune it",
]
LANGUAGES = {"sh", "promql", "kusto"}
INSIGHTS = {"traces", "requests", "exceptions", "dependencies", "performanceCounters"}
# What the extension, and the engine underneath with its capitals, log with each line.
FACTS = {
    "prop__hubName", "prop__instanceId", "prop__functionName", "prop__functionType", "prop__state",
    "prop__reason", "prop__isReplay", "prop__continuedAsNew", "prop__InstanceId", "prop__Details",
    "EventName",
}  # fmt: skip
SYSTEM_KEY = "durabletask_extension"
GROUP_WAIT_SECONDS = 30.0
FIVE_MINUTES = "durable-functions-in-five-minutes.md"
# Facts that the queries of the pages name and that come with every scrape or family.
ALWAYS = {"task_hub", "instance", "pod", "job"}
SAMPLES = {
    f"{family.name}{suffix}": family
    for family in CATALOGUE
    for suffix in SPREAD_SUFFIXES.get(family.kind, ("",))
}


def queries() -> Iterator[tuple[str, str]]:
    for page in PAGES.values():
        for query in page.blocks("promql"):
            yield page.name, query.strip()


def commands() -> Iterator[tuple[str, str]]:
    for page in PAGES.values():
        for block in page.blocks("sh"):
            for line in block.splitlines():
                found = re.search(
                    r"(?:^|-- |exec durable-exporter )(durable-exporter [^|>]*)", line
                )
                if found:
                    yield page.name, found[1]


class TestEveryAlert:
    def test_has_a_page_and_every_page_an_alert(self) -> None:
        assert set(OF_ALERTS) == set(ALERTS)

    @pytest.mark.parametrize("page", OF_ALERTS.values(), ids=OF_ALERTS)
    def test_has_the_same_headings_below_its_name(self, page: Page) -> None:
        assert page.headings(1) == [page.name]
        assert page.headings(2) == HEADINGS

    @pytest.mark.parametrize("page", OF_ALERTS.values(), ids=OF_ALERTS)
    def test_begins_with_what_is_wrong_and_leads_the_newcomer_on(self, page: Page) -> None:
        opening = page.text.split("\n## ")[0]
        assert f"]({FIVE_MINUTES})" in opening
        assert len(opening.split()) > 15

    @pytest.mark.parametrize("page", OF_ALERTS.values(), ids=OF_ALERTS)
    def test_has_something_to_run_here_and_somewhere_else_to_look(self, page: Page) -> None:
        assert "```promql" in page.section("First look")
        assert re.search(r"^ *kubectl exec \S+ -- durable-exporter ", page.text, re.MULTILINE)
        elsewhere = page.section("What the exporter cannot see")
        assert re.search(r"```kusto|^(az|kubectl|curl) ", elsewhere, re.MULTILINE)
        assert all(page.section(heading).strip() for heading in HEADINGS)

    @pytest.mark.parametrize("page", OF_ALERTS.values(), ids=OF_ALERTS)
    def test_lists_the_parameters_of_its_alert_with_their_defaults(self, page: Page) -> None:
        listed = re.findall(r"^- `(\w+)` \((\S+)\): ", page.section(HEADINGS[-1]), re.MULTILINE)
        own = {each.name: each.default for each in ALERTS[page.name].own_parameters}
        assert dict(listed) == own
        assert len(listed) == len(own)

    @pytest.mark.parametrize("page", OF_ALERTS.values(), ids=OF_ALERTS)
    def test_says_no_less_than_it_waits(self, page: Page) -> None:
        alert = ALERTS[page.name]
        evaluation = SLOW_INTERVAL if alert.group in SLOW_GROUPS else "30s"
        waits = parse_duration(alert.wait.default) + parse_duration(evaluation)
        assert notified_within(page) >= waits + GROUP_WAIT_SECONDS

    def test_stands_in_the_index_once(self) -> None:
        linked = [link.removesuffix(".md") for link in PAGES["README"].links()]
        assert sorted(name for name in linked if name in ALERTS) == sorted(ALERTS)


class TestLinks:
    @pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
    def test_lead_to_pages_and_headings_that_exist(self, page: Page) -> None:
        for link in page.links():
            target, _, anchor = link.partition("#")
            assert target.endswith(".md"), f"{link}: the exporter serves nothing else"
            found = PAGES[target.removesuffix(".md")]
            if anchor:
                assert anchor in {anchor_of(each) for each in found.headings(2)}, link

    def test_of_findings_lead_to_pages(self) -> None:
        waits = {runbook_of_stalled({("Any", wait, ""): 1}) for wait in WaitingOn}
        troubles = {runbook_of_trouble(kind, otherwise=RUNBOOKS["stale"]) for kind in ErrorKind}
        assert {*RUNBOOKS.values(), *waits, *troubles} <= set(ALERTS)
        assert {f"over_limit_{limit}" for limit in LIMITS_OF_INSTANCES} <= set(RUNBOOKS)


class TestCommands:
    def test_there_are_many(self) -> None:
        found = [line for _, line in commands()]
        assert len(found) > 70
        assert {shlex.split(line)[1] for line in found} >= {
            "check", "stuck", "why", "failures", "drain", "estimate", "rules"
        }  # fmt: skip

    @pytest.mark.parametrize(("page", "line"), sorted(set(commands())))
    def test_are_understood_by_the_command_line(self, page: str, line: str) -> None:
        words = shlex.split(line)[1:]
        try:
            options = main.parse(words)
        except SystemExit:
            pytest.fail(f"{page}: {line}")
        exists = is_parameter if words[0] == "rules" else is_setting
        for name, _ in getattr(options, "set", []):
            assert exists(name), line
        assert set(getattr(options, "disable", [])) <= {alert.name for alert in table.ALERTS}

    def test_that_are_wrong_would_be_found(self) -> None:
        with pytest.raises(SystemExit):
            main.parse(["failures", "--since", "soon"])

    @pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
    def test_stand_in_blocks_whose_language_is_known(self, page: Page) -> None:
        assert page.languages() <= LANGUAGES

    @pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
    def test_are_quoted_as_a_shell_wants_it(self, page: Page) -> None:
        for block in page.blocks("sh"):
            for line in block.splitlines():
                assert shlex.split(line)


class TestQueries:
    @pytest.mark.parametrize(("page", "query"), sorted(set(queries())))
    def test_parse_and_name_families_and_labels_that_exist(self, page: str, query: str) -> None:
        expression = promql_parser.parse(query)
        selectors = list(selectors_in(expression))
        assert selectors, page
        known = set(ALWAYS)
        for selector in selectors:
            if selector.name == "up":
                continue
            family = SAMPLES[selector.name or ""]
            labels = labels_of(family)
            known |= labels
            assert {each.name for each in selector.matchers.matchers} <= labels, query
        assert set(grouping_labels(expression)) <= known, query

    @pytest.mark.parametrize(("page", "query"), sorted(set(queries())))
    def test_never_add_up_what_two_replicas_say(self, page: str, query: str) -> None:
        sums = query.count("sum by (") + query.count("sum(")
        assert query.count("max without (instance, pod) (") >= sums, page

    def test_that_are_wrong_would_be_found(self) -> None:
        assert "durable_functions_exporter_up" not in SAMPLES
        with pytest.raises(ValueError, match="unclosed"):
            promql_parser.parse("sum by (task_hub (durable_functions_up)")


class TestQueriesOfApplicationInsights:
    @pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
    def test_begin_with_a_table_and_go_on_with_steps(self, page: Page) -> None:
        for block in page.blocks("kusto"):
            table, *steps = block.splitlines()
            assert table in INSIGHTS
            assert all(re.match(r"\| (where|extend|summarize|project|order) |  ", s) for s in steps)
            assert block.count("(") == block.count(")")
            assert set(re.findall(r'\["(.*?)"\]', block)) <= FACTS

    @pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
    def test_in_the_text_are_settings_labels_their_values_or_parameters(self, page: Page) -> None:
        for code in page.code():
            if re.fullmatch(r"[a-z]+(_[a-z]+)+", code):
                assert is_word_of_ours(code) or code in (*SAMPLES, SYSTEM_KEY), code

    @pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
    def test_of_families_in_the_text_exist(self, page: Page) -> None:
        for code in page.code():
            for name in re.findall(r"\bdurable_functions_\w+", code):
                assert name in SAMPLES or name in {family.name for family in CATALOGUE}, name

    @pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
    def test_of_settings_in_the_text_exist(self, page: Page) -> None:
        groups = ("limits", "intervals", "timeouts", "retries", "tls", "buckets", "metrics")
        for code in page.code():
            if code.split(".")[0] in groups and "." in code:
                assert is_setting(code), code


def is_word_of_ours(word: str) -> bool:
    labels = {label for family in CATALOGUE for label in family.label_names}
    values = {*WaitingOn, *Category, *ErrorKind, *SweepResult}
    return word in labels | values or is_setting(word) or is_parameter(word)


def is_setting(name: str) -> bool:
    page = settings_page()
    return f"\n| `{name}` |" in page or f"\n### `{name}`\n" in page


def is_parameter(name: str) -> bool:
    own = {each.name for alert in table.ALERTS for each in alert.own_parameters}
    return name in own | {each.name for each in SHARED}


def labels_of(family: Family) -> set[str]:
    return {*family.label_names, *ALWAYS, *({"le"} if family.kind in SPREAD_SUFFIXES else ())}


def selectors_in(expression: Expr) -> Iterator[VectorSelector]:
    for node in nodes_of(expression):
        if isinstance(node, VectorSelector):
            yield node


def grouping_labels(expression: Expr) -> Iterator[str]:
    for node in nodes_of(expression):
        if isinstance(node, AggregateExpr) and node.modifier is not None:
            yield from node.modifier.labels
        elif isinstance(node, BinaryExpr) and node.modifier is not None:
            matching = node.modifier.matching
            yield from matching.labels if matching is not None else ()


def nodes_of(expression: Expr) -> list[Expr]:
    found: list[Expr] = []

    def visit(node: Expr) -> None:
        found.append(node.vector_selector if isinstance(node, MatrixSelector) else node)

    promql_parser.walk(expression, visit)
    return found
