"""The stand-in of Azure answers in the forms that the API's descriptions publish."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from emulator.azure.cloud import STOPPED, AzureCloud, Site
from emulator.azure.resource_manager import Asked, QueryInvalid, answer, find
from emulator.http.messages import Answer
from tests.azure.stand_in import site, subscription

# What the descriptions require (Microsoft.ResourceGraph 2022-10-01, Microsoft.Web 2023-12-01),
# and the error that all services of the Resource Manager have.
TEXT: dict[str, Any] = {"type": "string"}
QUERY_RESPONSE = {
    "type": "object",
    "required": ["totalRecords", "count", "resultTruncated", "data"],
    "properties": {
        "totalRecords": {"type": "integer"},
        "count": {"type": "integer"},
        "resultTruncated": {"enum": ["true", "false"]},
        "$skipToken": TEXT,
        "data": {"type": "array", "items": {"type": "object"}},
    },
}
FUNCTIONS = {
    "type": "object",
    "required": ["value"],
    "properties": {
        "nextLink": TEXT,
        "value": {
            "type": "array",
            "items": {
                "properties": {
                    "id": TEXT,
                    "name": TEXT,
                    "type": TEXT,
                    "properties": {"properties": {"config": {"type": "object"}}},
                }
            },
        },
    },
}
HOST_KEYS = {
    "properties": {
        "masterKey": TEXT,
        "functionKeys": {"type": "object", "additionalProperties": TEXT},
        "systemKeys": {"type": "object", "additionalProperties": TEXT},
    },
    "additionalProperties": False,
}
ERROR = {
    "required": ["error"],
    "properties": {
        "error": {"required": ["code", "message"], "properties": {"code": TEXT, "message": TEXT}}
    },
}
GRAPH = "/providers/Microsoft.ResourceGraph/resources"
QUERY = "resources | where type =~ 'microsoft.web/sites' | project id | order by id asc"
VERSION = "api-version=2023-12-01"


def ask(
    cloud: AzureCloud, method: str, path: str, body: object = None, query: str = VERSION
) -> Answer:
    token, _ = cloud.issue("test")
    asked = Asked(
        method, path, query, {"authorization": f"Bearer {token}"}, json.dumps(body).encode()
    )
    answered = answer(cloud, asked)
    assert isinstance(answered, Answer)
    return answered


def valid(answered: Answer, status: int, schema: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
    assert answered.status == status
    content = json.loads(answered.body)
    jsonschema.validate(content, schema)
    return content


@pytest.fixture
def cloud() -> AzureCloud:
    sites = [site("orders"), site("billing", number=1), site("orders/staging")]
    return AzureCloud(sites, page_size=1)


def test_a_query_is_paged_with_tokens(cloud: AzureCloud) -> None:
    first = valid(ask(cloud, "POST", GRAPH, {"query": QUERY}), 200, QUERY_RESPONSE)
    assert (first["totalRecords"], first["count"]) == (2, 1)
    body = {"query": QUERY, "options": {"$skipToken": first["$skipToken"]}}
    last = valid(ask(cloud, "POST", GRAPH, body), 200, QUERY_RESPONSE)
    assert "$skipToken" not in last
    assert {row["id"] for row in (*first["data"], *last["data"])} == {
        one.resource_id for one in cloud.sites if "/slots/" not in one.resource_id
    }
    some = {"query": QUERY, "subscriptions": [subscription(1)]}
    assert valid(ask(cloud, "POST", GRAPH, some), 200, QUERY_RESPONSE)["totalRecords"] == 1


def test_a_query_that_is_not_emulated_is_refused_and_not_guessed(cloud: AzureCloud) -> None:
    for query in ("resources", "resourcechanges | project id", f"{QUERY} | project strcat(a, b)"):
        valid(ask(cloud, "POST", GRAPH, {"query": query}), 400, ERROR)
    with pytest.raises(QueryInvalid):
        find(QUERY.replace("project id", "project strcat(id)"), [cloud.sites[0].row()])


def test_functions_and_keys_have_their_forms(cloud: AzureCloud) -> None:
    path = cloud.sites[0].resource_id
    cloud.sites[0].bindings = ("orchestrationTrigger", "activityTrigger", "httpTrigger")
    first = valid(ask(cloud, "GET", f"{path}/functions"), 200, FUNCTIONS)
    assert first["nextLink"].startswith(f"https://{cloud.resource_manager}{path}/functions?")
    query = first["nextLink"].partition("?")[2]
    last = valid(ask(cloud, "GET", f"{path}/functions", query=query), 200, FUNCTIONS)
    assert len(first["value"]) + len(last["value"]) == 3
    keys = valid(ask(cloud, "POST", f"{path}/host/default/listkeys"), 200, HOST_KEYS)
    assert keys["systemKeys"]["durabletask_extension"] == cloud.sites[0].emulator.keys.system
    cloud.sites[0].state = STOPPED
    assert valid(ask(cloud, "GET", f"{path}/functions"), 200, FUNCTIONS) == {"value": []}
    stopped = ask(cloud, "POST", f"{path}/host/default/listkeys")
    assert stopped.status == 400
    assert b"Encountered an error" in stopped.body


def test_errors_have_the_form_of_all_services(cloud: AzureCloud) -> None:
    valid(ask(cloud, "GET", f"{cloud.sites[0].resource_id}x/functions"), 404, ERROR)
    valid(ask(cloud, "DELETE", cloud.sites[0].resource_id), 404, ERROR)
    valid(ask(cloud, "GET", cloud.sites[0].resource_id, query=""), 400, ERROR)
    refused = answer(cloud, Asked("GET", GRAPH, VERSION, {}))
    assert isinstance(refused, Answer)
    valid(refused, 401, ERROR)


def test_limits_are_told_in_both_kinds_of_headers() -> None:
    now = 0.0
    app = site("orders")
    cloud = AzureCloud([app], reads=2, reads_per_second=0.1, now=lambda: now)
    path = f"{app.resource_id}/functions"
    left = [
        ask(cloud, "GET", path).headers["x-ms-ratelimit-remaining-subscription-reads"]
        for _ in range(2)
    ]
    assert left == ["1", "0"]
    throttled = ask(cloud, "GET", path)
    valid(throttled, 429, ERROR)
    assert int(throttled.headers["retry-after"]) == 10
    for _ in range(15):
        assert ask(cloud, "POST", GRAPH, {"query": QUERY}).status == 200
    refused = ask(cloud, "POST", GRAPH, {"query": QUERY})
    valid(refused, 429, ERROR)
    assert refused.headers["x-ms-user-quota-resets-after"] == "00:00:05"
    now = 6.0
    assert ask(cloud, "POST", GRAPH, {"query": QUERY}).status == 200


def test_an_app_is_told_by_the_longest_id(cloud: AzureCloud) -> None:
    def found(path: str) -> Site | None:
        known = cloud.site_of(path)
        return known[0] if known else None

    assert found(f"{cloud.sites[2].resource_id}/functions") is cloud.sites[2]
    assert found(f"{cloud.sites[0].resource_id.upper()}/functions") is cloud.sites[0]
    assert found(f"{cloud.sites[0].resource_id}-eu/functions") is None
