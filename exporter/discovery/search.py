"""Requests of discovery: function apps, their functions, and the role that allows both."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec

from exporter.api.azure.access import READ_KEYS, READ_ROUTE
from exporter.api.azure.resource_manager import API_VERSION, ManagementRequest, ResourceManager
from exporter.api.classify import Failures
from exporter.discovery.apps import App, Function, Row, app_of
from exporter.settings.azure import RESOURCE_MANAGER
from exporter.settings.discovery import AzureDiscovery

LIST_APPS = "listApps"
LIST_FUNCTIONS = "listFunctions"
# The rights that a search needs; `discover` prints them as a role.
READ_APPS = "Microsoft.Web/sites/read"
READ_SLOTS = "Microsoft.Web/sites/slots/read"
READ_FUNCTIONS = "Microsoft.Web/sites/functions/read"
READ_SLOT_FUNCTIONS = "Microsoft.Web/sites/slots/functions/read"

_GRAPH = "/providers/Microsoft.ResourceGraph/resources?api-version=2022-10-01"
_PAGE_SIZE = 1000
_MOST_PAGES = 50
_MOST_FUNCTION_PAGES = 20
_HINT = "give the identity the right {}: `durable-exporter discover --role` prints a role with it"
# Pages are only stable where they are ordered by something that nothing shares.
_QUERY = """resources
| where type {types}
| where kind contains 'functionapp'
| project id, kind, location, tags, defaultHostName = tostring(properties.defaultHostName), \
state = tostring(properties.state)
| order by id asc"""
_APPS = "=~ 'microsoft.web/sites'"
_APPS_AND_SLOTS = "in~ ('microsoft.web/sites', 'microsoft.web/sites/slots')"


class _Page(msgspec.Struct, rename="camel"):
    data: list[msgspec.Raw]
    total_records: int = 0
    skip_token: str = msgspec.field(name="$skipToken", default="")


class _FunctionPage(msgspec.Struct, rename="camel"):
    value: list[Function]
    next_link: str | None = None


async def find_apps(
    manager: ResourceManager, subscriptions: Sequence[str], *, slots: bool
) -> list[App]:
    """
    Return all function apps that the identity sees, in some *subscriptions* or in all.

    Raises:
        ApiError: not all of them could be listed.
    """
    failures = Failures("", LIST_APPS)
    apps: dict[str, App] = {}
    token, rows = "", 0
    for _ in range(_MOST_PAGES):
        page = await manager.ask("", _query(subscriptions, token, slots=slots))
        rows += len(page.data)
        for raw in page.data:
            app = _app_in(raw)
            if app is not None:
                apps[app.key] = app
        if page.skip_token and page.skip_token == token:
            raise failures.protocol("the list of apps leads in a circle: a token came twice")
        token = page.skip_token
        if not token:
            break
    if token or rows < page.total_records:
        raise failures.truncated(
            f"the list of apps was cut after {rows:,} of {page.total_records:,}"
        )
    return list(apps.values())


async def functions_of(manager: ResourceManager, app: App) -> list[Function]:
    """
    Return the functions of an app; of one that is stopped there are none.

    Raises:
        ApiError: they could not be listed.
    """
    failures = Failures("", LIST_FUNCTIONS)
    functions: list[Function] = []
    target = f"{app.resource_id}/functions?api-version={API_VERSION}"
    for _ in range(_MOST_FUNCTION_PAGES):
        hint = _HINT.format(READ_SLOT_FUNCTIONS if app.slot else READ_FUNCTIONS)
        page = await manager.ask(
            "", ManagementRequest(LIST_FUNCTIONS, target, _FunctionPage, hint, app.subscription)
        )
        functions += page.value
        if not page.next_link:
            break
        link = urlsplit(page.next_link)
        # The token goes to the Resource Manager, and nowhere else, whatever an answer says.
        if f"{link.scheme}://{link.netloc}".lower() != manager.base_url.lower():
            raise failures.protocol("the next page of the functions is somewhere else")
        target = f"{link.path}?{link.query}"
    return functions


def _query(subscriptions: Sequence[str], token: str, *, slots: bool) -> ManagementRequest[_Page]:
    options: dict[str, object] = {"resultFormat": "objectArray", "$top": _PAGE_SIZE}
    if token:
        options["$skipToken"] = token
    body: dict[str, object] = {
        "query": _QUERY.format(types=_APPS_AND_SLOTS if slots else _APPS),
        "options": options,
    }
    if subscriptions:
        body["subscriptions"] = list(subscriptions)
    content = msgspec.json.encode(body)
    hint = _HINT.format(READ_APPS)
    return ManagementRequest(LIST_APPS, _GRAPH, _Page, hint, method="POST", content=content)


def _app_in(raw: msgspec.Raw) -> App | None:
    """Return the app in a row; one row that cannot be read must not hide the others."""
    try:
        return app_of(msgspec.json.decode(raw, type=Row))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


NAME = "Durable Functions exporter"
# Stands in the role where the settings name no subscription.
NO_SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"

_SITES, _SLOTS = "Microsoft.Web/sites/", "Microsoft.Web/sites/slots/"


def role(azure: AzureDiscovery) -> dict[str, object]:
    """Return the role for these settings, as `az role definition create` takes it."""
    ways = {azure.access, *(rule.access for rule in azure.hubs.values() if _is_set(rule))}
    return {
        "Name": NAME,
        "IsCustom": True,
        "Description": "Finds function apps and reads the instances of Durable Functions.",
        "Actions": actions(sorted(ways), slots=azure.slots),
        "NotActions": [],
        "DataActions": [],
        "NotDataActions": [],
        "AssignableScopes": [
            f"/subscriptions/{each}" for each in azure.subscriptions or (NO_SUBSCRIPTION,)
        ],
    }


def actions(ways: Sequence[str], *, slots: bool) -> list[str]:
    """Return the rights for some *ways* to read, those of slots too where they are polled."""
    reading = [READ_ROUTE if way == RESOURCE_MANAGER else READ_KEYS for way in ways]
    of_apps = [READ_APPS, READ_FUNCTIONS, *reading]
    if not slots:
        return of_apps
    of_slots = [each.replace(_SITES, _SLOTS) for each in reading]
    return [*of_apps, READ_SLOTS, READ_SLOT_FUNCTIONS, *of_slots]


def _is_set(rule: object) -> bool:
    return "access" in getattr(rule, "model_fields_set", ())
