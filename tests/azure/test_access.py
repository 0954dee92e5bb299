"""An app whose resource id is known is read without a key that anybody keeps, in both ways."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from emulator import RealClock, TaskHub
from emulator.azure.cloud import STOPPED, Site
from emulator.azure.resource_manager import LIST_KEYS, READ_ROUTE
from emulator.emulator import Verdict
from exporter.api.classify import Failures
from exporter.api.client import HubClient
from exporter.api.connection import SharedLimits, connect
from exporter.api.errors import ApiError, ErrorKind
from exporter.api.query import InstanceQuery
from exporter.ledger.status import ACTIVE
from exporter.settings import HubSettings
from tests.azure.stand_in import Azure, site
from tests.settings.configured import problems

pytestmark = pytest.mark.anyio

KEY, ROUTE = "key", "resource-manager"
BOTH = pytest.mark.parametrize("access", [KEY, ROUTE])


@asynccontextmanager
async def reading(
    where: Azure, app: Site, access: str, **more: str
) -> AsyncIterator[tuple[HubClient, SharedLimits]]:
    """Connect to an app that is listed with its resource id."""
    settings = where.settings(
        URL=where.url_of(app), RESOURCE_ID=app.resource_id, ACCESS=access, NAME="orders", **more
    )
    (hub,) = settings.hubs
    async with connected(hub) as made:
        yield made


@asynccontextmanager
async def connected(hub: HubSettings) -> AsyncIterator[tuple[HubClient, SharedLimits]]:
    shared = SharedLimits()
    client = connect(hub, shared)
    try:
        yield client, shared
    finally:
        await client.aclose()
        await shared.aclose()


async def ids(client: HubClient) -> set[str]:
    cursor = client.list_instances(InstanceQuery(statuses=ACTIVE))
    return {one async for page in client.pages(cursor) for one in page.ids}


async def refused(client: HubClient) -> ApiError:
    with pytest.raises(ApiError) as caught:
        await ids(client)
    return caught.value


@BOTH
async def test_the_instances_of_the_app_come_by_both_ways(place: Azure, access: str) -> None:
    (app,) = place.cloud.sites
    async with reading(place, app, access) as (client, _):
        assert await ids(client)
        instance = next(iter(await ids(client)))
        assert await client.read_instance(instance) is not None
        assert await client.read_instance("no-such-instance") is None


async def test_only_the_extensions_key_is_kept_and_nothing_of_it_is_shown(place: Azure) -> None:
    (app,) = place.cloud.sites
    async with reading(place, app, KEY) as (client, shared):
        await ids(client)
        assert shared.azure.secrets() == [app.emulator.keys.system]
        assert str(app.emulator.keys.system) not in f"{client!r}{shared!r}{vars(client)!r}"


async def test_a_key_that_was_rotated_is_fetched_once_when_it_is_refused(place: Azure) -> None:
    (app,) = place.cloud.sites
    async with reading(place, app, KEY) as (client, _):
        await ids(client)
        app.emulator.rotate_key("another-key-of-orders-0123456789")
        before = place.cloud.requests[app.subscription]
        assert await ids(client)
        assert await ids(client)
        assert place.cloud.requests[app.subscription] == before + 1


async def test_a_refusal_that_comes_after_the_new_key_is_met_with_that_key(place: Azure) -> None:
    (app,) = place.cloud.sites
    async with reading(place, app, KEY) as (client, _):
        await ids(client)
        app.emulator.rotate_key("another-key-of-orders-0123456789")
        failures = Failures("orders", "listInstances")
        late = failures.of_status(401, {}, b"")
        assert await client._key.renew(failures, late)
        assert await client._key.renew(failures, late)
        assert place.cloud.actions[LIST_KEYS] == 2
        stopped = failures.of_status(403, {}, b"<html>This web app is stopped.</html>")
        assert not await client._key.renew(failures, stopped)


async def test_another_task_hub_of_the_app_is_named_in_both_ways(place: Azure) -> None:
    (app,) = place.cloud.sites
    app.emulator.hubs["reports"] = TaskHub("Reports", RealClock())
    for access in (KEY, ROUTE):
        async with reading(place, app, access, TASK_HUB="Reports") as (client, _):
            assert await ids(client) == set()
        async with reading(place, app, access) as (client, _):
            assert await ids(client)


async def test_a_key_that_is_refused_for_good_is_not_asked_for_in_each_cycle(
    place: Azure, monkeypatch: pytest.MonkeyPatch
) -> None:
    (app,) = place.cloud.sites
    async with reading(place, app, KEY) as (client, _):
        await ids(client)
        monkeypatch.setattr(type(app.emulator.keys), "verdict", lambda *_: Verdict.UNKNOWN)
        errors = [await refused(client) for _ in range(5)]
        assert {error.kind for error in errors} == {ErrorKind.AUTH}
        assert place.cloud.requests[app.subscription] == 2


@pytest.mark.parametrize(("access", "action"), [(KEY, LIST_KEYS), (ROUTE, READ_ROUTE)])
async def test_a_right_that_lacks_is_an_error_of_azure_that_names_it(
    place: Azure, access: str, action: str
) -> None:
    (app,) = place.cloud.sites
    place.cloud.denied.add(action)
    async with reading(place, app, access) as (client, _):
        error = await refused(client)
        assert error.kind is ErrorKind.AZURE_AUTH
        assert "AuthorizationFailed" in error.reason
        assert action in error.hint


async def test_a_key_that_is_not_to_be_had_is_not_asked_for_by_each_request(place: Azure) -> None:
    (app,) = place.cloud.sites
    app.state = STOPPED
    async with reading(place, app, KEY) as (client, _):
        assert {(await refused(client)).kind for _ in range(5)} == {ErrorKind.STOPPED}
        assert place.cloud.requests[app.subscription] == 1


async def test_an_app_that_has_no_such_key_is_told_from_a_refused_one(place: Azure) -> None:
    (app,) = place.cloud.sites
    app.emulator.rotate_key("")
    async with reading(place, app, KEY) as (client, _):
        error = await refused(client)
        assert error.kind is ErrorKind.AZURE_SERVER
        assert "no system key durabletask_extension" in error.reason


@BOTH
async def test_a_refused_token_is_an_error_of_azure(place: Azure, access: str) -> None:
    (app,) = place.cloud.sites
    place.cloud.refuses_tokens = True
    async with reading(place, app, access) as (client, _):
        error = await refused(client)
        assert error.kind is ErrorKind.AZURE_AUTH
        assert "AADSTS70021" in error.reason


@BOTH
async def test_an_expired_token_is_replaced_at_once(place: Azure, access: str) -> None:
    (app,) = place.cloud.sites
    async with reading(place, app, access) as (client, shared):
        await ids(client)
        place.cloud.expire_tokens()
        app.emulator.rotate_key("another-key-of-orders-0123456789")
        assert await ids(client)
        assert place.cloud.tokens["test"] == 2
        assert shared.azure.budgets.remaining()


async def test_what_is_not_found_in_azure_is_no_missing_instance(place: Azure) -> None:
    (app,) = place.cloud.sites
    async with reading(place, app, ROUTE) as (client, _):
        place.cloud.sites.clear()
        with pytest.raises(ApiError) as caught:
            await client.read_instance("order-1")
        assert caught.value.kind is ErrorKind.AZURE_SERVER
        assert "ResourceNotFound" in caught.value.reason


async def test_a_stopped_app_says_itself_that_it_is_stopped(place: Azure) -> None:
    (app,) = place.cloud.sites
    app.state = STOPPED
    async with reading(place, app, KEY) as (client, _):
        assert (await refused(client)).kind is ErrorKind.STOPPED
    async with reading(place, app, ROUTE) as (client, _):
        error = await refused(client)
        assert error.kind is ErrorKind.AZURE_SERVER
        assert "start the app" in error.hint


@BOTH
async def test_where_the_resource_manager_is_not_reached_the_error_names_it(
    place: Azure, access: str
) -> None:
    (app,) = place.cloud.sites
    elsewhere = {"CLOUD": "https://management.azure.localhost:9", "RETRIES__MAX_RETRIES": "0"}
    async with reading(place, app, access, **elsewhere) as (client, _):
        error = await refused(client)
        assert error.kind is ErrorKind.CONNECT
        assert "Azure's Resource Manager: no connection" in error.reason
        assert "discovery.azure.cloud" in error.hint


@BOTH
async def test_app_service_authentication_is_told_from_azures_own_refusals(
    place: Azure, access: str
) -> None:
    (app,) = place.cloud.sites
    app.has_login = True
    async with reading(place, app, access) as (client, _):
        error = await refused(client)
        assert error.kind is ErrorKind.AUTH
        assert "exempt /runtime/webhooks" in error.hint


async def test_throttling_slows_that_subscription_and_no_other(
    place: Azure, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = place.cloud.sites[0]
    other = site("billing", number=1)
    place.cloud.sites.append(other)
    settings = place.settings(
        HUBS__ORDERS__URL=place.url_of(app),
        HUBS__ORDERS__RESOURCE_ID=app.resource_id,
        HUBS__BILLING__URL=place.url_of(other),
        HUBS__BILLING__RESOURCE_ID=other.resource_id,
        ACCESS=ROUTE,
        RETRIES__MAX_RETRIES="0",
    )
    shared = SharedLimits()
    billing, orders = (connect(hub, shared) for hub in settings.hubs)
    await ids(orders)
    monkeypatch.setattr(place.cloud.reads[app.subscription], "take", lambda: 40.0)
    error = await refused(orders)
    assert error.kind is ErrorKind.AZURE_THROTTLED
    assert error.retry_after == 40.0
    assert await ids(billing)
    left = shared.azure.budgets.remaining()
    assert left[app.subscription] == 0
    assert left[other.subscription] > 200
    for client in (orders, billing):
        await client.aclose()
    await shared.aclose()


def test_the_route_needs_a_resource_id() -> None:
    (problem,) = problems({"URL": "https://a.example", "ACCESS": ROUTE})
    assert "resource_id" in problem
