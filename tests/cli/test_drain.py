"""`drain` as a gate before a deployment, and `failures`."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Generator

import anyio
import pytest

from emulator import Fault, FaultKind, ManualClock, TaskHub
from emulator.api import Operation
from emulator.backends.azure_storage import AzureStorage
from tests.cli.asked import ask, serving_hub, settings_for
from tests.cli.process import COMMAND
from tests.diagnosis.stuck_app import END, START, VERSIONS, functions, stuck_hub

pytestmark = pytest.mark.anyio

Capture = pytest.CaptureFixture[str]
NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def hub() -> TaskHub:
    return stuck_hub(VERSIONS["v3"], AzureStorage())


@pytest.fixture
def _interruptible() -> Generator[None, None, None]:
    """Make started processes interruptible, even if the tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def failing_hub(*ids: str) -> TaskHub:
    clock = ManualClock(START)
    hub = TaskHub("OrdersHub", clock, functions=functions, version=VERSIONS["v3"])
    for instance_id in ids:
        hub.engine.start("Refund", instance_id, None, START)
    clock.set(END)
    hub.advance()
    return hub


class TestDrain:
    async def test_it_is_three_while_anything_is_in_flight_and_zero_after(
        self, capfd: Capture, hub: TaskHub
    ) -> None:
        async with serving_hub(hub) as url:
            busy = await ask(capfd, settings_for(orders=url), "drain", "slowactivity")
            told = await ask(
                capfd, settings_for(orders=url), "drain", "SlowActivity", "--format", "json"
            )
            idle = await ask(capfd, settings_for(orders=url), "drain", "Nobody")
        assert busy.code == told.code == 3
        assert (
            busy.out == "orders: 4 instances of slowactivity in flight (3 Running, 1 Suspended)\n"
        )
        assert json.loads(told.out) == [
            {
                "task_hub": "orders",
                "orchestrator": "SlowActivity",
                "in_flight": 4,
                "runtime_status": {"Running": 3, "Suspended": 1},
            }
        ]
        assert idle.code == 0
        assert idle.out == "orders: 0 instances of Nobody in flight\n"
        # A name that is spelled wrongly should not pass without a word.
        assert "warning: no instance of Nobody is known, active or finished" in idle.err
        assert "AnsweredInTime, Approval" in idle.err

    async def test_a_name_that_was_never_seen_is_four_where_it_must_exist(
        self, capfd: Capture, hub: TaskHub
    ) -> None:
        finished = next(each.name for each in hub.instances() if each.status == "Completed")
        async with serving_hub(hub) as url:
            settings = settings_for(orders=url)
            wrong = await ask(capfd, settings, "drain", "SlowActivty", "--must-exist")
            idle = await ask(capfd, settings, "drain", finished, "--must-exist")
            busy = await ask(capfd, settings, "drain", "SlowActivity", "--must-exist")
            unsure = await ask(
                capfd, settings_for(orders=url, gone=NOBODY), "drain", "Nobody", "--must-exist"
            )
        assert [each.code for each in (wrong, idle, busy, unsure)] == [4, 0, 3, 1]
        assert "there are: SlowActivity, " in wrong.err
        assert "warning" not in idle.err

    async def test_a_hub_that_does_not_answer_is_never_drained(
        self, capfd: Capture, hub: TaskHub
    ) -> None:
        async with serving_hub(hub) as url:
            settings = settings_for(orders=url, gone=NOBODY)
            unsure = await ask(capfd, settings, "drain", "Nobody")
            busy = await ask(capfd, settings, "drain", "SlowActivity")
        assert (unsure.code, busy.code) == (1, 3)
        assert "hub gone: listInstances: no connection" in unsure.err

    @pytest.mark.parametrize("shard", ["0/2", "1/2"])
    async def test_a_shard_lets_nothing_through_that_is_in_flight_in_a_hub_of_another(
        self, capfd: Capture, hub: TaskHub, shard: str
    ) -> None:
        async with serving_hub(hub) as url:
            settings = settings_for(orders=url, shard=shard)
            outcome = await ask(capfd, settings, "drain", "SlowActivity")
        assert outcome.code == 3
        assert outcome.out.startswith("orders: 4 instances of SlowActivity in flight")

    async def test_nothing_is_believed_only_when_it_is_said_twice(
        self, capfd: Capture, hub: TaskHub
    ) -> None:
        async with serving_hub(hub) as url:
            settings = settings_for(orders=url)
            hub.faults.set(Fault(kind=FaultKind.HTML, skip=1, times=1))
            outcome = await ask(capfd, settings, "drain", "Nobody")
        assert outcome.code == 1
        assert hub.faults.struck == 1

    async def test_it_waits_until_the_last_one_is_gone(
        self, capfd: Capture, hub: TaskHub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        looks: list[float] = []

        def ends(look: Callable[[float], object]) -> Callable[[float], object]:
            async def sleep(seconds: float) -> None:
                looks.append(seconds)
                assert isinstance(hub.clock, ManualClock)
                if len(looks) == 3:
                    hub.engine.terminate("polls", "no more", hub.clock.now())
                    hub.clock.set(hub.clock.now() + 10)
                    hub.advance()
                await look(0)  # type: ignore[misc] # what it stands for is awaited

            return sleep

        async with serving_hub(hub) as url:
            monkeypatch.setattr("exporter.cli.drain.sleep", ends(anyio.sleep))
            outcome = await ask(
                capfd, settings_for(orders=url), "drain", "PollsForEver", "--wait", "--every", "7s"
            )
        assert outcome.code == 0
        assert looks == [7.0, 7.0, 7.0]
        assert outcome.out == "orders: 0 instances of PollsForEver in flight\n"

    async def test_it_gives_up_when_the_time_is_over(self, capfd: Capture, hub: TaskHub) -> None:
        async with serving_hub(hub) as url:
            outcome = await ask(
                capfd, settings_for(orders=url),
                "drain", "PollsForEver", "--wait", "--timeout", "0.2s", "--every", "0.05s",
            )  # fmt: skip
        assert outcome.code == 3
        assert "1 instance of PollsForEver in flight" in outcome.out

    @pytest.mark.usefixtures("_interruptible")
    async def test_interrupted_it_ends_cleanly(
        self, hub: TaskHub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = anyio.Event()

        def strike(_: Operation) -> None:
            asked.set()

        monkeypatch.setattr(hub.faults, "strike", strike)
        async with serving_hub(hub) as url:
            command = [*COMMAND, "drain", "PollsForEver", "--wait", "--url", url]
            process = await anyio.open_process([*command, "--every", "10ms"], env={})
            try:
                with anyio.fail_after(60):
                    await asked.wait()
                process.send_signal(signal.SIGINT)
                with anyio.fail_after(60):
                    code = await process.wait()
                assert process.stderr is not None
                said = b"".join([piece async for piece in process.stderr]).decode()
            finally:
                if process.returncode is None:
                    process.kill()
                with anyio.CancelScope(shield=True):
                    await process.aclose()
        assert (code, said) == (130, "")


class TestFailures:
    async def test_they_are_grouped_by_their_reason_with_ids(self, capfd: Capture) -> None:
        async with serving_hub(failing_hub("a", "b", "c", "d")) as url:
            settings = settings_for(orders=url)
            shown = await ask(capfd, settings, "failures", "--samples", "2")
            told = await ask(capfd, settings, "failures", "--samples", "2", "--format", "json")
        assert shown.code == 0
        assert shown.out.startswith("orders: 4 instances failed\n")
        (group,) = json.loads(told.out)
        assert (group["orchestrator"], group["category"]) == ("Refund", "activity")
        assert (group["failed_function"], group["instances"]) == ("PayBack", 4)
        assert len(group["instance_ids"]) == 2
        assert set(group["instance_ids"]) < {"a", "b", "c", "d"}
        assert "PayBack" in shown.out

    async def test_what_failed_longer_ago_is_left_out(self, capfd: Capture) -> None:
        async with serving_hub(failing_hub("a")) as url:
            recent = await ask(capfd, settings_for(orders=url), "failures", "--since", "1h")
            earlier = await ask(capfd, settings_for(orders=url), "failures", "--since", "1d")
        assert "orders: nothing failed" in recent.out
        assert "orders: 1 instance failed" in earlier.out

    async def test_a_hub_that_cannot_be_asked_is_said(self, capfd: Capture) -> None:
        outcome = await ask(capfd, settings_for(gone=NOBODY), "failures")
        assert outcome.code == 1
        assert outcome.out == ""
        assert "hub gone: listInstances: no connection" in outcome.err
