"""Answers of the Resource Manager: Resource Graph, functions, keys, forwarded requests."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import ceil
from urllib.parse import parse_qs

from emulator.azure.cloud import AzureCloud, Site
from emulator.http.messages import Answer, json_answer
from emulator.json_text import JsonValue

_TYPES = re.compile(r"type (?:=~ ('[^']+')|in~ \(([^)]+)\))")
_KIND = re.compile(r"kind contains '([^']+)'")
_PROJECT = re.compile(r"\| *project ([^|]+)")
_COLUMN = re.compile(r"(\w+)(?: *= *tostring\(properties\.(\w+)\))?")
_ORDERED = re.compile(r"\| *order by id asc *$")

Row = Mapping[str, JsonValue]

QUERY_PATH = "/providers/microsoft.resourcegraph/resources"
ROUTE = "/hostruntime"
LIST_KEYS = "Microsoft.Web/sites/host/listkeys/action"
READ_FUNCTIONS = "Microsoft.Web/sites/functions/read"
READ_ROUTE = "Microsoft.Web/sites/hostruntime/*/read"
READ_GRAPH = "Microsoft.ResourceGraph/resources/read"
_FUNCTIONS_AT_ONCE = 2
_VERSION = re.compile(r"\d{4}-\d\d-\d\d")


class QueryInvalid(ValueError):
    """A query is not of the emulated form."""


def find(query: str, rows: Sequence[Row]) -> list[JsonValue]:
    """Return the columns of *rows* that a query of Resource Graph finds."""
    lines = query.strip()
    types, kind, projects = _TYPES.search(lines), _KIND.search(lines), _PROJECT.findall(lines)
    if not lines.startswith("resources") or types is None or len(projects) != 1:
        raise QueryInvalid("the query is not of the form that is emulated")
    wanted = {name.strip(" '").lower() for name in (types[1] or types[2]).split(",")}
    found = [
        row
        for row in rows
        if row["type"] in wanted and (kind is None or kind[1] in str(row["kind"]).lower())
    ]
    if _ORDERED.search(lines):
        found.sort(key=lambda row: str(row["id"]).lower())
    return [_projected(row, projects[0]) for row in found]


def _projected(row: Row, columns: str) -> JsonValue:
    projected: dict[str, JsonValue] = {}
    properties = row["properties"]
    for column in columns.split(","):
        parts = _COLUMN.fullmatch(column.strip())
        if parts is None:
            raise QueryInvalid(f"the column {column.strip()!r} is not emulated")
        name, of_properties = parts.groups()
        if of_properties is None:
            projected[name] = row[name]
        elif isinstance(properties, dict):
            projected[name] = str(properties.get(of_properties, ""))
    return projected


def page(rows: Sequence[JsonValue], token: str, size: int) -> dict[str, JsonValue]:
    """Return the page of *rows* at a *token*."""
    begin = int(token or "0")
    some = list(rows[begin : begin + size])
    answer: dict[str, JsonValue] = {
        "totalRecords": len(rows),
        "count": len(some),
        "data": some,
        "facets": [],
        "resultTruncated": "false",
    }
    if begin + size < len(rows):
        answer["$skipToken"] = str(begin + size)
    return answer


def error(status: int, code: str, headers: Mapping[str, str] | None = None) -> Answer:
    """Return an error of the Resource Manager."""
    body: JsonValue = {"error": {"code": code, "message": f"The request failed: {code}."}}
    return json_answer(status, body, headers=headers)


def host_down(site: Site) -> Answer:
    """Return App Service's error for a host that is down."""
    message = "Encountered an error (ServiceUnavailable) from extensions API."
    return json_answer(400, {"Code": "BadRequest", "Message": message, "Target": site.name})


