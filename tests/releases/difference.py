"""What differs between the objects of two renders, field by field."""

from __future__ import annotations

from collections.abc import Iterator

from tests.chart.chart import Rendered

# What is shipped in objects changes with each release, and is described where it is documented.
_CONTENT = ("spec.groups", "data.durable-functions-")

Field = tuple[str, str]
"""A kind, and the place of a field in it, without numbers; empty for the object as a whole."""


def difference(old: Rendered, new: Rendered) -> set[Field]:
    """Return the fields that are in one of them only, or are not the same."""
    before, after = _objects(old), _objects(new)
    return {
        (kind, place)
        for kind, name in before.keys() | after.keys()
        for place in _differing(before.get((kind, name)), after.get((kind, name)), ())
        if not place.startswith(_CONTENT)
    }


def _objects(rendered: Rendered) -> dict[tuple[str, str], object]:
    return {(each["kind"], each["metadata"]["name"]): each for each in rendered.manifests}


def _differing(old: object, new: object, path: tuple[str, ...]) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in old.keys() | new.keys():
            if name not in old or name not in new:
                yield ".".join((*path, name))
            else:
                yield from _differing(old[name], new[name], (*path, name))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for one, other in zip(old, new, strict=True):
            yield from _differing(one, other, path)
    elif old != new:
        yield ".".join(path)
