"""Requests of discovery: function apps, their functions, and the role that allows both."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec

from exporter.api.azure.access import HINT, READ_KEYS, READ_ROUTE
from exporter.api.azure.resource_manager import API_VERSION, ManagementRequest, ResourceManager
from exporter.api.classify import Failures
from exporter.discovery.apps import App, Function, Row, app_of
from exporter.settings.azure import RESOURCE_MANAGER
from exporter.settings.discovery import AzureDiscovery

_ROLE_NAME = "Durable Functions exporter"
# Placeholder in the role if the settings name no subscription.
NO_SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
LIST_APPS = "listApps"
LIST_FUNCTIONS = "listFunctions"
# Rights for a search; `discover` prints them as a role.
READ_APPS = "Microsoft.Web/sites/read"
READ_SLOTS = "Microsoft.Web/sites/slots/read"
READ_FUNCTIONS = "Microsoft.Web/sites/functions/read"
READ_SLOT_FUNCTIONS = "Microsoft.Web/sites/slots/functions/read"

_SITES, _SLOTS = "Microsoft.Web/sites/", "Microsoft.Web/sites/slots/"
_GRAPH = "/providers/Microsoft.ResourceGraph/resources?api-version=2022-10-01"
_PAGE_SIZE = 1000
_MOST_PAGES = 50
_MOST_FUNCTION_PAGES = 20
# Pages are stable only in a unique order.
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
    Return all function apps that the identity can read, in some *subscriptions* or in all.

    Raises:
        ApiError: the listing is incomplete.
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
    Return the functions of an app; a stopped one shows none.

    Raises:
        ApiError: they could not be listed.
    """
    failures = Failures("", LIST_FUNCTIONS)
    functions: list[Function] = []
    target = f"{app.resource_id}/functions?api-version={API_VERSION}"
    for _ in range(_MOST_FUNCTION_PAGES):
        hint = HINT.format(READ_SLOT_FUNCTIONS if app.slot else READ_FUNCTIONS)
        page = await manager.ask(
            "", ManagementRequest(LIST_FUNCTIONS, target, _FunctionPage, hint, app.subscription)
        )
        functions += page.value
        if not page.next_link:
            break
        link = urlsplit(page.next_link)
        # The token is sent to the Resource Manager only, whatever an answer says.
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
    hint = HINT.format(READ_APPS)
    return ManagementRequest(LIST_APPS, _GRAPH, _Page, hint, method="POST", content=content)


def _app_in(raw: msgspec.Raw) -> App | None:
    """Return the app in a row, None if unreadable: it must not hide the others."""
    try:
        return app_of(msgspec.json.decode(raw, type=Row))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def role(azure: AzureDiscovery) -> dict[str, object]:
    """Return the least custom role for these settings, for `az role definition create`."""
    accesses = {
        azure.access,
        *(rule.access for rule in azure.hubs.values() if "access" in rule.model_fields_set),
    }
    return {
        "Name": _ROLE_NAME,
        "IsCustom": True,
        "Description": "Finds function apps and reads the instances of Durable Functions.",
        "Actions": _actions(sorted(accesses), slots=azure.slots),
        "NotActions": [],
        "DataActions": [],
        "NotDataActions": [],
        "AssignableScopes": [
            f"/subscriptions/{each}" for each in azure.subscriptions or (NO_SUBSCRIPTION,)
        ],
    }


def _actions(accesses: Sequence[str], *, slots: bool) -> list[str]:
    """Return the rights for some kinds of access, including those for slots if polled."""
    reading = [READ_ROUTE if access == RESOURCE_MANAGER else READ_KEYS for access in accesses]
    of_apps = [READ_APPS, READ_FUNCTIONS, *reading]
    if not slots:
        return of_apps
    of_slots = [each.replace(_SITES, _SLOTS) for each in reading]
    return [*of_apps, READ_SLOTS, READ_SLOT_FUNCTIONS, *of_slots]
