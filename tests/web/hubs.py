"""Snapshots of hubs to look at: well, in an incident, unreachable, empty, not polled yet."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from exporter.api.wire import EntityId, EntityRow, InstanceRow
from exporter.collector.snapshot import (
    ApiUse,
    HubIdentity,
    HubSnapshot,
    RequestDurations,
    StateUse,
    Sweep,
    SweepState,
    Trouble,
)
from exporter.diagnosis.blame import Blame, End
from exporter.diagnosis.groups import Waiting, causes_of, groups_of
from exporter.diagnosis.view import Coverage, DiagnosisView
from exporter.diagnosis.waits import Wait, WaitingOn
from exporter.ledger.ledger import Ledger, Source
from exporter.ledger.snapshot import ActiveView, CountersView
from tests.ledger.rules import DEFAULT_RULES
from tests.ledger.world import NOW, census, row, shown, sweep

LINKS = {
    "monitor": "https://dfm.example/{hub_name}/orchestrations/{instance_id}",
    "logs": "https://logs.example/?q={instance_id}&orchestrator={orchestrator}",
}
INTERVALS = {
    Sweep.ACTIVE: 30.0,
    Sweep.FINISHED: 30.0,
    Sweep.FAILED: 300.0,
    Sweep.CENSUS: 3600.0,
    Sweep.ENTITIES: 300.0,
}
LIMITS = {"pending": 600.0, "idle": 3600.0}
REFUSED = Trouble(
    "connect",
    "nothing accepts connections at payments-prod-westeurope.azurewebsites.net:443",
    "see whether the app runs, and whether a firewall or the network lets the exporter through",
)
DECLINED = (
    "Orchestrator function 'PaymentSaga' failed: The activity function 'ChargeCard' failed: "
    '"System.TimeoutException: The gateway gave no answer". See the function execution logs.'
)
CLASHED = "Orchestrator function 'ShipOrder' failed: System.InvalidOperationException: no carrier"
SHOP = ("ProcessOrder", "PaymentSaga", "ShipOrder", "ApprovalWorkflow", "NightlyReconciliation")


@dataclass(slots=True)
class Contents:
    """The rows of a hub; times are seconds from `NOW`."""

    active: list[InstanceRow] = field(default_factory=list)
    finished: list[InstanceRow] = field(default_factory=list)
    failed: list[InstanceRow] = field(default_factory=list)
    entities: list[EntityRow] = field(default_factory=list)


def hub_of(
    contents: Contents, name: str = "orders", orchestrators: Sequence[str] = ()
) -> HubSnapshot:
    """Return the snapshot of a hub with these contents, whose sweeps were all complete at `NOW`."""
    ledger = Ledger(replace(DEFAULT_RULES, limits=LIMITS, orchestrators=tuple(orchestrators)))
    sweep(ledger, -90_000.0)
    ledger.apply_rows((), ledger.begin_finished(NOW - 90_000.0).source, NOW - 90_000.0)
    ledger.complete_finished(NOW - 90_000.0)
    ledger.begin_active(NOW)
    ledger.apply_active_page(contents.active, NOW)
    active = ledger.complete_active(NOW)
    ledger.apply_rows(contents.finished, ledger.begin_finished(NOW).source, NOW)
    finished = ledger.complete_finished(NOW)
    census(ledger, 0.0, *contents.finished, *contents.failed)
    ledger.unresolved.begin_listing(NOW - 604_800.0)
    ledger.apply_rows(contents.failed, Source.FAILED, NOW)
    ledger.unresolved.complete_listing(NOW)
    entities = ledger.entities.fold(NOW)
    entities.add_page(contents.entities)
    return HubSnapshot(
        identity=HubIdentity(
            name,
            f"{name}-prod-westeurope.azurewebsites.net",
            f"{name.title()}Hub",
            "",
            {"team": "checkout", "env": "prod"},
            LINKS,
        ),
        up=True,
        stale_after=900.0,
        age_bounds=ledger.rules.age_bounds,
        duration_bounds=ledger.rules.duration_bounds,
        sweeps={each: _swept(each) for each in Sweep},
        counters=ledger.counters(60.0, 0.0),
        known=ledger.known(),
        api=ApiUse(
            requests={("listInstances", "200"): 5871, ("getInstance", "200"): 912},
            errors={},
            retries={},
            response_bytes={"listInstances": 48_123_456},
            durations={"listInstances": RequestDurations((5000, 871, *[0] * 9), 410.0)},
        ),
        active=active,
        finished=finished,
        retained=ledger.retained.view(),
        unresolved=ledger.unresolved.view(),
        entities=entities.complete(),
        state=StateUse({"write": 0}, NOW),
        clock_skew=0.4,
    )


def _swept(sweep: Sweep) -> SweepState:
    interval = INTERVALS[sweep]
    return SweepState(
        interval=interval,
        configured=interval,
        completed=NOW - interval / 3,
        duration=0.4,
        results={"complete": 288, "failed": 0, "truncated": 0, "skipped_budget": 0},
        pages=612,
        rows=80_412,
    )


def healthy_hub(name: str = "orders") -> HubSnapshot:
    """Return a busy hub in which nothing is wrong."""
    chance = random.Random(7)
    contents = Contents(
        entities=[EntityRow(EntityId("cart", f"c{i}"), shown(-40.0)) for i in range(312)]
    )
    for place, orchestrator in enumerate(SHOP[:4]):
        _finish_at_random(contents, chance, orchestrator, 420 // (place + 1))
        for _ in range(14 - 3 * place):
            begin = -chance.uniform(5, 400)
            contents.active.append(
                row(_id(chance), created=begin, updated=begin / 2, name=orchestrator)
            )
    contents.active.append(row(_id(chance), "Pending", created=-4.0, name="ProcessOrder"))
    contents.active += _carts(contents.entities[:40])
    return hub_of(contents, name, SHOP)


def incident_hub(name: str = "payments") -> HubSnapshot:
    """Return a hub in the middle of an incident: stuck, failing, with a leaked lock."""
    chance = random.Random(11)
    contents = Contents(
        entities=[EntityRow(EntityId("account", f"a{i}"), shown(-900.0)) for i in range(58)]
    )
    for orchestrator, count in (("ProcessOrder", 500), ("PaymentSaga", 260), ("ShipOrder", 90)):
        _finish_at_random(contents, chance, orchestrator, count)
    for number in range(137):
        begin = -3700.0 - 40.0 * number
        contents.active.append(
            row(_id(chance), created=begin - 60, updated=begin, name="PaymentSaga")
        )
    for number in range(22):
        contents.active.append(
            row(_id(chance), "Pending", created=-700.0 - 31.0 * number, name="ShipOrder")
        )
    contents.active.append(
        row("order-2026/117 #4", "Suspended", created=-90_000.0, name="ApprovalWorkflow")
    )
    for number in range(64):
        output = json.dumps(DECLINED).encode()
        end = -55.0 * number - 20.0
        contents.finished.append(
            row(
                _id(chance),
                "Failed",
                created=end - 30,
                updated=end,
                name="PaymentSaga",
                output=output,
            )
        )
    contents.finished += [
        row(
            _id(chance),
            "Failed",
            created=-200.0 * i - 400,
            updated=-200.0 * i - 300,
            name="ShipOrder",
            output=json.dumps(CLASHED).encode(),
        )
        for i in range(5)
    ]
    contents.failed = [each for each in contents.finished if each.runtime_status == "Failed"]
    contents.active += _carts(contents.entities[:9], locked_by="gone", queue=41)
    before = hub_of(contents, name, SHOP)
    locks = (
        {"account": replace(before.active.locks["account"], orphaned=9)}
        if before.active and before.active.locks
        else {}
    )
    assert before.active is not None
    active = replace(before.active, locks=locks)
    return replace(before, active=active, diagnosis=_diagnosis(contents.active, active))


def _diagnosis(rows: Sequence[InstanceRow], active: ActiveView) -> DiagnosisView:
    """Return what is known where the oldest saga hangs in an activity and holds a lock."""
    ids = [each.instance_id for each in rows if each.name == "PaymentSaga"]
    hangs = Wait(WaitingOn.ACTIVITY, "ChargeCard", NOW - 9100.0)
    lock = Wait(WaitingOn.ENTITY_LOCK, "account", NOW - 9000.0)
    holder = Blame((ids[-1],), hangs, hangs, End.LEAF, ids[-1], "PaymentSaga")
    waiters = [
        Blame(
            (each, "@account@a1", ids[-1]), lock, hangs, End.LEAF, ids[-1], "PaymentSaga", ids[-1]
        )
        for each in ids[:-1]
    ]
    blames = {blame.chain[0]: blame for blame in (holder, *waiters)}
    shown = {each.instance_id for each in active.over_limit_samples}
    queued = Wait(WaitingOn.NOT_STARTED, since=NOW - 1351.0)
    waiting = [*_waiting("PaymentSaga", blames.values())]
    waiting.append(Waiting("ShipOrder", queued, queued, None, 22, ("ship-1", "ship-2")))
    known = {each: blame for each, blame in blames.items() if each in shown}
    coverage = {"PaymentSaga": Coverage(137, 137), "ShipOrder": Coverage(25, 22)}
    return view_of(waiting, coverage, known)


def view_of(
    waiting: Sequence[Waiting], coverage: Mapping[str, Coverage], blames: Mapping[str, Blame]
) -> DiagnosisView:
    """Return the view of what these wait on."""
    groups = groups_of(waiting)
    keys = {(each.orchestrator, each.waiting_on.value, each.target): each for each in groups}
    return DiagnosisView(
        stalled={key: each.instances for key, each in keys.items() if each.means_trouble},
        waiting={key: each.instances for key, each in keys.items() if not each.means_trouble},
        stalled_since={},
        overdue_timers={},
        coverage=coverage,
        causes=tuple(causes_of(each.blame for each in waiting if each.blame is not None)),
        blames=blames,
        groups=tuple(groups),
    )


def _waiting(orchestrator: str, blames: Iterable[Blame]) -> Iterator[Waiting]:
    for blame in blames:
        if blame.wait is not None and blame.leaf is not None:
            yield Waiting(orchestrator, blame.wait, blame.leaf, blame)


def three_lines_hub(name: str = "orders") -> HubSnapshot:
    """
    Return a hub with three things to know of, and no other.

    30 of one orchestrator hang in an activity, 40 approvals wait as expected, a lock is orphaned.
    """
    rows = [
        row(
            f"order-{number:03}", created=-12_000.0, updated=-10_900.0 - number, name="ProcessOrder"
        )
        for number in range(30)
    ] + [
        row(f"approval-{number:03}", created=-9_000.0 - number, name="ApprovalWorkflow")
        for number in range(40)
    ]
    carts = [
        EntityRow(EntityId("inventory", f"sku-{number}"), shown(-900.0)) for number in range(5)
    ]
    entities = [*_carts(carts[:1], locked_by="gone"), *_carts(carts[1:])]
    before = hub_of(Contents(active=[*rows, *entities], entities=carts), name)
    assert before.active is not None
    assert before.active.locks is not None
    locks = {"inventory": replace(before.active.locks["inventory"], orphaned=1)}
    hangs = {
        each.instance_id: Wait(WaitingOn.ACTIVITY, "ShipParcel", NOW - 10_800.0)
        for each in rows[:30]
    }
    event = {
        each.instance_id: Wait(WaitingOn.EXTERNAL_EVENT, "", NOW - 9_000.0) for each in rows[30:]
    }
    blames = {
        each: Blame((each,), wait, wait, End.LEAF, each, "")
        for each, wait in {**hangs, **event}.items()
    }
    waiting = [
        *_waiting("ProcessOrder", [blames[each] for each in hangs]),
        *_waiting("ApprovalWorkflow", [blames[each] for each in event]),
    ]
    coverage = {"ProcessOrder": Coverage(30, 30), "ApprovalWorkflow": Coverage(40, 40)}
    return replace(
        before,
        active=replace(before.active, locks=locks),
        diagnosis=view_of(waiting, coverage, blames),
    )


def unreachable_hub(name: str = "billing", since: float = 240.0) -> HubSnapshot:
    """Return a hub that was well and has given no answer for *since* seconds before `NOW`."""
    well = healthy_hub(name)
    sweeps = {
        each: msgspec.structs.replace(
            state,
            completed=(state.completed or 0.0) - since,
            trouble=REFUSED if each is Sweep.ACTIVE else None,
            results={**state.results, "failed": 8},
        )
        for each, state in well.sweeps.items()
    }
    api = replace(
        well.api, errors={("listInstances", "connect"): 24}, retries={"listInstances": 16}
    )
    return replace(well, up=False, trouble=REFUSED, sweeps=sweeps, api=api)


def empty_hub(name: str = "sandbox") -> HubSnapshot:
    """Return a hub that answers, and has nothing in it."""
    return hub_of(Contents(), name)


def starting_hub(name: str = "invoices") -> HubSnapshot:
    """Return a hub that was not polled yet."""
    empty = empty_hub(name)
    sweeps = {each: SweepState(INTERVALS[each], INTERVALS[each], results={}) for each in Sweep}
    return replace(
        empty,
        up=False,
        sweeps=sweeps,
        counters=CountersView(),
        known=Ledger(DEFAULT_RULES).known(),
        api=ApiUse({}, {}, {}, {}, {}),
        active=None,
        finished=None,
        retained=None,
        unresolved=None,
        entities=None,
        state=None,
        clock_skew=None,
    )


def hostile_hub() -> HubSnapshot:
    """Return a hub in which every name is markup."""
    name = '"><script>alert(1)</script>'
    contents = Contents(
        active=[
            row(f"{name}&{{instance_id}}", created=-9000.0, name=name),
            row(
                f"javascript:alert(2)//{name}",
                "Pending",
                created=-9000.0,
                name="<img src=x onerror=alert(3)>",
            ),
        ],
        failed=[
            row(
                f"'{name}",
                "Failed",
                created=-90.0,
                updated=-60.0,
                name=name,
                output=json.dumps(
                    f"Function '{name}' failed with an unhandled exception."
                ).encode(),
            )
        ],
        entities=[EntityRow(EntityId(name, "x"), shown(-1.0))],
    )
    hub = hub_of(contents, name)
    identity = replace(hub.identity, function_app=name, hub_name=name, labels={"team": name})
    return replace(hub, identity=identity, up=False, trouble=Trouble(name, name, name))


def _id(chance: random.Random) -> str:
    return f"{chance.getrandbits(128):032x}"


def _finish_at_random(
    contents: Contents, chance: random.Random, orchestrator: str, count: int
) -> None:
    for _ in range(count):
        end = -chance.betavariate(1, 1.4) * 21_000.0
        status = "Terminated" if chance.random() < 0.01 else "Completed"
        contents.finished.append(
            row(_id(chance), status, created=end - 20, updated=end, name=orchestrator)
        )


def _carts(
    entities: Sequence[EntityRow], locked_by: str | None = None, queue: int = 0
) -> list[InstanceRow]:
    status = {"queueSize": queue, **({"lockedBy": locked_by} if locked_by else {})}
    names = [f"@{each.entity_id.name}@{each.entity_id.key}" for each in entities]
    return [row(each, name=each, custom_status=json.dumps(status).encode()) for each in names]
