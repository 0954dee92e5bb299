"""Series of an exporter and its hubs, minute by minute, as Prometheus would scrape them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from exporter.collector.snapshot import Sweep
from exporter.metrics import catalogue as c

Values = Callable[[float], float | None]

TARGET = {"job": "exporter", "namespace": "monitoring"}
ELSEWHERE = {"namespace": "staging"}
OWNERS = {"owner": "ann", "team": "blue"}
HUB = "orders"
ORCHESTRATOR = "ProcessOrder"
INTERVALS = {
    Sweep.ACTIVE: 30.0,
    Sweep.FINISHED: 30.0,
    Sweep.FAILED: 300.0,
    Sweep.CENSUS: 3600.0,
    Sweep.ENTITIES: 300.0,
}
# The active sweep comes first, so it is the oldest.
ACTIVE_FIRST = 20.0
# As the exporter has it: three intervals and a minute.
FRESH_SECONDS = {sweep: 3 * interval + 60.0 for sweep, interval in INTERVALS.items()}


@dataclass(frozen=True, slots=True)
class Series:
    """
    One series; `at` gives its value at a second, None where it is absent.

    It is the same on all replicas, but for one that only *only* shows; one that is *bare* comes
    from no target: it has no labels of one, and its end is not marked.
    """

    name: str
    labels: Mapping[str, str]
    at: Values
    only: str = ""
    bare: bool = False

    def on(self, replica: str) -> Series:
        """Return the series as scraped from *replica*."""
        if self.bare:
            return self
        labels = {**TARGET, **self.labels, "instance": f"{replica}:10771", "pod": replica}
        return replace(self, labels=labels)

    def on_job(self, job: str) -> Series:
        """Return the series as another job scrapes it."""
        return replace(self, labels={**self.labels, "job": job})

    def between(self, start: float, end: float) -> Series:
        """Return the series from *start* to before *end*, absent otherwise."""
        return replace(self, at=lambda now: self.at(now) if start <= now < end else None)

    def frozen(self, at: float) -> Series:
        """Return the series until *at*, constant from then on."""
        return replace(self, at=lambda now: self.at(min(now, at)))


def shown(name: str, value: float | Values, **labels: str) -> Series:
    """Return a series of the hub `orders`, with one value or one for each second."""
    at = value if callable(value) else lambda _now: value
    return Series(name, {"task_hub": HUB, **labels}, at)


def of_orchestrator(name: str, value: float | Values, **labels: str) -> Series:
    """Return a series of the orchestrator `ProcessOrder` of that hub."""
    return shown(name, value, **{"orchestrator": ORCHESTRATOR, **labels})


def rises(at: float, *, before: float = 0.0, after: float) -> Values:
    """Return values of a counter that rises at *at*."""
    return lambda now: after if now >= at else before


def read_hub(
    *,
    read: Callable[[float], bool] = lambda _now: True,
    stale: bool = False,
    info: bool = True,
    name: str = HUB,
    skew: float = 0.0,
    error: str = "connect",
) -> list[Series]:
    """
    Return what is shown of every hub.

    It is read whenever *read* says so, else there is an *error*; *stale* means that it was last
    read too long ago before. The clock of the exporter is *skew* seconds ahead.
    """
    facts = {"function_app": "app", "hub_name": "OrdersHub", "connection": "Storage", **OWNERS}
    up = [Series(c.UP.name, {"task_hub": name}, lambda now: float(read(now)))]
    known = [Series(c.HUB_INFO.name, {"task_hub": name, **facts}, lambda _now: 1.0)] if info else []
    return [
        *up,
        *known,
        Series(
            c.HUB_ERROR.name,
            {"task_hub": name, "kind": error},
            lambda now: None if read(now) else 1.0,
        ),
        *(one for sweep in Sweep for one in _swept(name, sweep, read, stale=stale, skew=skew)),
    ]


def exporter(*shards: int, of: int = 1) -> list[Series]:
    """Return an exporter's own series, by default the only one of its hubs."""
    build = {"version": "1.0", "python_version": "3.12"}
    return [
        Series(c.BUILD_INFO.name, build, lambda _now: 1.0),
        *(
            Series(c.SHARD_INFO.name, {"shard": str(one), "shards": str(of)}, lambda _now: 1.0)
            for one in shards or (0,)
        ),
    ]


def only(replica: str, series: Iterable[Series]) -> list[Series]:
    """Return *series* as only *replica* shows them."""
    return [replace(one, only=replica) for one in series]


def elsewhere(series: Iterable[Series]) -> list[Series]:
    """Return *series* of an exporter in another namespace, with the same hub names."""
    return [replace(one, labels={**one.labels, **ELSEWHERE}) for one in series]


def _swept(
    name: str, sweep: Sweep, read: Callable[[float], bool], *, stale: bool, skew: float
) -> Iterable[Series]:
    labels = {"task_hub": name, "sweep": sweep.value}
    interval = INTERVALS[sweep]
    first = -FRESH_SECONDS[sweep] - 1.0 if stale else 0.0

    def completed(now: float) -> float:
        if stale:
            return first
        minute = now
        while minute > 0.0 and not read(minute):
            minute -= 60.0
        return minute - (ACTIVE_FIRST if sweep is Sweep.ACTIVE else 0.0)

    yield Series(c.LAST_SWEEP.name, labels, lambda now: completed(now) + skew)
    yield Series(
        c.SWEEP_FRESH.name,
        labels,
        lambda now: float(now - completed(now) <= FRESH_SECONDS[sweep]),
    )
    yield Series(c.SWEEP_INTERVAL.name, labels, lambda _now: interval)
    yield Series(c.SWEEP_CONFIGURED_INTERVAL.name, labels, lambda _now: interval)


def input_series(
    series: Sequence[Series], replicas: Sequence[str], seconds: float, step: float
) -> list[dict[str, str]]:
    """Return *series* as `promtool` reads them, from the epoch on, one sample each *step*."""
    ticks = [step * tick for tick in range(int(seconds / step) + 1)]
    return [
        {
            "series": _selector(one.on(replica)),
            "values": _values([one.at(now) for now in ticks], ends=not one.bare),
        }
        for one in series
        for replica in replicas
        if one.only in ("", replica)
    ]


def _selector(series: Series) -> str:
    labels = ", ".join(f'{name}="{value}"' for name, value in sorted(series.labels.items()))
    return f"{series.name}{{{labels}}}"


def _values(values: Iterable[float | None], *, ends: bool) -> str:
    """
    Return *values* as `promtool` reads them.

    Prometheus marks the end of what is no longer scraped, so that it is gone at once; it *ends* so.
    """
    runs = [(value, len(list(run))) for value, run in groupby(values)]
    return " ".join(
        _run(value, times, ended=ends and number > 0) for number, (value, times) in enumerate(runs)
    )


def _run(value: float | None, times: int, *, ended: bool) -> str:
    if value is not None:
        return f"{value:.15g}+0x{times - 1}"
    if not ended:
        return f"_x{times}"
    return f"stale _x{times - 1}" if times > 1 else "stale"
