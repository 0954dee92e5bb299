"""Scenarios: hubs, events and expectations, read from YAML."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from emulator.apps import App
from emulator.engine.workers import Worker
from emulator.samples.schedule import FOREVER
from emulator.samples.shop_traffic import PAST_SHARE
from emulator.scenarios.events import EVENTS, Event
from emulator.scenarios.fields import FieldProblem, Fields, seconds_of
from emulator.storage.rows import RuntimeStatus

Rows = Sequence[Mapping[str, object]]
"""All rows of a hub, as in `GET instances`."""

_BUILT_IN = files("emulator.scenarios") / "builtin"
_SUFFIX = ".yaml"
DEFAULT_HUB = "OrdersHub"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """
    An expected number of rows at the end, in words `wanted`.

    `texts` are values of fields; `locked_by` and `queued` are those of an entity.
    """

    hub: str
    where: str
    texts: Mapping[str, str]
    locked_by: str | None
    queued: int
    fits: Callable[[int], bool]
    wanted: str

    def problem(self, rows: Rows) -> str | None:
        """Return the problem, if there is one."""
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
    Read an expectation.

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
    """Return the problems, given all rows of each hub."""
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


class ScenarioProblem(ValueError):
    """A scenario has a mistake; the message says where and why, in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubPlan:
    """
    A hub of a scenario: its app, backend and traffic.

    `rate` instances start per second from `begin` to `end`, and a share `past` of it in the
    `history` seconds before. `worker` is `None` for that of the command. `beside` is a second app
    with the same traffic.
    """

    app: App = App.SHOP
    backend: str = "azure-storage"
    worker: Worker | None = None
    rate: float = 0.5
    history: float = 3600.0
    past: float = PAST_SHARE
    begin: float = 0.0
    end: float = FOREVER
    beside: App | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Hubs, their events in the order of time, and what is expected after `duration` seconds."""

    name: str
    about: str
    duration: float
    hubs: Mapping[str, HubPlan]
    events: Sequence[Event] = ()
    expected: Sequence[Expectation] = field(default_factory=tuple)


def built_in() -> tuple[str, ...]:
    """Return the names of the built-in scenarios."""
    names = (entry.name for entry in _BUILT_IN.iterdir())
    return tuple(sorted(n.removesuffix(_SUFFIX) for n in names if n.endswith(_SUFFIX)))


def load_scenario(name: str) -> Scenario:
    """
    Return a built-in scenario, or that of a file named `.yaml` or `.yml`.

    Raises `ScenarioProblem`.
    """
    if not name.endswith((_SUFFIX, ".yml")):
        if name not in built_in():
            known = ", ".join(built_in())
            raise ScenarioProblem(f"There is no scenario {name!r}; there are {known}, and files")
        text = (_BUILT_IN / f"{name}{_SUFFIX}").read_text("utf-8")
        return read_scenario(name, text)
    try:
        return read_scenario(name, Path(name).read_text("utf-8"))
    except OSError as error:
        raise ScenarioProblem(f"{name}: {error.strerror}") from error


def read_scenario(name: str, text: str) -> Scenario:
    """
    Read a scenario from YAML; messages call it *name*.

    Raises `ScenarioProblem`.
    """
    try:
        content = yaml.safe_load(text)
        return _scenario(name.rpartition("/")[2].partition(".")[0], content)
    except yaml.YAMLError as error:
        line = re.search(r"line (\d+)", str(error))
        where = f", line {line[1]}" if line else ""
        raise ScenarioProblem(f"{name}{where}: this is no YAML") from error
    except FieldProblem as error:
        raise ScenarioProblem(f"{name}: {error}") from error


def _scenario(name: str, content: object) -> Scenario:
    fields = Fields(content, "the scenario")
    hubs = fields.mapping("hubs") or {DEFAULT_HUB: {}}
    duration = fields.seconds("duration", 900.0)
    scenario = Scenario(
        name=name,
        about=fields.text("about", ""),
        duration=duration,
        hubs={hub: _hub(hub, plan) for hub, plan in hubs.items()},
        events=_in_order(fields, "events", _event),
        expected=[
            read_expectation(entry, f"expect[{index}]", next(iter(hubs)))
            for index, entry in enumerate(fields.items("expect"))
        ],
    )
    fields.finish()
    _check(scenario)
    return scenario


def _hub(name: str, plan: object) -> HubPlan:
    fields = Fields(plan or {}, f"hubs.{name}")
    read = HubPlan(
        app=fields.choice("app", App, App.SHOP),
        backend=fields.one_of("backend", ("azure-storage", "mssql", "netherite")),
        worker=fields.optional_choice("worker", Worker),
        rate=fields.number("rate", 0.5),
        history=fields.seconds("history", 3600.0),
        past=fields.number("past", PAST_SHARE),
        begin=fields.seconds("begin", 0.0),
        end=fields.seconds("end", FOREVER) if fields.has("end") else FOREVER,
        beside=fields.optional_choice("beside", App),
    )
    fields.finish()
    return read


def _event(entry: object, where: str) -> Event:
    fields = Fields(entry, where)
    at = seconds_of(fields.required("at"), f"{where}.at")
    every = fields.seconds("every", 0.0)
    hub = fields.text("hub", "") or None
    what = fields.text("do", "")
    make = EVENTS.get(what)
    if make is None:
        known = ", ".join(sorted(EVENTS))
        raise FieldProblem(f"{where}.do: {what!r} is none of {known}")
    other = fields.peek("with")
    event = Event(at=at, every=every, hub=hub, where=where, action=make(fields), other=other)
    fields.finish()
    return event


def _in_order(fields: Fields, name: str, read: Callable[[Any, str], Event]) -> Sequence[Event]:
    events = [read(entry, f"{name}[{index}]") for index, entry in enumerate(fields.items(name))]
    return sorted(events, key=lambda event: event.at)


def _check(scenario: Scenario) -> None:
    known = ", ".join(scenario.hubs)
    for event in scenario.events:
        for name, hub in (("hub", event.hub), ("with", event.other)):
            if hub is not None and hub not in scenario.hubs:
                raise FieldProblem(f"{event.where}.{name}: there is no {hub!r}, there are {known}")
        if event.at > scenario.duration:
            raise FieldProblem(f"{event.where}.at: that is after the end of the scenario")
