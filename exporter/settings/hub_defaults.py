"""The hubs of a document: settings of one at its top level, named ones, and defaults of all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import TypeAdapter, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from exporter.settings.azure import RESOURCE_MANAGER
from exporter.settings.groups import PROFILES
from exporter.settings.hub import PLACE, HubSettings, is_task_hub

_KEYS = ("key", "key_file")
_KEY_SOURCES = (*_KEYS, "keys_dir", "resource_id")
# Defaults of listed hubs only: they may hold secrets.
_OF_LISTED_HUBS = (*_KEYS, "keys_dir", "headers", "allow_insecure", "access", "cloud")
# Requests to the Resource Manager are limited per hour.
_THROUGH_RESOURCE_MANAGER = {"intervals": {"active": "60s"}}
# The key of the hub whose settings are at the top level.
FLAT = ""


def overlay(stronger: Mapping[str, object], weaker: Mapping[str, object]) -> dict[str, object]:
    """
    Merge settings group by group; where both set one, *stronger* wins.

    The stronger ones come first, as the first of several matching patterns wins.
    """
    merged = dict(stronger)
    for key, value in weaker.items():
        above = merged.setdefault(key, value)
        if isinstance(above, dict) and isinstance(value, dict):
            merged[key] = overlay(above, value)
    return merged


def arrange(document: Mapping[str, object]) -> dict[str, object]:
    """
    Move settings of hubs at the top level of *document* into the hubs.

    `PLACE` at the top level makes a hub, under the key `FLAT`, as does having no other; everything
    else is a default of all hubs, keys of those that have none.
    """
    shared = {key: document[key] for key in document if key in HubSettings.model_fields}
    azure = _azure_of(document)
    if "cloud" in azure:
        shared.setdefault("cloud", azure["cloud"])
    flat = {key: shared.pop(key) for key in PLACE if key in shared}
    named = document.get("hubs", {})
    arranged = {key: document[key] for key in document if key not in HubSettings.model_fields}
    if not isinstance(named, dict):
        return arranged
    hubs: dict[str, object] = {}
    if azure:
        found = {key: shared[key] for key in shared if key not in _OF_LISTED_HUBS}
        arranged["discovery"] = {"azure": overlay(azure, {"hubs": {"*": found}})}
    if flat or not (named or _is_true(azure.get("enabled"))):
        task_hub = flat.get("task_hub")
        name = task_hub if is_task_hub(task_hub) else "default"
        hubs[FLAT] = with_profile({"name": name, **flat, **shared})
    for key, own in named.items():
        hubs[key] = own
        if isinstance(own, dict):
            has_key = any(own.get(source) for source in _KEY_SOURCES)
            defaults = {name: shared[name] for name in shared if name not in _KEYS or not has_key}
            hubs[key] = with_profile(overlay({"name": key, **own}, defaults))
    return {**arranged, "hubs": hubs}


def with_profile(hub: Mapping[str, object]) -> dict[str, object]:
    """Return *hub* with the defaults of its profile and its access."""
    profile = str(hub.get("profile", "")).strip().lower()
    settings = overlay(hub, PROFILES.get(profile, {}))
    if str(hub.get("access", "")).strip().lower() == RESOURCE_MANAGER:
        return overlay(settings, _THROUGH_RESOURCE_MANAGER)
    return settings


def _azure_of(document: Mapping[str, object]) -> Mapping[str, object]:
    """Return the settings `discovery.azure` of *document*."""
    discovery = document.get("discovery")
    azure = discovery.get("azure") if isinstance(discovery, dict) else None
    return azure if isinstance(azure, dict) else {}


def _is_true(value: object) -> bool:
    try:
        return TypeAdapter(bool).validate_python(value)
    except ValidationError:
        return False


def check_hubs(hubs: object) -> tuple[HubSettings, ...]:
    """
    Return the settings of *hubs*, a mapping by key.

    Raises:
        ValidationError: with the errors of all hubs, and an error per duplicate hub.
    """
    if not isinstance(hubs, dict):
        raise ValueError("is not a mapping: give each hub's settings below its name")  # noqa: TRY004 - pydantic's
    valid: dict[str, HubSettings] = {}
    errors: list[InitErrorDetails] = []
    for key, own in hubs.items():
        try:
            valid[key] = HubSettings.model_validate(own)
        except ValidationError as error:
            errors += _below(key, error)
    errors += _duplicates(valid)
    if errors:
        raise ValidationError.from_exception_data("hubs", errors, hide_input=True)
    return tuple(valid.values())


def _below(key: str, error: ValidationError) -> Iterator[InitErrorDetails]:
    """Yield the errors of one hub, moved below its key, without the values."""
    for line in error.errors(include_url=False, include_input=False):
        moved = PydanticCustomError(line["type"], line["msg"], line.get("ctx"))
        yield InitErrorDetails(type=moved, loc=(key, *line["loc"]), input=None)


def _duplicates(hubs: Mapping[str, HubSettings]) -> Iterator[InitErrorDetails]:
    """Yield an error for each hub with the name or the task hub of an earlier one."""
    names: set[str] = set()
    places: dict[object, str] = {}
    for key, hub in hubs.items():
        if hub.name in names:
            yield _duplicate(key, "name", "is the name of two hubs: give one of them another")
        names.add(hub.name)
        place = (hub.base_url, (hub.task_hub or "").lower(), hub.connection)
        first = places.setdefault(place, hub.name)
        if first != hub.name:
            yield _duplicate(
                key, "url", f"leads to the same task hub as the hub {first}: remove one of the two"
            )


def _duplicate(key: str, setting: str, message: str) -> InitErrorDetails:
    error = PydanticCustomError("value_error", "{error}", {"error": message})
    return InitErrorDetails(type=error, loc=(key, setting), input=None)
