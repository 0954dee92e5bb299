"""
Sources of settings: the command line, the environment, a file.

pydantic-settings nests variables and options, and merges the sources. This adds what it lacks:
where each value was set, all errors at once, unknown and former names, and a strictly read file.
"""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource, InitSettingsSource

from exporter.settings.error_messages import Problem, shown_name
from exporter.settings.hub_defaults import overlay
from exporter.settings.model import Settings
from exporter.settings.schema import (
    Document,
    Place,
    SettingPath,
    closest,
    document,
    is_identity,
    place_at,
    settings_beside,
    todays,
)
from exporter.settings.strict_yaml import NotYaml, read_yaml

PREFIX = "DURABLE_EXPORTER_"
# The most used settings, which have their own options beside `--set`.
OWN_OPTIONS = (
    "config_file", "url", "task_hub", "connection", "key_file", "name", "listen_address",
    "log_level", "log_format",
)  # fmt: skip

# Variables that Kubernetes adds to pods for a service whose name begins with `durable-exporter`.
_SERVICE_LINK = re.compile(
    r"(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?"
    r"|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:ADDR|PORT|PROTO))?)"
)
_SERVICE_PORT = re.compile(r"(?:\w+_)?PORT")
_SERVICE_ADDRESS = re.compile(r"(?:tcp|udp|sctp)://.+")


class Source(InitSettingsSource):
    """
    A source whose values are a document, `tree`, in current names.

    `problems` are its errors, `former_names` its warnings. It is not `complete` if a whole part of
    it could not be read.
    """

    def __init__(self) -> None:
        super().__init__(Document, {})
        self.tree: dict[str, object] = {}
        self.problems: list[Problem] = []
        self.former_names: list[Problem] = []
        self.complete = True
        self._written: dict[SettingPath, SettingPath] = {}

    @abstractmethod
    def spell(self, path: SettingPath) -> str:
        """Return what users write in this source to set *path*."""

    @abstractmethod
    def origin(self, path: SettingPath) -> str:
        """Return where the source sets *path*, which it `has`."""

    def propose(self, path: SettingPath) -> str:
        """Return the same as `spell`, for a message that already names the source."""
        return self.spell(path)

    def __call__(self) -> dict[str, Any]:
        """Merge the values of this source below those of the stronger ones."""
        return overlay(self.current_state, self.tree)

    def has(self, path: SettingPath) -> bool:
        """Return whether something is set at *path* or below it."""
        place: object = self.tree
        for name in path:
            if not isinstance(place, dict) or name not in place:
                return False
            place = place[name]
        return True

    def complain(self, origin: str, message: str) -> None:
        """Add a problem."""
        self.problems.append(Problem(origin, message))

    def unknown(self, path: SettingPath) -> str:
        """Return the message for *path*, which is not a setting."""
        if path[0] == "hubs" and path[2:3] and path[2] in Settings.model_fields:
            return f"is a setting of the whole exporter: use {self.propose(path[2:])}"
        if meant := closest(path):
            return f"is not a setting: did you mean {self.propose(meant)}?"
        known = ", ".join(settings_beside(path)) or "see the reference of settings"
        return f"is not a setting; known: {known}"

    def _read(self, path: SettingPath, value: object) -> object:
        """Return *value* in current names; None, also for YAML's `null`, if it is not set."""
        if value is None:
            return _nothing_at(path)
        return self._read_group(path, value) if isinstance(value, dict) else value

    def _read_group(self, path: SettingPath, members: Mapping[str, object]) -> dict[str, object]:
        group: dict[str, object] = {}
        for name, below in members.items():
            written = (*path, name)
            here = todays(written)
            if here != written:
                if here[-1] in members:
                    self._complain_of_two(self.origin(written), self.propose(here))
                    continue
                self._note_former_name(here, written, self.origin(written))
            content = self._read(here, below)
            if content is not None:
                group[here[-1]] = content
        return group

    def _note_former_name(self, path: SettingPath, written: SettingPath, origin: str) -> None:
        self._written[path] = written
        use = f"was renamed: use {self.propose(path)}, as the next minor version refuses this name"
        self.former_names.append(Problem(origin, use))

    def _complain_of_two(self, origin: str, other: str) -> None:
        self.complain(origin, f"duplicates {other}: remove one of the two")


