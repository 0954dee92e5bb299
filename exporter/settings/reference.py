"""The reference page of the settings, written from the models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, get_args, get_origin

from annotated_types import Ge, Le
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from exporter.settings.durations import format_duration
from exporter.settings.exposition import MetricsSettings
from exporter.settings.groups import Buckets, Intervals, Retries, Timeouts, Tls
from exporter.settings.hub import IDENTITY, HubSettings
from exporter.settings.limits import LimitOverrides, Limits
from exporter.settings.model import Settings
from exporter.settings.reference_texts import EXAMPLES, INTRODUCTION, ORCHESTRATORS
from exporter.settings.schema import SettingPath
from exporter.settings.shown import Shown
from exporter.settings.sources import variable_for

_GROUPS: tuple[tuple[SettingPath, type[BaseModel]], ...] = (
    (("intervals",), Intervals),
    (("limits",), Limits),
    (("limits", "orchestrators", "<name>"), LimitOverrides),
    (("timeouts",), Timeouts),
    (("retries",), Retries),
    (("tls",), Tls),
)
_WORDS: Mapping[object, str] = {bool: "`true` or `false`", int: "whole number", str: "text"}


def page() -> str:
    """Return the page as Markdown."""
    sections = [INTRODUCTION, EXAMPLES, *_of_the_exporter(), *_of_a_hub()]
    return "\n".join(sections)


def _of_the_exporter() -> Iterator[str]:
    own = {name: field for name, field in Settings.model_fields.items() if name != "hubs"}
    yield "## The exporter\n\nThese are allowed at the top level only.\n"
    yield _table((), own)
    yield _section(("metrics",), MetricsSettings)
    yield _section(("buckets",), Buckets)


def _of_a_hub() -> Iterator[str]:
    fields = HubSettings.model_fields
    yield "## Which hub\n\nAt the top level these make a hub of their own; they are no defaults.\n"
    yield _table((), {name: fields[name] for name in IDENTITY})
    yield "## How it is polled and shown\n\nAt the top level these are the defaults of all hubs.\n"
    yield _table((), {name: field for name, field in fields.items() if name not in IDENTITY})
    for path, model in _GROUPS:
        yield _section(path, model)
        if model is LimitOverrides:
            yield ORCHESTRATORS


def _section(path: SettingPath, model: type[BaseModel]) -> str:
    summary = (model.__doc__ or "").strip()
    return f"### `{'.'.join(path)}`\n\n{summary}\n\n{_table(path, model.model_fields)}"


def _table(path: SettingPath, fields: dict[str, FieldInfo]) -> str:
    return "\n".join(
        [
            "| setting | environment variable | values | default | meaning |",
            "|---|---|---|---|---|",
            *_rows(path, fields),
            "",
        ]
    )


def _rows(path: SettingPath, fields: dict[str, FieldInfo]) -> Iterable[str]:
    for name, field in fields.items():
        if _is_group(field):
            continue
        here = (*path, name)
        yield (
            f"| `{'.'.join(here)}` | `{variable_for(here)}` | {_values(field)} "
            f"| {_default(path, field)} | {field.description} |"
        )


def _is_group(field: FieldInfo) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)


def _values(field: FieldInfo) -> str:
    """Return the values of a field in words: those that its type gives, or what the type is."""
    shown = [part.values for part in _metadata(field) if isinstance(part, Shown)]
    if shown:
        return shown[-1]
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(field.annotation))
    return _WORDS[field.annotation] + _range(field)


def _metadata(field: FieldInfo) -> Iterator[object]:
    """Yield the metadata of a field's type, also that of a type which may be None."""
    yield from field.metadata
    for part in get_args(field.annotation):
        yield from getattr(part, "__metadata__", ())


def _range(field: FieldInfo) -> str:
    least = [f"from {part.ge}" for part in field.metadata if isinstance(part, Ge)]
    most = [f"to {part.le}" for part in field.metadata if isinstance(part, Le)]
    return "".join(f" {bound}" for bound in least + most)


def _default(path: SettingPath, field: FieldInfo) -> str:
    value = field.default
    if field.is_required():
        return "see **Hubs**" if field is HubSettings.model_fields["name"] else "required"
    if path[1:2] == ("orchestrators",):
        return "as for the others"
    if value is None:
        return "`none`" if path == ("limits",) else "none"
    if value in ({}, ()):
        return "empty"
    return f"`{_spelled(value)}`"


def _spelled(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return format_duration(value)
    if isinstance(value, tuple):
        return ",".join(map(_spelled, value))
    return str(value)
