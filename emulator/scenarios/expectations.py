"""What a scenario says that will have come of it, compared with what the API shows."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from emulator.scenarios.fields import FieldProblem, Fields
from emulator.storage.rows import RuntimeStatus

Rows = Sequence[Mapping[str, object]]
"""All rows of a hub, as `GET instances` shows them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """
    Something that is true of a hub in the end: how many rows are like `wanted`.

    `texts` are what fields of the row must be; `locked_by` and `queued` are of an entity.
    """

    hub: str
    where: str
    texts: Mapping[str, str]
    locked_by: str | None
    queued: int
    fits: Callable[[int], bool]
    wanted: str

    def problem(self, rows: Rows) -> str | None:
        """Return what is wrong, `None` if it is true."""
        number = sum(self._matches(row) for row in rows)
        if self.fits(number):
            return None
        what = ", ".join(f"{name} {value}" for name, value in self.texts.items()) or "rows"
        return f"{self.where}: {number} of {what}, where {self.wanted} are expected"

    def _matches(self, row: Mapping[str, object]) -> bool:
        custom = row.get("customStatus")
        status = custom if isinstance(custom, Mapping) else {}
        return (
            all(row.get(name) == value for name, value in self.texts.items())
            and self.locked_by in (None, status.get("lockedBy"))
            and _at_least(status.get("queueSize"), self.queued)
        )


def read_expectation(entry: object, where: str, first_hub: str) -> Expectation:
    """
    Read what is expected: which rows, and how many.

    Raises `FieldProblem`.
    """
    fields = Fields(entry, where)
    hub = fields.text("hub", first_hub)
    texts = {
        shown: value
        for name, shown in (("orchestrator", "name"), ("id", "instanceId"))
        if (value := fields.text(name, ""))
    }
    entity = fields.text("entity", "")
    if entity:
        texts["instanceId"] = f"@{entity}"
    status = fields.text("status", "")
    if status:
        if status not in [each.value for each in RuntimeStatus]:
            raise FieldProblem(f"{where}: {status!r} is no runtime status")
        texts["runtimeStatus"] = status
    fits, wanted = _count(fields)
    expectation = Expectation(
        hub=hub,
        where=where,
        texts=texts,
        locked_by=fields.text("locked_by", "") or None,
        queued=int(fields.number("queued", 0)),
        fits=fits,
        wanted=wanted,
    )
    fields.finish()
    return expectation


def unmet(expected: Iterable[Expectation], rows: Mapping[str, Rows]) -> list[str]:
    """Return what is not as it was expected, given all rows of each hub."""
    problems = (expectation.problem(rows[expectation.hub]) for expectation in expected)
    return [problem for problem in problems if problem is not None]


def _count(fields: Fields) -> tuple[Callable[[int], bool], str]:
    exactly = fields.optional_number("exactly")
    least, most = fields.optional_number("at_least"), fields.optional_number("at_most")
    if exactly is not None:
        return (lambda number: number == exactly), f"{exactly:g}"
    if least is None and most is None:
        return (lambda number: number > 0), "some"
    low, high = least or 0, float("inf") if most is None else most
    return (lambda number: low <= number <= high), f"{low:g} to {high:g}"


def _at_least(size: object, wanted: int) -> bool:
    return wanted == 0 or (isinstance(size, int) and size >= wanted)
