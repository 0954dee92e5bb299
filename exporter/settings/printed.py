"""A configuration as a file in today's names, with where each value was set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce

import yaml

from exporter.settings.hub_defaults import overlay
from exporter.settings.schema import SettingPath, place_at
from exporter.settings.sources import Source

_HIDDEN = "********"


def printed(sources: Sequence[Source]) -> Iterator[str]:
    """Yield the lines of what *sources*, the strongest first, set together; secrets are hidden."""
    document: Mapping[str, object] = reduce(overlay, (source.tree for source in sources), {})
    yield from _lines((), {key: document[key] for key in document if key != "config_file"}, sources)


def _lines(
    path: SettingPath, group: Mapping[str, object], sources: Sequence[Source]
) -> Iterator[str]:
    indent = "  " * len(path)
    for name, value in group.items():
        here = (*path, name)
        if isinstance(value, dict) and value:
            yield f"{indent}{_spelled(name)}:"
            yield from _lines(here, value, sources)
        else:
            place = place_at(here)
            shown = _HIDDEN if place is not None and place.is_secret else value
            origin = next(source.origin(here) for source in sources if source.has(here))
            yield f"{indent}{_spelled(name)}: {_spelled(shown)}  # {origin}"


def _spelled(value: object) -> str:
    """Spell a value in one line of YAML."""
    style = '"' if isinstance(value, str) and not value.isprintable() else None
    text = yaml.safe_dump(
        value, default_style=style, default_flow_style=True, allow_unicode=True, width=float("inf")
    )
    return text.removesuffix("...\n").strip()
