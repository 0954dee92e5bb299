"""What listings of a hub are asked for."""

from dataclasses import dataclass

from emulator.storage.rows import Row

DEFAULT_TOP = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceQuery:
    """What `GET instances` was asked for; `None` stands for no condition."""

    created_from: float | None = None
    created_to: float | None = None
    statuses: frozenset[str] | None = None
    id_prefix: str | None = None
    top: int = DEFAULT_TOP
    show_input: bool = True

    def matches(self, row: Row) -> bool:
        """Tell whether a row is of the statuses and times that were asked for."""
        return (
            (self.statuses is None or row.status in self.statuses)
            and (self.created_from is None or row.created >= self.created_from)
            and (self.created_to is None or row.created <= self.created_to)
        )

    @property
    def filtered(self) -> bool:
        """Whether any filter is set; an empty id prefix is one, though it excludes nothing."""
        return self.scanning or self.id_prefix is not None

    @property
    def scanning(self) -> bool:
        """Whether rows have to be looked at one by one; an id prefix alone is a range of keys."""
        return (self.created_from, self.created_to, self.statuses) != (None, None, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityQuery:
    """What `GET entities` was asked for; `class_name` is lower case, `None` for every class."""

    class_name: str | None = None
    operated_from: float | None = None
    operated_to: float | None = None
    top: int = DEFAULT_TOP
    fetch_state: bool = False

    @property
    def id_prefix(self) -> str:
        """How the ids of the rows begin that can match."""
        return "@" if self.class_name is None else f"@{self.class_name}@"

    @property
    def scanning(self) -> bool:
        """Whether rows have to be looked at one by one."""
        return (self.operated_from, self.operated_to) != (None, None)

    def matches(self, row: Row) -> bool:
        """Tell whether a row is of the times that were asked for: those of its creation."""
        return (self.operated_from is None or row.created >= self.operated_from) and (
            self.operated_to is None or row.created <= self.operated_to
        )
