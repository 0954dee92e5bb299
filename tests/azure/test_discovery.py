"""Apps of Azure are found, named, left out with a reason, and kept while Azure does not answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from emulator.azure.cloud import STOPPED
from emulator.azure.resource_manager import READ_FUNCTIONS, READ_GRAPH
from exporter.api.errors import ApiError, ErrorKind
from exporter.discovery.apps import Row, app_of
from exporter.settings import Shard
from tests.azure.fleet import searching
from tests.azure.stand_in import Azure, site, subscription
from tests.settings.configured import URL, load, problems

pytestmark = pytest.mark.anyio

AZURE = "DISCOVERY__AZURE__"
HOST = "management.azure.localhost"


async def test_an_app_is_polled_at_its_own_host_with_labels_of_where_it_is(place: Azure) -> None:
    place.cloud.sites[0].tags = {"Team": "payments", "Secret": "no label"}
    async with searching(place, **{f"{AZURE}LABEL_TAGS": "team"}, LABELS='{"stage": "prod"}') as it:
        (hub,) = await it.search()
        assert (hub.name, hub.task_hub, hub.access) == ("orders", None, "key")
        assert hub.base_url.startswith(f"https://orders.azure.localhost:{place.cloud.port}/")
        assert hub.labels == {
            "resource_group": "Shop",
            "subscription": subscription(0),
            "region": "westeurope",
            "team": "payments",
            "stage": "prod",
        }


async def test_all_pages_are_read_and_many_apps_are_found_once_each(place: Azure) -> None:
    place.cloud.page_size = 7
    place.cloud.sites = [site(f"app-{number}", number=number % 3) for number in range(20)]
    async with searching(place) as it:
        names = [hub.name for hub in await it.search()]
        assert sorted(names) == sorted(app.name for app in place.cloud.sites)


async def test_only_what_runs_durable_functions_is_polled_and_every_other_app_has_a_reason(
    place: Azure,
) -> None:
    place.cloud.sites += [
        site("plain", bindings=("httpTrigger", "queueTrigger", "timerTrigger")),
        site("logic", kind="functionapp,workflowapp"),
        site("asleep", state=STOPPED),
        site("bare", bindings=()),
        site("orders/staging"),
        site("secret", tags={"monitoring": "off"}),
        site("website", kind="app,linux"),
    ]
    async with searching(place, **{f"{AZURE}EXCLUDE_TAGS": '{"Monitoring": "OFF"}'}) as it:
        assert [hub.name for hub in await it.search()] == ["orders"]
        assert it.reasons() == {
            "plain": "no Durable Functions among its bindings",
            "logic": "Logic App",
            "asleep": "it is stopped",
            "bare": "it shows no functions",
            "secret": "has a tag of discovery.azure.exclude_tags",
        }
        view = it.discovery.view()
        assert view is not None
        assert view.apps == {"polled": 1, "left_out": 3, "unknown": 2}


@pytest.mark.parametrize(
    ("setting", "value", "found"),
    [
        ("NAMES", "ORD*", ["orders"]),
        ("EXCLUDE_NAMES", "orders", ["billing", "mail"]),
        ("RESOURCE_GROUPS", "money", ["billing"]),
        ("SUBSCRIPTIONS", subscription(1).upper(), ["mail"]),
        ("INCLUDE_TAGS", '{"team": "pay*"}', ["billing"]),
        ("SLOTS", "true", ["billing", "mail", "orders", "orders-staging"]),
    ],
)
async def test_scopes_names_and_tags_choose(
    place: Azure, setting: str, value: str, found: list[str]
) -> None:
    place.cloud.sites += [
        site("billing", "Money", tags={"Team": "Payments"}),
        site("mail", number=1),
        site("orders/staging"),
    ]
    async with searching(place, **{AZURE + setting: value}) as it:
        assert sorted(hub.name for hub in await it.search()) == found


async def test_equal_names_in_two_groups_differ_and_stay(place: Azure, tmp_path: Path) -> None:
    async with searching(place, tmp_path) as it:
        assert [hub.name for hub in await it.search()] == ["orders"]
        place.cloud.sites.append(site("orders", "Returns", host="orders-returns"))
        both = {hub.name: hub.resource_id for hub in await it.search()}
        assert set(both) == {"orders", "orders.Returns"}
        place.cloud.sites.reverse()
        assert {hub.name: hub.resource_id for hub in await it.search()} == both
    async with searching(place) as another:
        # Who sees both at once cannot know which of them came first.
        names = {hub.name for hub in await another.search()}
        assert names == {"orders.Shop", "orders.Returns"}


async def test_shards_share_found_apps_by_their_ids_whatever_they_are_called(
    place: Azure,
) -> None:
    place.cloud.sites = [site(f"app-{number}") for number in range(12)]
    held: list[str] = []
    for index in range(3):
        async with searching(place, SHARD=f"{index}/3") as it:
            found = await it.search()
            held += [hub.name for hub in found if Shard(index, 3).holds(hub.shard_key)]
            assert it.discovery.extend(it.settings).own_hubs
    assert sorted(held) == sorted(app.name for app in place.cloud.sites)


async def test_an_app_that_is_gone_for_three_searches_is_given_up(place: Azure) -> None:
    place.cloud.sites.append(site("billing"))
    async with searching(place) as it:
        await it.search()
        gone = place.cloud.sites.pop()
        assert len(await it.search()) == 2
        assert len(await it.search()) == 2
        assert [hub.name for hub in await it.search()] == ["orders"]
        place.cloud.sites.append(gone)
        assert len(await it.search()) == 2


@pytest.mark.parametrize("cause", ["right", "token", "throttled", "cut", "gone", "role"])
async def test_a_search_that_fails_keeps_the_apps_that_are_known(
    place: Azure, cause: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.cloud.page_size = 1
    place.cloud.sites.append(site("billing"))
    async with searching(place, RETRIES__MAX_RETRIES="0") as it:
        before = await it.search()
        kind = ErrorKind.AZURE_AUTH
        if cause == "right":
            place.cloud.denied.add(READ_GRAPH)
        elif cause == "token":
            place.cloud.refuses_tokens = True
            place.cloud.expire_tokens()
        elif cause == "throttled":
            place.cloud.queries.remaining = 0
            kind = ErrorKind.AZURE_THROTTLED
        elif cause == "role":
            place.cloud.sites.clear()
        elif cause == "cut":
            monkeypatch.setattr("emulator.azure.resource_manager.page", cut)
            kind = ErrorKind.TOO_LARGE
        else:
            place.cloud.port = 9
            kind = ErrorKind.AZURE_SERVER
            monkeypatch.setattr("emulator.azure.app.RESOURCE_MANAGER", "elsewhere")
        with pytest.raises(ApiError) as caught:
            await it.search()
        assert caught.value.kind is kind
        assert it.found() == before
        if cause == "throttled":
            assert 0 < (caught.value.retry_after or 0) <= 5


def cut(*_: object) -> dict[str, object]:
    return {"totalRecords": 5, "count": 0, "data": [], "resultTruncated": "true"}


async def test_one_row_that_cannot_be_read_hides_no_other(
    place: Azure, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"id": 7}, {"id": "/subscriptions/x"}, "text", None]
    sane = place.cloud.sites[0].row(place.cloud.port)
    good = {"id": sane["id"], "defaultHostName": "orders.azure.localhost", "tags": {"a": None}}
    answer = {"totalRecords": 5, "data": [*rows, good]}
    monkeypatch.setattr("emulator.azure.resource_manager.page", lambda *_: answer)
    async with searching(place) as it:
        assert [hub.name for hub in await it.search()] == ["orders"]


@pytest.mark.parametrize(
    "host", ["", "a b", "evil.example/path", "user@evil.example", "evil.example?x", "a" * 300]
)
def test_a_host_that_is_none_makes_no_app(host: str) -> None:
    resource_id = site("orders").resource_id
    assert app_of(Row(resource_id, default_host_name="orders.example")) is not None
    assert app_of(Row(resource_id, default_host_name=host)) is None
    assert app_of(Row(f"{resource_id}/../other", default_host_name="orders.example")) is None


async def test_a_right_that_lacks_leaves_it_unknown_unless_it_was_known_before(
    place: Azure,
) -> None:
    async with searching(place) as it:
        await it.search()
        place.cloud.denied.add(READ_FUNCTIONS)
        place.cloud.sites.append(site("billing"))
        it.now += 7200
        assert [hub.name for hub in await it.search()] == ["orders"]
        assert "AuthorizationFailed" in it.reasons()["billing"]


async def test_what_was_found_survives_a_restart_in_an_outage(place: Azure, tmp_path: Path) -> None:
    async with searching(place, tmp_path) as it:
        await it.discovery.search(it.settings)
        before = it.found()
        await it.discovery._keep()
    assert "key-of" not in (tmp_path / "discovery.json").read_text()
    place.cloud.refuses_tokens = True
    async with searching(place, tmp_path) as it:
        assert it.found() == before
        assert it.discovery.is_settled


async def test_a_file_that_cannot_be_used_is_begun_anew(place: Azure, tmp_path: Path) -> None:
    (tmp_path / "discovery.json").write_text("{")
    async with searching(place, tmp_path) as it:
        assert it.found() == []
        assert not it.discovery.is_settled
        assert len(await it.search()) == 1


async def test_an_app_that_is_listed_is_polled_once(place: Azure) -> None:
    (app,) = place.cloud.sites
    listed = {"HUBS__MINE__URL": place.url_of(app), "KEY": "a-key-of-the-listed-hub"}
    async with searching(place, **listed) as it:
        assert await it.search() == []
        assert it.reasons() == {"orders": "listed as hub mine"}
    async with searching(place, **listed, HUBS__MINE__TASK_HUB="Other") as it:
        assert [hub.name for hub in await it.search()] == ["orders"]


async def test_a_listed_hub_keeps_its_name_from_a_found_one(place: Azure) -> None:
    async with searching(place, HUBS__ORDERS__URL=URL) as it:
        assert [hub.name for hub in await it.search()] == ["orders.Shop"]


async def test_no_secret_of_a_default_goes_to_a_found_app(place: Azure) -> None:
    async with searching(
        place, KEY="the-key-of-all-others", HEADERS='{"x-gateway": "hush-hush"}'
    ) as it:
        (hub,) = await it.search()
        assert (hub.key, hub.key_path, hub.headers) == (None, None, {})


async def test_settings_follow_names_and_tags_and_then_the_defaults(place: Azure) -> None:
    place.cloud.sites[0].tags = {"team": "payments"}
    rules = {
        "orders": {"intervals": {"active": "20s"}},
        "ord*": {"intervals": {"active": "1m", "census": "2h"}},
        "tag:Team=pay*": {"may_stop": True},
        "other": {"max_pages": 7},
    }
    more = {f"{AZURE}HUBS": json.dumps(rules), "INTERVALS__ENTITIES": "9m", "LIMITS__PENDING": "3m"}
    async with searching(place, **more) as it:
        (hub,) = await it.search()
        intervals = hub.intervals
        assert (intervals.active, intervals.census, intervals.entities) == (20, 7200, 540)
        assert (hub.may_stop, hub.limits.pending, hub.max_pages) == (True, 180, 100_000)
    async with searching(place, **{f"{AZURE}ACCESS": "resource-manager"}) as it:
        assert [hub.intervals.active for hub in await it.search()] == [60]


async def test_settings_that_contradict_each_other_leave_that_app_out(place: Azure) -> None:
    place.cloud.sites.append(site("billing"))
    rules = {"orders": {"lookback": "1m"}}
    async with searching(place, **{f"{AZURE}HUBS": json.dumps(rules)}) as it:
        assert [hub.name for hub in await it.search()] == ["billing"]
        assert it.reasons()["orders"] == (
            "its settings: lookback is shorter than overlap: raise it, or lower overlap"
        )


def test_mistakes_are_said_where_they_were_made() -> None:
    enabled = {f"{AZURE}ENABLED": "true"}
    assert load(enabled).hubs == ()
    (wrong,) = problems({**enabled, "LIMITS__PENDING": "soon"})
    assert wrong.startswith("DURABLE_EXPORTER_LIMITS__PENDING: ")
    wrongs = problems(
        {
            **enabled,
            f"{AZURE}SUBSCRIPTIONS": "prod",
            f"{AZURE}LABEL_TAGS": "region",
            f"{AZURE}CLOUD": "http://a",
            f"{AZURE}INTERVAL": "1s",
            f"{AZURE}HUBS": '{"tag:team": {}}',
        }
    )
    assert len(wrongs) == 5


async def test_the_token_goes_nowhere_else_whatever_an_answer_says(
    place: Azure, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.cloud.sites[0].bindings = ("httpTrigger", "timerTrigger", "orchestrationTrigger")
    async with searching(place) as it:
        assert [hub.name for hub in await it.search()] == ["orders"]
    monkeypatch.setattr(
        type(place.cloud),
        "resource_manager",
        property(lambda _: f"evil.example:{place.cloud.port}"),
    )
    async with searching(
        place, DISCOVERY__AZURE__CLOUD=place.url.replace("evil.example", HOST)
    ) as it:
        assert await it.search() == []
        assert "somewhere else" in it.reasons()["orders"]


async def test_a_list_that_leads_in_a_circle_is_an_error(
    place: Azure, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = {"totalRecords": 9, "data": [], "$skipToken": "again"}
    monkeypatch.setattr("emulator.azure.resource_manager.page", lambda *_: answer)
    async with searching(place) as it:
        with pytest.raises(ApiError) as caught:
            await it.search()
        assert caught.value.kind is ErrorKind.PROTOCOL
        assert "circle" in caught.value.reason
