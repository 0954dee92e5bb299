"""The pages for people, as a client without a browser sees them."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urljoin

import httpx
import pytest

from exporter.collector.snapshot import HubSnapshot
from exporter.diagnosis.blame import Blame, End
from exporter.diagnosis.groups import Waiting
from exporter.diagnosis.view import Coverage
from exporter.diagnosis.waits import Wait, WaitingOn
from exporter.web import app as app_module
from exporter.web.page import MOST_IN_DETAIL, View, hub_page, overview_page
from tests.ledger.world import NOW, row
from tests.web.hubs import (
    Contents,
    empty_hub,
    healthy_hub,
    hostile_hub,
    hub_of,
    incident_hub,
    starting_hub,
    unreachable_hub,
    view_of,
)
from tests.web.looking import Read, serving_hubs

pytestmark = pytest.mark.anyio

ODD_NAMES = ["a/b", "a b", "50%", "q?x=1#y", "Köln", "a%2Fb", "..a", "'\"<&>"]
FORBIDDEN = ("'unsafe", "data:", "*")


def named(name: str) -> HubSnapshot:
    empty = empty_hub()
    return replace(empty, identity=replace(empty.identity, name=name))


class TestOverview:
    async def test_it_says_what_is_wrong_where_and_what_to_do(self) -> None:
        async with serving_hubs(healthy_hub(), incident_hub(), unreachable_hub()) as client:
            page = Read((await client.get("/")).text)
        assert "2 of 3 task hubs have errors" in page.text
        assert "159 instances stalled: 137 PaymentSaga: activity ChargeCard for 2 h" in page.text
        assert "nothing accepts connections" in page.text
        assert "See whether the app runs" in page.text
        assert "9eea364db612488832433c4ea2ea6bc8" in page.text
        assert page.links().index("hubs/billing") < page.links().index("hubs/payments")

    async def test_it_says_that_all_is_well_only_if_it_is(self) -> None:
        async with serving_hubs(healthy_hub("a"), healthy_hub("b")) as client:
            page = Read((await client.get("/")).text)
        assert "All 2 task hubs are healthy" in page.text
        assert "Yes: every sweep of every hub is fresh." in page.text
        async with serving_hubs(healthy_hub("a"), starting_hub()) as client:
            page = Read((await client.get("/")).text)
        assert "1 of 2 task hubs has not been polled yet" in page.text
        assert "For 1 of 2 hubs, yes" in page.text

    async def test_a_single_hub_is_shown_with_everything(self) -> None:
        async with serving_hubs(incident_hub()) as client:
            page = Read((await client.get("/")).text)
        assert "Unresolved failures" in page.text
        assert "All task hubs" not in page.text

    async def test_no_hub_at_all_is_said(self) -> None:
        async with serving_hubs() as client:
            assert "No task hub is polled here" in (await client.get("/")).text

    async def test_five_hundred_hubs_are_shown_the_worst_first_with_few_in_detail(self) -> None:
        well, bad, down = healthy_hub(), incident_hub(), unreachable_hub()
        hubs = [_called(well, f"well-{i:03}") for i in range(460)]
        hubs += [_called(bad, f"bad-{i:02}") for i in range(30)]
        hubs += [_called(down, f"down-{i:02}") for i in range(10)]
        async with serving_hubs(*hubs) as client:
            answer = await client.get("/")
        page = Read(answer.text)
        order = [link for link in page.links() if link.startswith("hubs/")]
        detailed, listed = order[:MOST_IN_DETAIL], order[MOST_IN_DETAIL:]
        assert len(listed) == len(set(listed)) == 500
        assert detailed == listed[:MOST_IN_DETAIL]
        assert [link[5:9] for link in listed] == ["down"] * 10 + ["bad-"] * 30 + ["well"] * 460
        assert "See the table for 32 more hubs" in page.text
        assert len(answer.content) < 1_000_000

    async def test_it_is_made_in_a_thread_so_that_no_scrape_waits(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        threads = []

        def make(hubs: Sequence[HubSnapshot], view: View) -> str:
            threads.append(threading.current_thread())
            return overview_page(hubs, view)

        monkeypatch.setattr(app_module, "overview_page", make)
        async with serving_hubs(healthy_hub()) as client:
            await client.get("/")
        assert threads
        assert threads[0] is not threading.main_thread()


def _called(hub: HubSnapshot, name: str) -> HubSnapshot:
    return replace(hub, identity=replace(hub.identity, name=name))


class TestHub:
    async def test_an_incident_is_told_with_ids_reasons_and_links(self) -> None:
        async with serving_hubs(healthy_hub(), incident_hub()) as client:
            page = Read((await client.get("/hubs/payments")).text)
        assert "Needs attention" in page.text
        assert "69 of 253 failed in the last hour (27.3%)." in page.text
        assert "9 entities are permanently locked: account 9." in page.text
        assert "10 samples of 162" in page.text
        assert "ChargeCard" in page.text
        assert "TimeoutException" in page.text
        monitor = "https://dfm.example/PaymentsHub/orchestrations/9eea364db612488832433c4ea2ea6bc8"
        assert monitor in page.links()

    async def test_an_unreachable_hub_tells_how_old_its_numbers_are(self) -> None:
        async with serving_hubs(unreachable_hub(), empty_hub()) as client:
            page = Read((await client.get("/hubs/billing")).text)
        assert "Cannot be polled" in page.text
        assert "Only as of 4 min ago; removed in 10 min." in page.text
        assert "(connect): nothing accepts connections at" in page.text

    async def test_a_number_that_is_not_known_is_a_dash_not_a_zero(self) -> None:
        async with serving_hubs(unreachable_hub(since=1e6)) as client:
            page = (await client.get("/")).text
        assert "No: active instances were last listed" in page
        row = page[page.index('scope="row">Process') :].partition("</tr>")[0]
        assert row.count("unknown") == 12
        assert ">0<" not in row

    async def test_an_empty_hub_is_no_healthy_one_without_a_word(self) -> None:
        async with serving_hubs(empty_hub()) as client:
            page = Read((await client.get("/")).text)
        assert "This task hub is empty" in page.text
        assert "Compare task_hub and connection" in page.text

    async def test_a_hub_that_was_not_polled_yet_shows_no_number(self) -> None:
        async with serving_hubs(starting_hub()) as client:
            page = Read((await client.get("/")).text)
        assert "Not yet: no active sweep is complete." in page.text
        assert "Not polled yet" in page.text

    async def test_an_unknown_hub_is_not_found_and_named_harmlessly(self) -> None:
        async with serving_hubs(healthy_hub()) as client:
            answer = await client.get("/hubs/<script>alert(1)</script>")
        assert answer.status_code == 404
        assert "&lt;script&gt;alert(1)" in answer.text
        assert "<script>" not in answer.text

    async def test_a_hub_of_another_shard_is_said_to_be_findable(self) -> None:
        """The links of alerts lead to a Service, and that to any of the shards."""
        async with serving_hubs(healthy_hub()) as client:
            page = Read((await client.get("/hubs/elsewhere")).text)
        assert "the label pod of durable_functions_up names the shard of a hub" in page.text


class TestEveryPage:
    @pytest.mark.parametrize("path", ["/", "/hubs/orders", "/hubs/payments", "/hubs/nope"])
    async def test_its_policy_allows_nothing_but_its_own_files(self, path: str) -> None:
        async with serving_hubs(healthy_hub(), incident_hub()) as client:
            answer = await client.get(path)
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert not any(word in policy for word in FORBIDDEN)
        page = Read(answer.text)
        assert not any(tag in ("style", "iframe") for tag, _ in page.elements)
        scripts = [attrs.get("src") or "" for tag, attrs in page.elements if tag == "script"]
        assert [urljoin(path, each) for each in scripts] == ["/assets/page.js"]
        for _, attributes in page.elements:
            assert not any(name == "style" or name.startswith("on") for name in attributes)

    async def test_it_refreshes_itself_until_somebody_stops_it(self) -> None:
        async with serving_hubs(healthy_hub(), incident_hub()) as client:
            refreshing, paused = await client.get("/"), await client.get("/?refresh=off")
        assert refreshing.headers["refresh"] == "30"
        assert "?refresh=off" in Read(refreshing.text).links()
        assert "refresh" not in paused.headers
        assert "hubs/payments?refresh=off" in Read(paused.text).links()
        assert "?" in Read(paused.text).links()

    async def test_all_its_links_lead_somewhere(self) -> None:
        async with serving_hubs(healthy_hub(), incident_hub()) as client:
            for path in ("/", "/hubs/orders", "/hubs/payments?refresh=off"):
                page = Read((await client.get(path)).text)
                targets = [
                    *page.links(),
                    *(attrs.get("href") for tag, attrs in page.elements if tag == "link"),
                ]
                for target in {urljoin(path, each or "") for each in targets}:
                    if target.startswith("/"):
                        assert (await client.get(target)).status_code == 200, target

    async def test_hubs_are_found_whatever_they_are_called(self) -> None:
        async with serving_hubs(*map(named, ODD_NAMES)) as client:
            overview = Read((await client.get("/")).text)
            found = set()
            for link in overview.links():
                if link.startswith("hubs/"):
                    assert "/" not in link[5:]
                    page = await client.get(f"/{link}")
                    assert page.status_code == 200
                    api = next(each for each in Read(page.text).links() if "api/v1" in each)
                    answer = await client.get(str(httpx.URL(f"/{link}").join(api)))
                    found.add(answer.json()["name"])
        assert found == set(ODD_NAMES)

    async def test_markup_in_names_is_text(self) -> None:
        hub = hostile_hub()
        encoded = "".join(f"%{byte:02X}" for byte in hub.identity.name.encode())
        async with serving_hubs(hub, incident_hub()) as client:
            answers = [await client.get(path) for path in ("/", f"/hubs/{encoded}")]
        for answer in answers:
            assert answer.status_code == 200
            assert "<script>" not in answer.text
            assert "<img" not in answer.text
            assert "&lt;script&gt;" in answer.text
            for link in Read(answer.text).links():
                assert not link.startswith("javascript")
                assert "<" not in link

    @pytest.mark.parametrize("path", ["/", "/hubs/orders", "/api/v1/hubs", "/assets/page.css"])
    async def test_head_is_allowed_and_other_methods_are_not(self, path: str) -> None:
        async with serving_hubs(healthy_hub()) as client:
            head = await client.head(path)
            assert (head.status_code, head.content) == (200, b"")
            for method in ("POST", "PUT", "DELETE"):
                assert (await client.request(method, path)).status_code == 405

    async def test_only_its_own_files_are_served(self) -> None:
        async with serving_hubs(healthy_hub()) as client:
            style = await client.get("/assets/page.css")
            assert style.headers["content-type"] == "text/css; charset=utf-8"
            for path in (
                "/assets/../page.py",
                "/assets/%2e%2e%2fpage.py",
                "/assets/nope",
                "/assets/",
            ):
                assert (await client.get(path)).status_code == 404


async def test_a_page_shows_what_was_published_last() -> None:
    hubs = [healthy_hub("alpha")]
    view = View(NOW, "./", refreshes=True)
    assert "alpha" in overview_page(hubs, view)
    hubs[:] = [healthy_hub("omega")]
    assert "alpha" not in overview_page(hubs, view)


async def test_a_hub_of_500_orchestrators_and_100_000_instances_is_a_small_page_and_fast() -> None:
    names = [f"Orchestrator{number:03}" for number in range(500)]
    rows = [
        row(f"{number:032x}", created=-9000.0 - number % 5000, name=names[number % 500])
        for number in range(100_000)
    ]
    hub = hub_of(Contents(active=rows), "big", names)
    ships = [Wait(WaitingOn.ACTIVITY, name, NOW - 8000.0) for name in names]
    waiting = [
        Waiting(name, wait, wait, Blame((name,), wait, wait, End.LEAF, name, ""), 10)
        for name, wait in zip(names, ships, strict=True)
    ]
    coverage = {name: Coverage(200, 10) for name in names}
    hub = replace(hub, diagnosis=view_of(waiting, coverage, {}))
    view = View(NOW + 12.0, "./", refreshes=True)
    took = []
    for _ in range(3):
        begin = time.process_time()
        page = hub_page(hub, view)
        took.append(time.process_time() - begin)
    assert min(took) < 0.3
    assert len(page) < 500_000
    assert "480 more groups" in page
