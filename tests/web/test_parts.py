"""The parts of the page: findings, charts, words, links."""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import unquote, urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.alerts.table import DEFAULTS
from exporter.collector.snapshot import HubIdentity, HubSnapshot, StateUse, Sweep, Trouble
from exporter.ledger.rules import FEWEST_FAILURES, FEWEST_FINISHES
from exporter.ledger.snapshot import CountersView, EntityLocks, UnfilteredView
from exporter.web.charts import chart_of
from exporter.web.findings import findings_of, status_of, trust_in
from exporter.web.formatting import percent, plural, rfc3339, size, span
from exporter.web.report import FinishesReport, HubStatus, Severity, links_to
from tests.ledger.world import NOW, row
from tests.web.hubs import (
    LIMITS,
    Contents,
    empty_hub,
    healthy_hub,
    hub_of,
    incident_hub,
    starting_hub,
    unreachable_hub,
)

AT = NOW + 12.0


def kinds(hub: HubSnapshot, at: float = AT) -> list[str]:
    return [finding.kind for finding in findings_of(hub, at)]


def status(hub: HubSnapshot, at: float = AT) -> HubStatus:
    return status_of(hub, findings_of(hub, at))


def with_sweep(hub: HubSnapshot, sweep: Sweep, **changes: object) -> HubSnapshot:
    state = msgspec.structs.replace(hub.sweeps[sweep], **changes)
    return replace(hub, sweeps={**hub.sweeps, sweep: state})


