"""Loading the settings from their sources, with all problems, and the files to watch."""

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

# Where the defaults of all hubs are copied for found ones.
_FOUND = ("discovery", "azure", "hubs", "*")
_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Configuration:
    """Settings and their sources, the strongest first."""

    settings: Settings
    sources: Sequence[Source]

    @property
    def former_names(self) -> Sequence[Problem]:
        """The settings under a former name, each with the current one."""
        return [renamed for source in self.sources for renamed in source.former_names]

    def lines(self) -> Iterator[str]:
        """Yield a YAML file of all set values, in current names; secrets are hidden."""
        trees = (source.tree for source in self.sources)
        document: Mapping[str, object] = reduce(overlay, trees, {})
        shown = {key: document[key] for key in document if key != "config_file"}
        return _lines((), shown, self.sources)


def load_configuration(
    environ: Mapping[str, str], overrides: Mapping[str, str] = _NOTHING
) -> Configuration:
    """
    Load the settings of command line, environment and configuration file.

    *overrides* are those of the command line, by dotted name (`intervals.active`). They win over
    *environ*, which wins over the file that either of them names (`config_file`).

    Raises:
        SettingsError: with all errors of all sources and hubs.
    """
    sources = _sources(environ, overrides)
    problems = [problem for source in sources for problem in source.problems]
    settings = _validate(sources)
    if isinstance(settings, Settings) and not problems:
        return Configuration(settings, sources)
    if isinstance(settings, ValidationError):
        problems += explain(settings, sources)
    # A wrong default is an error of every hub; report it once.
    raise SettingsError(list(dict.fromkeys(problems)))


def load_settings(environ: Mapping[str, str], overrides: Mapping[str, str] = _NOTHING) -> Settings:
    """Return the settings of `load_configuration`; raises `SettingsError` as it does."""
    return load_configuration(environ, overrides).settings


def load_listen_address(
    environ: Mapping[str, str], overrides: Mapping[str, str] = _NOTHING
) -> ListenAddress:
    """
    Return where an exporter with these settings listens, whatever other errors they have.

    Raises:
        ValueError: the address is invalid; the message continues after the setting's name.
    """
    for source in _sources(environ, overrides):
        if (address := source.tree.get("listen_address")) is not None:
            return parse_listen_address(address)
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
    """Return the error instead of raising it: as the context of another it would show values."""
    try:
        return Settings(*sources)
    except ValidationError as error:
        return error


def explain(error: ValidationError, sources: Sequence[Source]) -> Iterator[Problem]:
    """Yield the problems of *error*; *sources* are those of the settings, the strongest first."""
    complete = all(source.complete for source in sources)
    # Without the values, so that no message can show a secret.
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
    """Explain that a hub has no URL, the only setting without a default."""
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
    """Return where the value of an error may be set: in the hub itself, or as a default of all."""
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
    """Return the strongest source that sets the first possible of *places*, or a group above."""
    own = places[0]
    for path in (*places, *(own[:length] for length in range(len(own) - 1, 0, -1))):
        for source in sources:
            if source.has(path):
                return source, path
    return None, own


_HIDDEN = "********"


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
    """Format a value as one line of YAML."""
    style = '"' if isinstance(value, str) and not value.isprintable() else None
    text = yaml.safe_dump(
        value, default_style=style, default_flow_style=True, allow_unicode=True, width=float("inf")
    )
    return text.removesuffix("...\n").strip()


_PRIVATE_KEY = b"PRIVATE KEY-----"


def watched_files(settings: Settings) -> tuple[Path, ...]:
    """Return every file that *settings* were read from or name, sorted."""
    paths = [path for hub in settings.hubs for path in (*key_files(hub), *tls_files(hub))]
    if settings.config_file is not None:
        paths.append(settings.config_file)
    return tuple(sorted({*paths, *settings.web_config.files}))


def key_files(hub: HubSettings) -> Iterator[Path]:
    """Yield the path of the key file of *hub*, even if it does not exist yet."""
    if hub.key_file is not None:
        yield hub.key_file
    elif hub.key is None and hub.keys_dir is not None:
        path = hub.keys_dir / hub.name
        if path.parent == hub.keys_dir:
            yield path


def tls_files(hub: HubSettings) -> Iterator[Path]:
    """Yield the TLS files of *hub*."""
    files = (hub.tls.ca_file, hub.tls.client_cert_file, hub.tls.client_key_file)
    yield from (path for path in files if path is not None)


def exposed_files(settings: Settings) -> Iterator[Path]:
    """Yield the files with secrets that every user of the machine can read."""
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
    Return a digest of the content of *paths*.

    It reads them: times and sizes do not tell that a mounted secret was replaced.
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