class _Nested(EnvSettingsSource):
    """Nests values by name as pydantic-settings does, with *delimiter* between levels."""

    def __init__(self, values: Mapping[str, Any], delimiter: str) -> None:
        self._values = values
        super().__init__(
            Document, case_sensitive=True, env_prefix="", env_nested_delimiter=delimiter
        )

    def _load_env_vars(self) -> Mapping[str, Any]:
        return self._values

    def decode_complex_value(self, _name: str, _field: FieldInfo, value: object) -> object:
        """Return *value*, whose JSON was decoded before."""
        return value


class TextSource(Source):
    """
    Texts by path, with their origins; groups and mappings are JSON.

    Single settings of a group win over its JSON, which has to come first.
    """

    def __init__(self, texts: Iterable[tuple[SettingPath, str, str]], delimiter: str) -> None:
        super().__init__()
        self._origins: dict[SettingPath, str] = {}
        values: dict[str, object] = {}
        for written, text, origin in texts:
            path = todays(written)
            if path in self._origins:
                self._complain_of_two(origin, self._origins[path])
                continue
            self._origins[path] = origin
            if path != written:
                self._note_former_name(path, written, origin)
            value = self._value(path, text, origin)
            if value is not None:
                values[delimiter.join(path)] = value
        self.tree = _Nested(values, delimiter)() if values else {}

    def origin(self, path: SettingPath) -> str:
        """Return the variable or option that set *path*, with the place in its JSON."""
        for length in range(len(path), 0, -1):
            if (origin := self._origins.get(path[:length])) is not None:
                within = self._written.get(path, path)[length:]
                return f"{origin}: {'.'.join(map(shown_name, within))}" if within else origin
        return next(self._origins[each] for each in self._origins if each[: len(path)] == path)

    def _value(self, path: SettingPath, text: str, origin: str) -> object:
        """Return the value of *text* for *path*, None if it is invalid."""
        place = place_at(path)
        if place is None:
            self.complain(origin, self.unknown(path))
            return None
        if place.is_value:
            return text
        example = self.spell((*path, *_first_below(path)))
        try:
            value = json.loads(text)
        except json.JSONDecodeError as error:
            self.complete = False
            self.complain(
                origin,
                f"is not JSON ({error.msg} at character {error.pos + 1}): "
                f"correct it, or set each by itself, as {example}",
            )
            return None
        if isinstance(value, dict):
            return self._read(path, value)
        self.complain(origin, f"is not a JSON object: write one, or set {example}")
        return None


class Environment(TextSource):
    """
    Variables that start with `DURABLE_EXPORTER_`, with `__` between levels.

    Names of hubs, orchestrators, labels and headers are in lower case, unless *spelled*, the
    document of the file, has the same name in another case. Empty variables are ignored, except
    those of a hub's identity or key: an empty secret must not go unnoticed.
    """

    def __init__(self, environ: Mapping[str, str], spelled: Mapping[str, object]) -> None:
        super().__init__(_variables(environ, spelled), "__")

    def spell(self, path: SettingPath) -> str:
        """Return the variable for *path*."""
        return variable_for(path)


class CommandLine(TextSource):
    """Values by dotted name, such as `intervals.active`."""

    def __init__(self, overrides: Mapping[str, str]) -> None:
        paths = {tuple(name.split(".")): text for name, text in overrides.items()}
        super().__init__(((path, text, option_for(path)) for path, text in paths.items()), ".")

    def spell(self, path: SettingPath) -> str:
        """Return the option for *path*."""
        return option_for(path)