class TestFindings:
    def test_nothing_is_found_where_nothing_is_wrong(self) -> None:
        assert kinds(healthy_hub()) == []
        assert status(healthy_hub()) is HubStatus.OK

    @pytest.mark.parametrize(
        ("hub", "expected"),
        [
            (incident_hub(), HubStatus.ERROR),
            (unreachable_hub(), HubStatus.DOWN),
            (starting_hub(), HubStatus.STARTING),
            (empty_hub(), HubStatus.OK),
        ],
        ids=["incident", "unreachable", "starting", "empty"],
    )
    def test_the_status_is_that_of_the_worst(self, hub: HubSnapshot, expected: HubStatus) -> None:
        assert status(hub) is expected

    def test_the_worst_come_first(self) -> None:
        ranks = [list(Severity).index(each.severity) for each in findings_of(incident_hub(), AT)]
        assert ranks == sorted(ranks)
        assert len(set(ranks)) == 3

    def test_a_sweep_that_failed_once_is_a_warning_with_its_remedy(self) -> None:
        trouble = Trouble("throttled", "429, asked to wait", "lengthen intervals.entities")
        hub = with_sweep(healthy_hub(), Sweep.ENTITIES, trouble=trouble)
        (finding,) = findings_of(hub, AT)
        assert (finding.kind, finding.severity) == ("sweep_failed", Severity.WARNING)
        assert "entities" in finding.summary
        assert "429" in finding.summary
        assert finding.remedy == "Lengthen intervals.entities."

    def test_a_sweep_whose_numbers_are_withdrawn_is_said_with_what_is_missing(self) -> None:
        hub = with_sweep(healthy_hub(), Sweep.CENSUS, completed=NOW - 20_000.0)
        (finding,) = findings_of(hub, AT)
        assert finding.kind == "stale"
        assert "finished instances in storage" in finding.summary
        assert "In part" in trust_in(hub, AT)
        assert status(hub) is HubStatus.WARNING

    def test_a_sweep_that_is_off_is_no_finding(self) -> None:
        hub = with_sweep(healthy_hub(), Sweep.CENSUS, completed=None, configured=None)
        assert kinds(hub) == []
        assert trust_in(hub, AT).startswith("Yes")

    def test_withdrawn_numbers_are_not_judged(self) -> None:
        hub = incident_hub()
        assert set(kinds(hub, NOW + 1e6)) == {"stale"}
        assert trust_in(hub, NOW + 1e6).startswith("No")

    def test_accounts_that_are_not_written_are_a_warning(self) -> None:
        for use, words in (
            (StateUse({"write": 9}, NOW - 300.0), "was last written 4 min before the latest sweep"),
            (StateUse({"locked": 1}, None), "was never written"),
        ):
            (finding,) = findings_of(replace(healthy_hub(), state=use), AT)
            assert finding.kind == "state_not_kept"
            assert finding.summary == f"The state {words}. Counters may be frozen."
        assert kinds(replace(healthy_hub(), state=None)) == []

    def test_what_settings_leave_out_is_said(self) -> None:
        hub = healthy_hub()
        assert kinds(replace(hub, unfiltered=UnfilteredView(5, {}))) == ["outside_prefixes"]
        assert kinds(replace(hub, pages_remaining=0)) == ["page_budget"]
        assert kinds(replace(hub, pages_remaining=1)) == []
        folded = CountersView({"label_values_folded": {("orchestrator",): 3, ("entity",): 0}})
        assert kinds(replace(hub, counters=folded)) == ["names_folded"]
        unconfirmed = replace(hub.known, unconfirmed=2)
        assert kinds(replace(hub, known=unconfirmed)) == ["unconfirmed"]
        assert status(replace(hub, known=unconfirmed)) is HubStatus.OK

    @pytest.mark.parametrize(("skew", "word"), [(95.0, "ahead of"), (-95.0, "behind")])
    def test_a_wrong_clock_is_said(self, skew: float, word: str) -> None:
        (finding,) = findings_of(replace(healthy_hub(), clock_skew=skew), AT)
        assert finding.summary == f"The app's clock is 1 min {word} the exporter's."

    def test_locks_come_from_the_listing_of_all_where_there_is_one(self) -> None:
        hub = replace(
            healthy_hub(), unfiltered=UnfilteredView(0, {"cart": EntityLocks(3, 2, 0, 0)})
        )
        assert kinds(hub) == ["orphaned_locks"]

    def test_an_instance_and_instances_are_told_apart(self) -> None:
        hub = healthy_hub()
        assert hub.active is not None
        for count, words in ((1, "1 instance is over"), (2, "2 instances are over")):
            active = replace(hub.active, over_limit={("Order", "idle"): count})
            (finding,) = findings_of(replace(hub, active=active, is_diagnosed=False), AT)
            assert finding.summary.startswith(words)

    def test_until_the_first_histories_are_read_nothing_over_a_limit_is_called_an_error(
        self,
    ) -> None:
        hub = healthy_hub()
        assert hub.active is not None
        over = {("Order", "idle"): 2, ("Order", "pending"): 1, ("Order", "suspended"): 4}
        hub = replace(hub, active=replace(hub.active, over_limit=over))
        undiagnosed, suspended = findings_of(hub, AT)
        assert undiagnosed.summary == "3 instances over a limit: not diagnosed yet."
        assert suspended.summary.startswith("4 instances are over their suspended limit")
        assert status(hub) is HubStatus.WARNING

    def test_an_age_over_its_limit_is_an_error_as_its_alert_pages(self) -> None:
        hub = healthy_hub()
        assert hub.active is not None
        hub = replace(hub, active=replace(hub.active, over_limit={("Order", "age"): 3}))
        assert status(hub) is HubStatus.ERROR

    def test_many_orchestrators_over_a_limit_are_summed_up(self) -> None:
        hub = healthy_hub()
        assert hub.active is not None
        over = {(f"Order{i}", "age"): 10 - i for i in range(5)}
        (finding,) = findings_of(replace(hub, active=replace(hub.active, over_limit=over)), AT)
        assert finding.summary == (
            "40 instances are over their age limit: Order0 10, Order1 9, Order2 8 and 2 others."
        )


FAILING_LIMITS = {**LIMITS, "failure_ratio": 0.05, "unresolved_failures": 10.0}


