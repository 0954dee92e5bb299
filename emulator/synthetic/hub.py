"""A task hub of millions of rows, none of which is stored."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor

from emulator.api import ExtensionVersion
from emulator.backends.azure_storage import AzureStorage
from emulator.backends.backend import Backend, Latency
from emulator.clock import Clock
from emulator.faults import Faults
from emulator.storage.rows import Entity, Instance, RuntimeStatus
from emulator.storage.table import EntityQuery, InstanceQuery, Table
from emulator.synthetic.mix import (
    LONGEST_SECONDS,
    SHOP,
    EntityClass,
    EntityKind,
    InstanceKind,
    Orchestrator,
    entity_kinds,
    instance_kinds,
)
from emulator.synthetic.paging import Pager, Selection, SyntheticPage
from emulator.synthetic.population import OFFSET_DIGITS, Population, static_part
from emulator.synthetic.rendering import Renderer, Style
from emulator.synthetic.traffic import Traffic, TrafficRows

_COUNT = re.compile(r"(\d{1,12})([kM]?)", re.ASCII)
_UNITS = {"": 1, "k": 1000, "M": 1_000_000}
_CLASSES = ("cart", "counter")

# The length of ids that the extension generates.
_ID_LENGTH = 32
_ENTITY_BLOCK_DIGITS = 7
# Sorts behind the digits of the other ids.
_MOVING = "t"
_NO_ROWS = Table()


@dataclass(frozen=True, slots=True)
class SyntheticOption:
    """A synthetic hub of the command line; `active` is `None` for that of the mix."""

    name: str
    rows: int
    active: int | None = None
    entities: int = 0

    @property
    def entity_classes(self) -> tuple[EntityClass, ...]:
        """The entities, divided among classes."""
        first = self.entities // len(_CLASSES)
        numbers = (first, self.entities - first)
        return tuple(
            EntityClass(name=name, rows=rows) for name, rows in zip(_CLASSES, numbers, strict=True)
        )


def parse_synthetic(text: str) -> SyntheticOption:
    """
    Read `NAME=ROWS[,active=N][,entities=N]`, with units `k` and `M`.

    Raises `ValueError`, which names the mistake.
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


class SyntheticHub:
    """
    A read-only task hub.

    It has `rows` instances, `active` of them unfinished, by default as the `orchestrators` say, and
    `entities` in addition. Ids begin with `id_prefix`, a letter first, and ascend with creation,
    sixteen per second; entities are older. The last update is before `newest`, in seconds since the
    epoch, by default now.

    Rows are static except for those of `traffic`, in addition, which change every second. The same
    arguments give the same rows at the same time. Raises `ValueError` for contradictory ones.
    """

    is_down = False

    def __init__(
        self,
        name: str,
        clock: Clock,
        *,
        rows: int,
        active: int | None = None,
        orchestrators: Sequence[Orchestrator] = SHOP,
        entities: Sequence[EntityClass] = (),
        id_prefix: str = "run-",
        seed: int | str = 0,
        newest: float | None = None,
        traffic: Traffic | None = None,
        backend: Backend | None = None,
        version: ExtensionVersion = ExtensionVersion.V3,
    ) -> None:
        width = _ID_LENGTH - len(id_prefix) - OFFSET_DIGITS
        if not id_prefix[:1].isalpha() or not id_prefix.isascii() or width < _ENTITY_BLOCK_DIGITS:
            raise ValueError(f"Ids cannot begin with {id_prefix!r}")
        if len({each.name for each in entities}) < len(entities):
            raise ValueError("Each class of entities is named once")
        self.name = name
        self.clock = clock
        self.backend = backend or AzureStorage()
        self.backend.check_hub(name)
        self.version = version
        self.latency = Latency()
        self.faults = Faults(f"{name}/{seed}")
        kinds = instance_kinds(orchestrators, rows, active, self.backend.traits)
        self._seed = seed
        self._newest = (clock.now() if newest is None else newest) - LONGEST_SECONDS
        self._still = [
            static_part(id_prefix, width, kinds, seed),
            *(
                static_part(f"@{each.name}@", _ENTITY_BLOCK_DIGITS, entity_kinds(each), seed)
                for each in entities
            ),
        ]
        self._moving = traffic and TrafficRows(
            traffic, f"{id_prefix}{_MOVING}", width - 1, traits=self.backend.traits, seed=seed
        )
        if traffic is not None and traffic.begin < self._newest:
            raise ValueError("Traffic begins after all other instances were created")
        self._show()

    def _show(self) -> None:
        """Lay out the rows as of the begin of the current second."""
        self._second = floor(self.clock.now())
        moving = [self._moving.at(self._second)] if self._moving else []
        self.population = Population([*self._still, *moving], seed=self._seed, newest=self._newest)
        self._pager = Pager(self.population, self.version)
        self._renderers: dict[Style, Renderer] = {}

    @property
    def instances(self) -> Mapping[tuple[str, RuntimeStatus], int]:
        """The number of instances by orchestrator and status."""
        self.advance()
        counts = Counter[tuple[str, RuntimeStatus]]()
        for kind, count in self.population.counted:
            if isinstance(kind, InstanceKind):
                counts[kind.name, kind.status] += count
        return counts

    @property
    def entities(self) -> Mapping[str, int]:
        """The number of existing entities by class."""
        counts = Counter[str]()
        for kind, count in self.population.counted:
            if isinstance(kind, EntityKind) and kind.exists:
                counts[kind.class_name] += count
        return counts

    def advance(self) -> float:
        """Update the rows of traffic, and return the time."""
        if self._moving and floor(self.clock.now()) != self._second:
            self._show()
        return self.clock.now()

    def get(self, instance_id: str) -> Instance | Entity | None:
        """Return the row of an instance or entity."""
        self.advance()
        return self.population.get(instance_id)

    def entity(self, class_name: str, key: str) -> Entity | None:
        """Return an existing entity; the class in any letter case."""
        row = self.get(f"@{class_name.lower()}@{key}")
        return row if isinstance(row, Entity) and row.exists else None

    def list_instances(self, query: InstanceQuery, token: str = "") -> SyntheticPage:
        """
        Return a page of the matching instances and entities.

        Raises `ApiError` for an invalid token, page size or prefix.
        """
        # The provider validates the request on an empty table.
        self.backend.page(_NO_ROWS, query, token, self.version)
        self.advance()
        return self._pager.page(self.backend, Selection.of_instances(query), token)

    def list_entities(self, query: EntityQuery, token: str = "") -> SyntheticPage:
        """
        Return a page of the matching, existing entities.

        Raises `ApiError` for an invalid token or page size.
        """
        self.backend.page(_NO_ROWS, query, token, self.version)
        self.advance()
        return self._pager.page(self.backend, Selection.of_entities(query), token)

    def body(self, page: SyntheticPage, style: Style) -> bytes:
        """Return the rows of the last listed page as a JSON array."""
        if style not in self._renderers:
            self._renderers[style] = Renderer(self.population, style)
        return self._renderers[style].body(page)

    def endless_token(self, number: int) -> str:
        """Return a token behind the last row, another one per number."""
        return self.backend.endless_token(number, self.version)
