"""The page of the emulator, and the switches beside it."""

import httpx
import pytest

from emulator import Emulator, Fault, FaultKind, RuntimeStatus, TaskHub
from tests.emulator.hubs import instance

pytestmark = pytest.mark.anyio

FAULTS = "/-/hubs/OrdersHub/faults"


async def request(base_url: str, method: str, path: str, body: object = None) -> httpx.Response:
    async with httpx.AsyncClient(base_url=base_url) as client:
        return await client.request(method, path, json=body)


class TestPage:
    async def test_it_shows_hubs_counts_and_how_to_point_a_client(
        self, base_url: str, hub: TaskHub
    ) -> None:
        hub.put(instance("a", RuntimeStatus.FAILED, name="<b>Charge</b>"))
        page = (await request(base_url, "GET", "/")).text
        assert "OrdersHub" in page
        assert "&lt;b&gt;Charge&lt;/b&gt;" in page
        assert "<b>Charge" not in page
        assert f"{base_url}/runtime/webhooks/durabletask" in page
        assert "the-system-key" not in page

    async def test_it_shows_faults(self, base_url: str, hub: TaskHub) -> None:
        hub.faults.set(Fault(kind=FaultKind.THROTTLED, rate=0.2, times=3))
        page = (await request(base_url, "GET", "/")).text
        assert "throttled on everything, 20% of the requests, 3 times" in page

    async def test_the_same_comes_as_json(self, base_url: str, hub: TaskHub) -> None:
        hub.put(instance("a", RuntimeStatus.FAILED, name="Charge"))
        hub.put(instance("b", RuntimeStatus.RUNNING, name="Ship"))
        assert (await request(base_url, "GET", "/-/hubs")).json() == [
            {
                "name": "OrdersHub",
                "backend": "azure-storage",
                "served": False,
                "instances": {
                    "Charge": {"Running": 0, "Failed": 1},
                    "Ship": {"Running": 1, "Failed": 0},
                },
                "entities": {},
                "faults": [],
            }
        ]


class TestFaults:
    async def test_they_take_effect_at_the_next_request(
        self, base_url: str, local: httpx.AsyncClient
    ) -> None:
        fault = {"kind": "throttled", "seconds": 5, "operations": ["list_instances"]}
        assert (await request(base_url, "PUT", FAULTS, [fault])).status_code == 200
        assert (await local.get("instances")).headers["retry-after"] == "5"
        assert (await local.get("entities")).status_code == 200
        assert (await request(base_url, "GET", FAULTS)).json()["struck"] == 1
        assert (await request(base_url, "DELETE", FAULTS)).json()["faults"] == []
        assert (await local.get("instances")).status_code == 200

    async def test_one_needs_no_list(self, base_url: str, hub: TaskHub) -> None:
        await request(base_url, "PUT", FAULTS, {"kind": "error"})
        assert hub.faults.current == (Fault(kind=FaultKind.ERROR),)

    @pytest.mark.parametrize(
        ("body", "problem"),
        [
            ({"kind": "explode"}, "kind: 'explode' is none of"),
            ([{"kind": "error", "when": "now"}], "A fault has no when"),
            (["error"], "The body must be a fault or a list of faults"),
            ("error", "The body must be a fault or a list of faults"),
            (5, "The body must be a fault or a list of faults"),
            (None, "The body must be a fault or a list of faults"),
        ],
    )
    async def test_wrong_ones_change_nothing(
        self, base_url: str, hub: TaskHub, body: object, problem: str
    ) -> None:
        hub.faults.set(Fault(kind=FaultKind.ERROR))
        answer = await request(base_url, "PUT", FAULTS, body)
        assert answer.status_code == 400
        assert problem in answer.json()["problem"]
        assert hub.faults.current == (Fault(kind=FaultKind.ERROR),)

    async def test_an_unknown_hub_is_not_made(self, base_url: str, emulator: Emulator) -> None:
        answer = await request(base_url, "PUT", "/-/hubs/Other/faults", {"kind": "error"})
        assert answer.status_code == 404
        assert "there are OrdersHub" in answer.json()["problem"]
        assert list(emulator.hubs) == ["ordershub"]


class TestKey:
    async def test_another_one_opens_the_web_hook_from_now_on(
        self, base_url: str, web_hook: httpx.AsyncClient
    ) -> None:
        assert (await request(base_url, "PUT", "/-/key", "another")).status_code == 204
        assert (await web_hook.get("instances")).status_code == 401
        answer = await web_hook.get("instances", headers={"x-functions-key": "another"})
        assert answer.status_code == 200

    @pytest.mark.parametrize("body", [None, "", 5, {"system": "another"}])
    async def test_it_is_a_string(
        self, base_url: str, web_hook: httpx.AsyncClient, body: object
    ) -> None:
        assert (await request(base_url, "PUT", "/-/key", body)).status_code == 400
        assert (await web_hook.get("instances")).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/", 404),
        ("GET", "/favicon.ico", 404),
        ("GET", "/-/", 404),
        ("POST", FAULTS, 405),
        ("GET", "/-/key", 404),
    ],
)
async def test_there_is_nothing_else(base_url: str, method: str, path: str, status: int) -> None:
    assert (await request(base_url, method, path)).status_code == status


async def test_it_is_no_proxy(base_url: str) -> None:
    with pytest.raises(httpx.ProxyError, match="403"):
        async with httpx.AsyncClient(proxy=base_url, trust_env=False) as client:
            await client.get("https://127.0.0.1:1/")