def hub_that_ends(failed: int, completed: int, unresolved: int = 0) -> HubSnapshot:
    """Return a hub in which so many of Order ended within the hour, and failed before it."""
    contents = Contents(
        finished=[
            *(row(f"f{i}", "Failed", created=-60.0, updated=-50.0) for i in range(failed)),
            *(row(f"c{i}", "Completed", created=-60.0, updated=-50.0) for i in range(completed)),
        ],
        failed=[row(f"u{i}", "Failed", created=-90_100.0) for i in range(unresolved)],
    )
    hub = hub_of(contents, orchestrators=["Order"])
    return replace(hub, known=replace(hub.known, limits=FAILING_LIMITS))


class TestFailures:
    def test_those_of_a_normal_day_are_a_note_and_the_hub_is_ok(self) -> None:
        hub = hub_that_ends(failed=5, completed=95, unresolved=10)
        assert {(each.kind, each.severity) for each in findings_of(hub, AT)} == {
            ("failing", Severity.NOTE),
            ("unresolved_failures", Severity.NOTE),
        }
        assert status(hub) is HubStatus.OK

    @pytest.mark.parametrize(
        ("failed", "completed"), [(6, 94), (3, 17), (1, 0)], ids=["share", "few", "all"]
    )
    def test_too_many_are_a_warning_that_names_the_orchestrator(
        self, failed: int, completed: int
    ) -> None:
        hub = hub_that_ends(failed, completed)
        (finding,) = [each for each in findings_of(hub, AT) if each.kind == "failing"]
        assert finding.severity is Severity.WARNING
        assert finding.summary.endswith(" Failing recently: Order.")

    @pytest.mark.parametrize(("failed", "completed"), [(2, 18), (3, 16), (0, 0)])
    def test_a_few_are_no_trend(self, failed: int, completed: int) -> None:
        assert status(hub_that_ends(failed, completed)) is HubStatus.OK

    @pytest.mark.parametrize(
        ("unresolved", "failed", "own", "expected"),
        [
            (11, 6, None, HubStatus.WARNING),
            (11, 5, None, HubStatus.OK),
            (1, 0, 0.0, HubStatus.WARNING),
            (99, 0, 100.0, HubStatus.OK),
        ],
    )
    def test_unresolved_ones_count_with_the_share_or_by_a_limit_of_their_own(
        self, unresolved: int, failed: int, own: float | None, expected: HubStatus
    ) -> None:
        hub = hub_that_ends(failed, 100 - failed, unresolved)
        limits = {} if own is None else {"unresolved_failures": own}
        hub = replace(hub, known=replace(hub.known, own_limits={"Order": limits}))
        said = [each for each in findings_of(hub, AT) if each.kind == "unresolved_failures"]
        assert status_of(hub, said) is expected

    def test_the_alert_needs_as_many(self) -> None:
        assert DEFAULTS["failure_ratio_finishes"] == f"{FEWEST_FINISHES}"
        assert DEFAULTS["failure_ratio_failures"] == f"{FEWEST_FAILURES}"


COUNTS = st.lists(st.integers(0, 1000), min_size=72, max_size=72)


