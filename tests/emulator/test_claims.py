"""The insurer: healthy by design, whatever the hour."""

from datetime import UTC, datetime

import pytest

from emulator import Functions, ManualClock, RuntimeStatus, TaskHub
from emulator.json_text import JsonValue
from emulator.samples.claims import functions, start_claims
from emulator.storage.history import EventKind
from tests.emulator.hubs import events, instance_of, move, run, status_of, tell

HOUR = 3600.0
DAY = 24 * HOUR
MIDNIGHT = datetime(2027, 1, 15, tzinfo=UTC).timestamp()


@pytest.fixture
def hub() -> TaskHub:
    return TaskHub("ClaimsHub", ManualClock(MIDNIGHT + 12 * HOUR), functions=functions)


@pytest.mark.parametrize("argument", [None, 5, "x", [], {"claim": "x", "parts": "y"}])
@pytest.mark.parametrize("name", sorted(functions.orchestrators))
def test_whatever_they_are_given_they_run(hub: TaskHub, name: str, argument: JsonValue) -> None:
    row = run(hub, name, argument, seconds=HOUR if name == "WatchMailbox" else 4 * DAY)
    assert row.status in {RuntimeStatus.COMPLETED, RuntimeStatus.RUNNING}


@pytest.mark.parametrize(("hour", "resumes"), [(12, 12.1), (21.95, 30), (3, 6), (23, 30)])
def test_the_mailbox_is_read_by_day_and_left_alone_at_night(hour: float, resumes: float) -> None:
    hub = TaskHub("ClaimsHub", ManualClock(MIDNIGHT + hour * HOUR), functions=functions)
    row = run(hub, "WatchMailbox")
    (timer,) = events(row, EventKind.TIMER_CREATED)
    fires = datetime.fromisoformat(str(timer.fields["FireAt"])).timestamp()
    assert fires == pytest.approx(MIDNIGHT + resumes * HOUR, abs=120)


def test_a_decision_ends_an_approval_and_three_days_do(hub: TaskHub) -> None:
    run(hub, "ApproveClaim", instance_id="decided")
    assert tell(hub, "Decision", {"approved": True}, "decided").output == {"approved": True}
    run(hub, "ApproveClaim", instance_id="forgotten", seconds=3 * DAY - 60)
    assert status_of(hub, "forgotten") is RuntimeStatus.RUNNING
    move(hub, 120)
    assert instance_of(hub, "forgotten").output == {"approved": False}


def test_a_child_that_fails_fails_nothing_but_a_payment(hub: TaskHub) -> None:
    batch = run(hub, "NightlyBatch", {"accounts": 150}, seconds=HOUR)
    failed = sum(row.status is RuntimeStatus.FAILED for row in hub.instances())
    assert failed > 0
    assert batch.output == {"accounts": 150, "failed": failed}
    row = run(hub, "PayOut", {"parts": 2, "bank": "closed"}, instance_id="closed")
    assert row.status is RuntimeStatus.FAILED


def test_the_past_has_the_rate_of_the_present() -> None:
    hub = TaskHub("ClaimsHub", ManualClock(MIDNIGHT + 12 * HOUR), functions=Functions())
    start_claims(hub, seed=1, rate=0.25, history=HOUR)
    move(hub, HOUR)
    begun = [start.created - MIDNIGHT - 12 * HOUR for start in hub.starts]
    past, present = sum(at < 0 for at in begun), sum(at >= 0 for at in begun)
    assert past == pytest.approx(present, rel=0.1)
