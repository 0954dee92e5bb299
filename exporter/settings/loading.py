"""Reading the settings from where they are said, and what is wrong with them."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from hashlib import blake2b
from itertools import takewhile
from pathlib import Path
from types import MappingProxyType

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from exporter.settings.addresses import ListenAddress, parse_listen_address
from exporter.settings.error_messages import Problem, SettingsError, in_words
from exporter.settings.hub import PLACE, HubSettings
from exporter.settings.hub_defaults import FLAT, overlay
from exporter.settings.model import Settings
from exporter.settings.schema import SettingPath, place_at
from exporter.settings.sources import (
    CommandLine,
    ConfigFile,
    Environment,
    Source,
    option_for,
    variable_for,
)

# Where the defaults of all hubs are those of found ones, too.
_FOUND = ("discovery", "azure", "hubs", "*")
_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Configuration:
    """Settings, and the sources that they came from, the strongest first."""

    settings: Settings
    sources: Sequence[Source]

    @property
    def former_names(self) -> Sequence[Problem]:
        """Where a setting goes by a former name, and what it is called today."""
        return [renamed for source in self.sources for renamed in source.former_names]

    def lines(self) -> Iterator[str]:
        """Yield what is set, as a YAML file in today's names; secrets are hidden."""
        return printed(self.sources)


def load_configuration(
    environ: Mapping[str, str], overrides: Mapping[str, str] = _NOTHING
) -> Configuration:
    """
    Return what the command line, the environment and the configuration file say.

    *overrides* are what the command line sets, by dotted name (`intervals.active`). They win over
    *environ*, which wins over the file that either of them names (`config_file`).

    Raises:
        SettingsError: with everything that is wrong, in any source and any hub.
    """
    sources = _sources(environ, overrides)
    problems = [problem for source in sources for problem in source.problems]
    settings = _validate(sources)
    if isinstance(settings, Settings) and not problems:
        return Configuration(settings, sources)
    if isinstance(settings, ValidationError):
        problems += explain(settings, sources)
    # A default that is wrong is wrong in every hub; it is said once.
    raise SettingsError(list(dict.fromkeys(problems)))


def load_settings(environ: Mapping[str, str], overrides: Mapping[str, str] = _NOTHING) -> Settings:
    """Return the settings of `load_configuration`; raises `SettingsError` as it does."""
    return load_configuration(environ, overrides).settings


def load_listen_address(
    environ: Mapping[str, str], overrides: Mapping[str, str] = _NOTHING
) -> ListenAddress:
    """
    Return where the exporter with these settings listens, whatever else is wrong in them.

    Raises:
        ValueError: no such address can be; the message goes on after the setting's name.
    """
    for source in _sources(environ, overrides):
        if (said := source.tree.get("listen_address")) is not None:
            return parse_listen_address(said)
    return parse_listen_address(Settings.model_fields["listen_address"].get_default())


def _sources(environ: Mapping[str, str], overrides: Mapping[str, str]) -> Sequence[Source]:
    """Return the sources, the strongest first."""
    setting = ("config_file",)
    if setting[0] in overrides:
        file = ConfigFile(overrides[setting[0]], option_for(setting))
    else:
        variable = variable_for(setting)
        file = ConfigFile(environ.get(variable, "").strip() or None, variable)
    return CommandLine(overrides), Environment(environ, file.tree), file


def _validate(sources: Sequence[Source]) -> Settings | ValidationError:
    """Return the error rather than raise it: it must not be the context of another, with values."""
    try:
        return Settings(*sources)
    except ValidationError as error:
        return error


def explain(error: ValidationError, sources: Sequence[Source]) -> Iterator[Problem]:
    """Yield the problems of *error*; *sources* are those of the settings, the strongest first."""
    complete = all(source.complete for source in sources)
    # What was given is left out here, so that no secret can come into a message.
    for line in error.errors(include_url=False, include_input=False):
        if line["type"] != "missing":
            yield _explain_line(line, sources)
        elif complete:
            yield _explain_missing(_places(line["loc"])[0], sources)


def _explain_line(line: ErrorDetails, sources: Sequence[Source]) -> Problem:
    places = _places(line["loc"])
    source, path = _find(places, sources)
    location = source.origin(path) if source else variable_for(places[0])
    if source and line["type"] == "extra_forbidden":
        return Problem(location, source.unknown(path))
    return Problem(location, in_words(line))