class ConfigFile(Source):
    """
    A YAML file, empty without a *path*; *named_by* is the option or variable that names it.

    Paths in it are relative to its folder. The YAML source of pydantic-settings ignores a missing
    file, accepts duplicate keys, and quotes what it cannot read.
    """

    def __init__(self, path: str | None, named_by: str) -> None:
        super().__init__()
        self._path = path or ""
        if path is not None:
            self.complete = self._load(Path(path), named_by)

    def spell(self, path: SettingPath) -> str:
        """Return the place of *path* in the file."""
        return f"{self._path}: {'.'.join(map(shown_name, path))}"

    def origin(self, path: SettingPath) -> str:
        """Return the place of *path* in the file, under the name written there."""
        return self.spell(self._written.get(path, path))

    def propose(self, path: SettingPath) -> str:
        """Return the place of *path*, without the name of the file."""
        return ".".join(path)

    def _load(self, path: Path, named_by: str) -> bool:
        """Load the file; return False if it cannot be read as a whole."""
        try:
            content, problems = read_yaml(path.read_text(encoding="utf-8"))
        except OSError as error:
            reason = error.strerror or "no reason given"
            self.complain(
                named_by, f"names {self._path!r}, which cannot be read ({reason}): correct the path"
            )
            return False
        except UnicodeDecodeError:
            self.complain(self._path, "is not UTF-8 text: save it as UTF-8")
            return False
        except NotYaml as error:
            self.complain(self._path, str(error))
            return False
        for line, message in problems:
            self.complain(f"{self._path}: line {line}", message)
        if content is not None and not isinstance(content, dict):
            self.complain(self._path, "is not a mapping: write settings as name: value")
            return False
        self._take(content or {})
        return True

    def _take(self, content: dict[str, object]) -> None:
        if content.pop("config_file", None) is not None:
            self.complain(self.spell(("config_file",)), "is this file itself: remove it")
        self.tree = self._read_group((), content)

    def _read(self, path: SettingPath, value: object) -> object:
        place = place_at(path)
        if place is not None and place.is_path and isinstance(value, str) and value.strip():
            return str(Path(self._path).parent / value)
        return super()._read(path, value)


def option_for(path: SettingPath) -> str:
    """Return the option that sets *path*: its own if there is one, else `--set`."""
    name = ".".join(path)
    return f"--{name.replace('_', '-')}" if name in OWN_OPTIONS else f"--set {name}"


def variable_for(path: SettingPath) -> str:
    """Return the environment variable that sets *path*."""
    return PREFIX + "__".join(path).upper()


def _variables(
    environ: Mapping[str, str], spelled: Mapping[str, object]
) -> Iterator[tuple[SettingPath, str, str]]:
    """Yield path, text and name of each variable that is set, groups before their members."""
    for variable in sorted(name for name in environ if name.startswith(PREFIX)):
        path, text = _path_of(variable, spelled), environ[variable]
        here = todays(path)
        is_unset = not text.strip() and place_at(here) is not None and not is_identity(here)
        if not is_unset and not _is_service_link(variable, text):
            yield path, text, variable


def _path_of(variable: str, spelled: Mapping[str, object]) -> SettingPath:
    """Return the path that *variable* sets, with free names spelled as in *spelled*."""
    path: list[str] = []
    place: Place | None = document()
    known = spelled
    for segment in variable.removeprefix(PREFIX).split("__"):
        name = segment.lower()
        if place and place.each:
            name = next((other for other in known if other.lower() == name), name)
        path.append(name)
        place = place.below(name) if place else None
        below = known.get(name)
        known = below if isinstance(below, dict) else {}
    return tuple(path)


def _is_service_link(variable: str, text: str) -> bool:
    suffix = variable.removeprefix(PREFIX)
    if "__" in suffix:
        return False
    if _SERVICE_LINK.fullmatch(suffix):
        return True
    # `..._PORT` may as well be a mistaken setting, unless its value is an address.
    return bool(_SERVICE_PORT.fullmatch(suffix) and _SERVICE_ADDRESS.fullmatch(text))


def _nothing_at(path: SettingPath) -> object:
    """Return the meaning of a value left empty: an empty group, or None for not set."""
    place = place_at(path)
    if place is None or is_identity(path):
        return ""
    return None if place.is_value else {}


def _first_below(path: SettingPath) -> SettingPath:
    """Return a path below a group or mapping, for an example."""
    place = place_at(path)
    if place is None or place.is_value:
        return ()
    name = next(iter(place.members)) if place.members else "<name>"
    return (name, *_first_below((*path, name)))
