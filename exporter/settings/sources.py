"""Where settings come from: the command line, the environment, a file."""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

from exporter.settings.fleet import overlay
from exporter.settings.model import Settings
from exporter.settings.problems import Problem, shown_name
from exporter.settings.schema import Place, SettingPath, closest, document, is_identity, place_at

PREFIX = "DURABLE_EXPORTER_"
# The most used, which have options of their own beside `--set`.
OWN_OPTIONS = (
    "config_file", "url", "task_hub", "connection", "key_file", "name", "listen_address",
    "log_level", "log_format",
)  # fmt: skip

# Kubernetes tells every pod of a namespace where each service is: here, of one called
# `durable-exporter` or longer.
_SERVICE_LINK = re.compile(
    r"(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?"
    r"|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:ADDR|PORT|PROTO))?)"
)
_SERVICE_PORT = re.compile(r"(?:\w+_)?PORT")
_SERVICE_ADDRESS = re.compile(r"(?:tcp|udp|sctp)://.+")


class Source(PydanticBaseSettingsSource):
    """
    Values as a document, `tree`, and in `origins` where each of them was said.

    What cannot be used is in `problems`; where a whole part could not be read, the source is not
    `complete`.
    """

    def __init__(self) -> None:
        super().__init__(Settings)
        self.tree: dict[str, object] = {}
        self.origins: dict[SettingPath, str] = {}
        self.problems: list[Problem] = []
        self.complete = True

    @abstractmethod
    def spell(self, path: SettingPath) -> str:
        """Return what the user writes in this source to set *path*."""

    def propose(self, path: SettingPath) -> str:
        """Return the same for a message that has already said which source it is."""
        return self.spell(path)

    def __call__(self) -> dict[str, Any]:
        """Return the values of this source, below those of the stronger ones."""
        return overlay(self.current_state, self.tree)

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Fail: this source answers as a whole."""
        raise NotImplementedError

    def put(self, path: SettingPath, value: object, origin: str, separator: str = ": ") -> None:
        """Take *value* with all that is in it; nothing, as YAML's `null`, is not set or empty."""
        if value is None:
            value = _nothing_at(path)
        if value is None:
            return
        self._remember(path, origin)
        if not isinstance(value, dict):
            _graft(self.tree, path, value)
            return
        _graft(self.tree, path, {})
        for name, below in value.items():
            self.put((*path, name), below, f"{origin}{separator}{shown_name(name)}", ".")

    def complain(self, origin: str, message: str) -> None:
        """Note what cannot be used."""
        self.problems.append(Problem(origin, message))

    def unknown(self, path: SettingPath) -> str:
        """Return what to say of *path*, which is no setting."""
        if path[0] == "hubs" and path[2:3] and path[2] in Settings.model_fields:
            return f"is a setting of the whole exporter: use {self.propose(path[2:])}"
        meant = closest(path)
        return (
            f"is not a setting: did you mean {self.propose(meant)}?"
            if meant
            else "is not a setting: remove it, or look up its name in the reference of settings"
        )

    def _remember(self, path: SettingPath, origin: str) -> None:
        self.origins[path] = origin
        for length in range(1, len(path)):
            self.origins.setdefault(path[:length], origin)


class TextSource(Source):
    """A source whose values are texts: groups and mappings are written as JSON."""

    def put_text(self, path: SettingPath, text: str, origin: str) -> None:
        """Take one variable or option."""
        place = place_at(path)
        if place is None:
            self.complain(origin, self.unknown(path))
        elif place.is_value:
            self.put(path, text, origin)
        else:
            self._put_json(path, text, origin)

    def _put_json(self, path: SettingPath, text: str, origin: str) -> None:
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
            return
        if isinstance(value, dict):
            self.put(path, value, origin)
        else:
            self.complain(origin, f"is not a JSON object: write one, or set {example}")


class Environment(TextSource):
    """
    Variables that start with `DURABLE_EXPORTER_`; `__` goes one level down.

    Names of hubs, orchestrators, labels and headers are in lower case, unless *spelled*, the
    document of the file, has the same name in another case. An empty variable is not set, except
    where it says which hub it is: a secret that came out empty must not go unnoticed.
    """

    def __init__(self, environ: Mapping[str, str], spelled: Mapping[str, object]) -> None:
        super().__init__()
        said: dict[SettingPath, str] = {}
        # In this order a group's JSON comes before the variables of its members, which overrule it.
        for variable in sorted(name for name in environ if name.startswith(PREFIX)):
            text = environ[variable]
            path = _path_of(variable, spelled)
            if _is_service_link(variable, text) or _is_unset(path, text):
                continue
            first = said.setdefault(path, variable)
            if first == variable:
                self.put_text(path, text, variable)
            else:
                self.complain(variable, f"says the same as {first}: remove one of the two")

    def spell(self, path: SettingPath) -> str:
        """Return the variable for *path*."""
        return variable_for(path)


class CommandLine(TextSource):
    """Dotted names, as `intervals.active`, with their values."""

    def __init__(self, overrides: Mapping[str, str]) -> None:
        super().__init__()
        for name, text in overrides.items():
            path = tuple(name.split("."))
            self.put_text(path, text, option_for(path))

    def spell(self, path: SettingPath) -> str:
        """Return the option for *path*."""
        return option_for(path)


def option_for(path: SettingPath) -> str:
    """Return the option that sets *path*, as it is written: one of its own where there is one."""
    name = ".".join(path)
    return f"--{name.replace('_', '-')}" if name in OWN_OPTIONS else f"--set {name}"


def variable_for(path: SettingPath) -> str:
    """Return the environment variable that sets *path*."""
    return PREFIX + "__".join(path).upper()


def _path_of(variable: str, spelled: Mapping[str, object]) -> SettingPath:
    """Return the path that *variable* sets, with free names as *spelled* has them."""
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
    # This one alone may as well be a mistaken setting.
    return bool(_SERVICE_PORT.fullmatch(suffix) and _SERVICE_ADDRESS.fullmatch(text))


def _is_unset(path: SettingPath, text: str) -> bool:
    return not text.strip() and place_at(path) is not None and not is_identity(path)


def _nothing_at(path: SettingPath) -> object:
    """Return what stands for a value that was left empty: an empty group, or None for not set."""
    place = place_at(path)
    if place is None or is_identity(path):
        return ""
    return None if place.is_value else {}


def _first_below(path: SettingPath) -> SettingPath:
    """Return one path below a group or mapping, for an example."""
    place = place_at(path)
    if place is None or place.is_value:
        return ()
    name = next(iter(place.members)) if place.members else "<name>"
    return (name, *_first_below((*path, name)))


def _graft(tree: dict[str, object], path: SettingPath, value: object) -> None:
    """Set *path* in *tree*; a value in its way gives way, an empty group changes nothing."""
    if not path:
        return
    for name in path[:-1]:
        below = tree.get(name)
        if not isinstance(below, dict):
            below = tree[name] = {}
        tree = below
    if value != {} or not isinstance(tree.get(path[-1]), dict):
        tree[path[-1]] = value
