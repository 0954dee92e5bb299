"""Reading the settings from where they are said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from pydantic import ValidationError

from exporter.settings.addresses import ListenAddress, parse_listen_address
from exporter.settings.explaining import explain
from exporter.settings.file import ConfigFile
from exporter.settings.model import Settings
from exporter.settings.problems import SettingsError
from exporter.settings.sources import CommandLine, Environment, Source, option_for, variable_for

_NOTHING: Mapping[str, str] = MappingProxyType({})


def load_settings(environ: Mapping[str, str], overrides: Mapping[str, str] = _NOTHING) -> Settings:
    """
    Return the settings of the command line, the environment and the configuration file.

    *overrides* are what the command line sets, by dotted name (`intervals.active`). They win over
    *environ*, which wins over the file that either of them names (`config_file`).

    Raises:
        SettingsError: with everything that is wrong, in any source and any hub.
    """
    file = _config_file(environ, overrides)
    sources = (CommandLine(overrides), Environment(environ, file.tree), file)
    problems = [problem for source in sources for problem in source.problems]
    settings = _validate(sources)
    if isinstance(settings, Settings) and not problems:
        return settings
    if isinstance(settings, ValidationError):
        problems += explain(settings, sources)
    # A default that is wrong is wrong in every hub; it is said once.
    raise SettingsError(list(dict.fromkeys(problems)))


def load_listen_address(
    environ: Mapping[str, str], overrides: Mapping[str, str] = _NOTHING
) -> ListenAddress:
    """
    Return where the exporter with these settings listens, whatever else is wrong in them.

    Raises:
        ValueError: no such address can be; the message goes on after the setting's name.
    """
    file = _config_file(environ, overrides)
    for source in (CommandLine(overrides), Environment(environ, file.tree), file):
        if (said := source.tree.get("listen_address")) is not None:
            return parse_listen_address(said)
    return parse_listen_address(Settings.model_fields["listen_address"].get_default())


def _config_file(environ: Mapping[str, str], overrides: Mapping[str, str]) -> ConfigFile:
    variable = variable_for(("config_file",))
    if "config_file" in overrides:
        return ConfigFile(overrides["config_file"], option_for(("config_file",)))
    return ConfigFile(environ.get(variable, "").strip() or None, variable)


def _validate(sources: Sequence[Source]) -> Settings | ValidationError:
    """Return the error rather than raise it: it must not be the context of another, with values."""
    try:
        return Settings(*sources)
    except ValidationError as error:
        return error