def _explain_missing(path: SettingPath, sources: Sequence[Source]) -> Problem:
    """Explain that a hub has no URL, which is the only setting without a default."""
    variable = variable_for(path)
    *hub, _ = path
    source, _ = _find([tuple(hub)], sources)
    if not hub or source is None:
        return _explain_no_hub(variable, sources)
    location = source.spell(path)
    other = "" if location == variable else f", or {variable},"
    return Problem(location, f"is missing: set it{other} to the address of the function app")


def _explain_no_hub(variable: str, sources: Sequence[Source]) -> Problem:
    named = variable_for(("hubs", "<name>", "url"))
    makers = (s.origin((name,)) for name in PLACE for s in sources if s.has((name,)))
    maker = next(makers, None)
    reason = f", though {maker} makes a hub of its own" if maker else ", so there is no hub"
    return Problem(
        variable, f"is missing{reason}: set it to the address of the function app, or set {named}"
    )


def _places(location: tuple[int | str, ...]) -> list[SettingPath]:
    """Return where the value of an error may stand: in the hub itself, or as a default of all."""
    names = takewhile(lambda part: isinstance(part, str) and part != "[key]", location)
    path = tuple(map(str, names))
    if path[: len(_FOUND)] == _FOUND:
        return [path, path[len(_FOUND) :]]
    if path[:1] != ("hubs",) or len(path) == 1:
        return [path]
    _, hub, *setting = path
    shared = tuple(setting)
    return [shared] if hub == FLAT else [path, shared]


def _find(
    places: Sequence[SettingPath], sources: Sequence[Source]
) -> tuple[Source | None, SettingPath]:
    """Return the strongest source that says something at the first of *places*, or above it."""
    own = places[0]
    for path in (*places, *(own[:length] for length in range(len(own) - 1, 0, -1))):
        for source in sources:
            if source.has(path):
                return source, path
    return None, own


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


_PRIVATE_KEY = b"PRIVATE KEY-----"


def watched_files(settings: Settings) -> tuple[Path, ...]:
    """Return every file that *settings* were read from or name, in a fixed order."""
    paths = [path for hub in settings.hubs for path in (*key_files(hub), *tls_files(hub))]
    if settings.config_file is not None:
        paths.append(settings.config_file)
    return tuple(sorted({*paths, *settings.web_config.files}))


def key_files(hub: HubSettings) -> Iterator[Path]:
    """Yield where the key of *hub* may be, also where there is none yet."""
    if hub.key_file is not None:
        yield hub.key_file
    elif hub.key is None and hub.keys_dir is not None:
        path = hub.keys_dir / hub.name
        if path.parent == hub.keys_dir:
            yield path


def tls_files(hub: HubSettings) -> Iterator[Path]:
    """Yield the files that the TLS of *hub* rests on."""
    files = (hub.tls.ca_file, hub.tls.client_cert_file, hub.tls.client_key_file)
    yield from (path for path in files if path is not None)


def exposed_files(settings: Settings) -> Iterator[Path]:
    """Yield the files with a secret of *settings* that every user of the machine can read."""
    keys = {path for hub in settings.hubs for path in key_files(hub)}
    inline = {hub.key.get_secret_value().encode() for hub in settings.hubs if hub.key is not None}
    for path in watched_files(settings):
        if _is_readable_by_everyone(path):
            content = _content(path)
            if path in keys or _PRIVATE_KEY in content or any(key in content for key in inline):
                yield path


def _is_readable_by_everyone(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False


def fingerprint(paths: Iterable[Path]) -> bytes:
    """
    Return a value that differs where the content of any of *paths* does.

    It reads them: a mounted secret is replaced by way of symbolic links, in any number of ways, and
    with whatever times and sizes.
    """
    digest = blake2b(digest_size=16)
    for path in paths:
        content = _content(path)
        digest.update(len(content).to_bytes(8) + content)
    return digest.digest()


def _content(path: Path) -> bytes:
    try:
        return b"+" + path.read_bytes()
    except OSError as error:
        return f"-{error.errno}".encode()
