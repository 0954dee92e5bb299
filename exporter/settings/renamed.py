"""Settings that were renamed: the former name works for one release, with a warning."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from exporter.settings.schema import SettingPath

# Former names of this release; the next one empties the table.
FORMER_NAMES: Mapping[str, str] = MappingProxyType({})


def todays(path: SettingPath) -> SettingPath:
    """Return *path* with the name that its setting has today, in a hub or at the top level."""
    depth = 2 if path[0] == "hubs" else 0
    name = FORMER_NAMES.get(".".join(path[depth:]))
    return path if name is None else (*path[:depth], *name.split("."))
