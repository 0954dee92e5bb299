"""Synthetic hubs as a command line describes them."""

import re
from dataclasses import dataclass

from emulator.synthetic.mix import EntityClass

_COUNT = re.compile(r"(\d{1,12})([kM]?)", re.ASCII)
_UNITS = {"": 1, "k": 1000, "M": 1_000_000}
_CLASSES = ("cart", "counter")


@dataclass(frozen=True, slots=True)
class SyntheticOption:
    """A synthetic hub that was asked for; `active` is `None` where the shares say how many."""

    name: str
    rows: int
    active: int | None = None
    entities: int = 0

    @property
    def entity_classes(self) -> tuple[EntityClass, ...]:
        """The entities, divided between some classes."""
        first = self.entities // len(_CLASSES)
        numbers = (first, self.entities - first)
        return tuple(
            EntityClass(name=name, rows=rows) for name, rows in zip(_CLASSES, numbers, strict=True)
        )


def parse_synthetic(text: str) -> SyntheticOption:
    """
    Read `NAME=ROWS[,active=N][,entities=N]`; `k` and `M` behind a number are thousands, millions.

    Raises `ValueError`, which says what is wrong.
    """
    (name, rows), *options = (_pair(part) for part in text.split(","))
    counts = {option: _count(option, value) for option, value in options}
    unknown = counts.keys() - {"active", "entities"}
    if unknown:
        raise ValueError(f"There is no {', '.join(sorted(unknown))}; there are active, entities")
    option = SyntheticOption(
        name, _count(name, rows), counts.get("active"), counts.get("entities", 0)
    )
    if option.active is not None and option.active > option.rows:
        raise ValueError(f"{option.active} of {option.rows} instances cannot be active")
    return option


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"{text!r} is not of the form name=value")
    return name, value


def _count(name: str, text: str) -> int:
    match = _COUNT.fullmatch(text)
    if match is None:
        raise ValueError(f"{name}: {text!r} is not a number of rows, such as 1000, 20k or 10M")
    return int(match[1]) * _UNITS[match[2]]
