"""From the errors of pydantic to problems: in plain words, at the place that the user wrote."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import takewhile

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from exporter.settings.fleet import FLAT
from exporter.settings.hub import PLACE
from exporter.settings.problems import Problem
from exporter.settings.schema import SettingPath
from exporter.settings.sources import Source, variable_for
from exporter.settings.words import in_words


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
    location = source.origins[path] if source else variable_for(places[0])
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
    makers = (s.origins[name,] for name in PLACE for s in sources if (name,) in s.origins)
    maker = next(makers, None)
    reason = f", though {maker} makes a hub of its own" if maker else ", so there is no hub"
    return Problem(
        variable, f"is missing{reason}: set it to the address of the function app, or set {named}"
    )


def _places(location: tuple[int | str, ...]) -> list[SettingPath]:
    """Return where the value of an error may stand: in the hub itself, or as a default of all."""
    names = takewhile(lambda part: isinstance(part, str) and part != "[key]", location)
    path = tuple(map(str, names))
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
            if path in source.origins:
                return source, path
    return None, own