@dataclass(frozen=True, slots=True)
class Asked:
    """A request to the Resource Manager."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes = b""


def answer(cloud: AzureCloud, asked: Asked) -> Answer | Site:
    """Return the answer to a request, or the app to forward it to."""
    refusal = _refusal(cloud, asked)
    if refusal is not None:
        return refusal
    if asked.path.lower() == QUERY_PATH and asked.method == "POST":
        return _query(cloud, asked.body)
    found = cloud.site_of(asked.path)
    if found is None:
        return error(404, "ResourceNotFound")
    return _of_site(cloud, asked, *found)


def _refusal(cloud: AzureCloud, asked: Asked) -> Answer | None:
    """Reject a request without a valid token or version."""
    scheme, _, token = asked.headers.get("authorization", "").partition(" ")
    refusal = cloud.token_error(token) if scheme.lower() == "bearer" else "AuthenticationFailed"
    if refusal is not None:
        return error(401, refusal, {"www-authenticate": "Bearer"})
    versions = parse_qs(asked.query).get("api-version", [])
    if len(versions) != 1 or not _VERSION.match(versions[0]):
        return error(400, "MissingApiVersionParameter")
    return None


def _of_site(cloud: AzureCloud, asked: Asked, site: Site, rest: str) -> Answer | Site:
    cloud.requests[site.subscription] += 1
    bucket = cloud.reads[site.subscription]
    wait = bucket.take()
    remaining = {"x-ms-ratelimit-remaining-subscription-reads": str(bucket.remaining)}
    if wait:
        return error(429, "TooManyRequests", {**remaining, "retry-after": str(ceil(wait))})
    operation = next((each for each in _OPERATIONS if each.fits(asked.method, rest)), None)
    if operation is None:
        return error(404, "NotFound", remaining)
    if operation.action in cloud.denied:
        return error(403, "AuthorizationFailed", remaining)
    cloud.actions[operation.action] += 1
    return operation.answer(cloud, site, asked.query, remaining)


def _keys(_cloud: AzureCloud, site: Site, _query: str, _headers: Mapping[str, str]) -> Answer:
    if not site.is_running:
        return host_down(site)
    return json_answer(
        200,
        {
            "masterKey": site.master_key,
            "functionKeys": {"default": "key-of-all-functions"},
            "systemKeys": {"durabletask_extension": site.emulator.keys.system or ""},
        },
    )


def _handed_on(
    _cloud: AzureCloud, site: Site, _query: str, _headers: Mapping[str, str]
) -> Answer | Site:
    return site if site.is_running else host_down(site)


def _functions(cloud: AzureCloud, site: Site, query: str, headers: Mapping[str, str]) -> Answer:
    begin = int(parse_qs(query).get("$skiptoken", ["0"])[0])
    functions = site.functions()
    body: dict[str, JsonValue] = {"value": functions[begin : begin + _FUNCTIONS_AT_ONCE]}
    if begin + _FUNCTIONS_AT_ONCE < len(functions):
        body["nextLink"] = (
            f"https://{cloud.resource_manager}{site.resource_id}/functions?api-version=2023-12-01"
            f"&$skiptoken={begin + _FUNCTIONS_AT_ONCE}"
        )
    return json_answer(200, body, headers=headers)


def _query(cloud: AzureCloud, body: bytes) -> Answer:
    quota = {"x-ms-user-quota-remaining": str(max(0, cloud.queries.remaining - 1))}
    if not cloud.queries.take():
        resets = f"00:00:{ceil(cloud.queries.resets_after):02}"
        return error(429, "RateLimiting", {**quota, "x-ms-user-quota-resets-after": resets})
    if READ_GRAPH in cloud.denied:
        return error(403, "AuthorizationFailed")
    try:
        asked = json.loads(body)
        options = asked.get("options", {})
        sites = cloud.sites_in(asked.get("subscriptions"))
        rows = find(asked["query"], [site.row(cloud.port) for site in sites])
        size = min(cloud.page_size, int(options.get("$top", cloud.page_size)))
        content = page(rows, str(options.get("$skipToken", "")), size)
    except (QueryInvalid, KeyError, TypeError, ValueError) as problem:
        return error(400, "InvalidQuery", {"x-ms-emulator": str(problem)[:200]})
    return json_answer(200, content, headers=quota)


@dataclass(frozen=True, slots=True)
class _Operation:
    """An operation on an app, and the action that it requires; *path* may end in `*`."""

    method: str
    path: str
    action: str
    answer: Callable[[AzureCloud, Site, str, Mapping[str, str]], Answer | Site]

    def fits(self, method: str, path: str) -> bool:
        return method == self.method and fnmatchcase(path.lower(), self.path)


_OPERATIONS = (
    _Operation("GET", "/functions", READ_FUNCTIONS, _functions),
    _Operation("POST", "/host/default/listkeys", LIST_KEYS, _keys),
    _Operation("GET", f"{ROUTE}/*", READ_ROUTE, _handed_on),
)