class TestCharts:
    @given(COUNTS, COUNTS, COUNTS, st.sampled_from([24, 72]))
    def test_bars_stay_within_and_nothing_that_is_there_is_invisible(
        self, completed: list[int], failed: list[int], other: list[int], bars: int
    ) -> None:
        chart = chart_of(FinishesReport("", 300.0, completed, failed, other), 100, bars)
        assert chart is not None
        together = 72 // bars
        for finished, path in ((completed, chart.completed), (failed, chart.failed)):
            expected = [
                place
                for place in range(bars)
                if sum(finished[place * together : (place + 1) * together])
            ]
            drawn = re.findall(r"M(\d+) (\d+)v-(\d+)h8v(\d+)z", path)
            assert [int(left) // 10 for left, *_ in drawn] == expected
            for _, foot, up, down in drawn:
                assert up == down
                assert int(up) >= 1
                assert int(foot) - int(up) >= 0
                assert int(foot) <= 100

    def test_what_is_drawn_is_also_said(self) -> None:
        counts = [0] * 70 + [3, 4]
        chart = chart_of(FinishesReport("", 300.0, counts, [0] * 71 + [1], [0] * 72), 28, 24)
        assert chart is not None
        assert chart.summary == (
            "Finishes of the last 6 h: 7 completed, 1 failed; at most 8 finishes in 15 min"
        )

    def test_nothing_is_said_as_such(self) -> None:
        none = [0] * 72
        chart = chart_of(FinishesReport("", 300.0, none, none, none), 28, 24)
        assert chart is not None
        assert (chart.completed, chart.failed) == ("", "")
        assert chart.summary == "Nothing finished in the last 6 h"
        assert chart_of(None, 28, 24) is None


class TestWords:
    @pytest.mark.parametrize(
        ("seconds", "text"),
        [
            (-3.0, "0 s"), (0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min"), (3599.0, "59 min"),
            (3600.0, "1 h"), (9120.0, "2 h 32 min"), (36_000.0, "10 h"), (86_399.0, "23 h"),
            (86_400.0, "1 d"), (90_000.0, "1 d 1 h"), (1e6, "11 d"), (1e9, "11574 d"),
        ],
    )  # fmt: skip
    def test_spans(self, seconds: float, text: str) -> None:
        assert span(seconds) == text

    @pytest.mark.parametrize(
        ("ratio", "text"),
        [
            (0.0, "0%"), (0.00001, "< 0.1%"), (0.5, "50%"), (0.2727, "27.3%"),
            (0.99999, "> 99.9%"), (1.0, "100%"),
        ],
    )  # fmt: skip
    def test_shares(self, ratio: float, text: str) -> None:
        assert percent(ratio) == text

    def test_sizes_and_numbers(self) -> None:
        assert [size(each) for each in (0, 1023, 1536, 5 << 30, 3 << 50)] == [
            "0 B", "1023 B", "1.5 KiB", "5.0 GiB", "3072.0 TiB",
        ]  # fmt: skip
        assert plural(1, "retry", "retries") == "1 retry"
        assert plural(1200, "instance") == "1,200 instances"

    def test_moments(self) -> None:
        assert rfc3339(NOW) == "2026-09-21T14:13:20Z"
        assert rfc3339(None) is None


# Half of the characters mean something in a URL.
RESERVED = st.sampled_from("/?#&=%@:;{}<>\\\"'+. ")
HOSTILE = st.text(RESERVED | st.characters(codec="utf-8"), min_size=1, max_size=40)


class TestLinks:
    @given(HOSTILE, HOSTILE, HOSTILE)
    def test_whatever_an_id_is_a_link_leads_where_the_template_says(
        self, instance_id: str, hub: str, orchestrator: str
    ) -> None:
        template = "https://x.example/{hub_name}/i/{instance_id}?o={orchestrator}&h={task_hub}#f"
        identity = HubIdentity(hub, "app", "", "", links={"monitor": template})
        link = links_to(identity, instance_id, orchestrator)["monitor"]
        parts = urlsplit(link)
        assert (parts.scheme, parts.netloc, parts.fragment) == ("https", "x.example", "f")
        assert [unquote(each) for each in parts.path.split("/")] == ["", hub, "i", instance_id]
        assert [unquote(each.partition("=")[2]) for each in parts.query.split("&")] == [
            orchestrator,
            hub,
        ]

    def test_braces_that_stand_for_themselves_stay(self) -> None:
        identity = HubIdentity("a", "app", "H", "", links={"q": "https://x/?q={{{instance_id}}}"})
        assert links_to(identity, "{task_hub}", "o") == {"q": "https://x/?q={%7Btask_hub%7D}"}
