"""The runbooks, as the exporter serves them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import pytest

from exporter.web import runbook_pages
from exporter.web.runbook_pages import INDEX, runbook_names, runbook_page
from tests.runbooks.pages import FOLDER, OF_ALERTS
from tests.web.hubs import healthy_hub, incident_hub, unreachable_hub
from tests.web.looking import Read, serving_hubs

pytestmark = pytest.mark.anyio


@pytest.fixture
def no_page_is_known() -> Iterator[None]:
    """Let pages be made anew, before and after."""
    runbook_names.cache_clear()
    runbook_page.cache_clear()
    yield
    runbook_names.cache_clear()
    runbook_page.cache_clear()


class TestServing:
    async def test_every_runbook_is_a_page_of_its_own(self) -> None:
        async with serving_hubs(healthy_hub()) as client:
            for name, source in OF_ALERTS.items():
                answer = await client.get(f"/runbooks/{name}")
                assert answer.status_code == 200
                page = Read(answer.text)
                assert ("title", {}) in page.elements
                for heading in source.headings(2):
                    assert heading in page.text

    @pytest.mark.parametrize("path", ["/runbooks/", "/runbooks/README/"])
    async def test_a_slash_too_many_is_redirected_relatively(self, path: str) -> None:
        async with serving_hubs(healthy_hub()) as client:
            answer = await client.get(path, headers={"host": "evil.example"})
        assert answer.status_code == 307
        assert answer.headers["location"].startswith("../")
        assert urljoin(path, answer.headers["location"]) == path.removesuffix("/")

    async def test_the_index_leads_to_all_of_them(self) -> None:
        async with serving_hubs(healthy_hub()) as client:
            links = Read((await client.get("/runbooks")).text).links()
        assert {f"./runbooks/{name}" for name in runbook_names()} <= set(links)

    async def test_every_link_of_every_page_leads_to_a_page_and_a_heading(self) -> None:
        async with serving_hubs(healthy_hub()) as client:
            anchors: dict[str, set[str | None]] = {}
            links: set[tuple[str, str]] = set()
            for path in ("/runbooks", *(f"/runbooks/{name}" for name in runbook_names())):
                page = Read((await client.get(path)).text)
                anchors[path] = {attributes.get("id") for _, attributes in page.elements}
                links |= {(path, link) for link in page.links()}
            for path, link in links:
                target, _, anchor = urljoin(path, link).partition("#")
                if target not in anchors:
                    assert (await client.get(target)).status_code == 200, (path, link)
                elif anchor:
                    assert anchor in anchors[target], (path, link)

    async def test_it_works_below_any_path_of_a_proxy(self) -> None:
        async with serving_hubs(healthy_hub()) as client:
            for path in ("/runbooks", "/runbooks/DurableFunctionsHubStalled"):
                for link in Read((await client.get(path)).text).links():
                    assert not link.startswith(("/", "http")), link

    @pytest.mark.parametrize(
        "name", ["Nothing", "README", "durablefunctionshubstalled", "..%2Fmetrics", "%00", "a/b"]
    )
    async def test_an_unknown_one_is_not_found(self, name: str) -> None:
        async with serving_hubs(healthy_hub()) as client:
            assert (await client.get(f"/runbooks/{name}")).status_code == 404

    @pytest.mark.parametrize("path", ["/runbooks", "/runbooks/DurableFunctionsHubStalled"])
    async def test_head_is_allowed_and_other_methods_are_not(self, path: str) -> None:
        async with serving_hubs(healthy_hub()) as client:
            head = await client.head(path)
            assert (head.status_code, head.content) == (200, b"")
            assert int(head.headers["content-length"]) > 1000
            assert (await client.post(path)).status_code == 405

    @pytest.mark.parametrize("path", ["/runbooks", "/runbooks/DurableFunctionsHubStalled"])
    async def test_it_has_the_policy_of_the_other_pages_and_stays_as_it_is(self, path: str) -> None:
        async with serving_hubs(healthy_hub()) as client:
            answer, status = await client.get(path), await client.get("/")
        name = "content-security-policy"
        assert answer.headers[name] == status.headers[name]
        assert "refresh" not in answer.headers
        assert answer.headers["cache-control"] == "public, max-age=300"
        page = Read(answer.text)
        assert not any(tag in ("script", "style", "iframe") for tag, _ in page.elements)
        assert not any("style" in attributes for _, attributes in page.elements)


class TestRendering:
    @pytest.mark.usefixtures("no_page_is_known")
    def test_a_page_is_made_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        page = runbook_page("DurableFunctionsHubStalled", "../")
        monkeypatch.setattr(runbook_pages, "_markdown", None)
        assert runbook_page("DurableFunctionsHubStalled", "../") is page

    @pytest.mark.usefixtures("no_page_is_known")
    def test_markup_and_links_to_scripts_in_a_file_are_text(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "runbooks").mkdir()
        (tmp_path / "runbooks" / "Odd.md").write_text(
            "# A <b>title</b> & more\n\n<script>alert(1)</script> [x](javascript:alert(1))\n",
            encoding="utf-8",
        )
        monkeypatch.setattr("exporter.web.runbook_pages.resources.files", lambda _package: tmp_path)
        assert runbook_names() == {"Odd"}
        page = runbook_page("Odd", "../")
        assert "<script" not in page
        assert "<title>A &lt;b&gt;title&lt;/b&gt; &amp; more</title>" in page
        assert not any("javascript" in link for link in Read(page).links())

    def test_cells_say_what_their_column_is_called(self) -> None:
        page = Read(runbook_page("DurableFunctionsDataStale", "../"))
        cells = [attributes for tag, attributes in page.elements if tag == "td"]
        assert {attributes["data-label"] for attributes in cells} >= {"sweep", "what is stale"}
        assert {attributes["role"] for attributes in cells} == {"cell"}

    def test_the_package_serves_the_files_of_the_docs(self) -> None:
        assert runbook_names() | {INDEX} == {path.stem for path in FOLDER.glob("*.md")}


class TestFindings:
    async def test_lead_to_their_runbooks_from_every_page(self) -> None:
        async with serving_hubs(healthy_hub(), incident_hub(), unreachable_hub()) as client:
            overview = Read((await client.get("/")).text).links()
            hub = Read((await client.get("/hubs/payments")).text).links()
            for link in hub:
                if "runbooks/" in link:
                    target = urljoin("/hubs/payments", link)
                    assert (await client.get(target)).status_code == 200
        assert "./runbooks/DurableFunctionsHubUnreachable" in overview
        assert "../runbooks/DurableFunctionsOrchestrationStalled" in hub
        assert "../runbooks/DurableFunctionsEntityLockOrphaned" in hub
        assert "../runbooks/DurableFunctionsOrchestrationsFailing" in hub

    async def test_name_them_in_the_json_too(self) -> None:
        async with serving_hubs(unreachable_hub()) as client:
            report = (await client.get("/api/v1/hubs/billing")).json()
        by_kind = {finding["kind"]: finding["runbook"] for finding in report["findings"]}
        assert by_kind["down"] == "DurableFunctionsHubUnreachable"
