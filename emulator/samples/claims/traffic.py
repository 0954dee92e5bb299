"""What customers and clerks of the insurer do, by day and by night."""

from functools import partial
from random import Random

from emulator.json_text import compact
from emulator.samples.schedule import DAY, FOREVER, HOUR, MINUTE, Schedule, by_chance, every
from emulator.task_hub import TaskHub

_MONITORS = 3
# Of 100 claims so many need an approval, and so many have documents.
_LARGE_SHARE, _DOCUMENTS_SHARE = 0.04, 0.02
_FORGOTTEN_SHARE = 0.05
_BATCH_AT = 2 * HOUR
_BATCH_ACCOUNTS = 100


def start_claims(
    hub: TaskHub,
    *,
    seed: int,
    rate: float,
    history: float,
    begin: float = 0.0,
    end: float = FOREVER,
) -> None:
    """
    Let people use a hub, from now on and for *history* seconds before.

    `rate` is how many claims a second come in, in the past as now: nothing begins with a burst.
    `begin` and `end` are seconds from now between which something is started.
    """
    now = hub.clock.now() + begin
    past, last = now - history, now - begin + end
    schedule = Schedule(hub, seed)
    schedule.add(settle, past, by_chance(rate), end=last)
    schedule.add(ask_for_approval, past, by_chance(rate * _LARGE_SHARE), end=last)
    schedule.add(render, past, by_chance(rate * _DOCUMENTS_SHARE), end=last)
    midnight = past - past % DAY
    schedule.add(run_batch, midnight - DAY + _BATCH_AT, every(DAY), end=last)
    for number in range(_MONITORS):
        start = partial(hub.engine.start, "WatchMailbox", f"watch-mailbox-{number + 1}", None)
        hub.engine.at(now - min(history, HOUR) + number * MINUTE, start)
    schedule.purge(now, retention=7 * DAY)
    hub.advance()


def settle(hub: TaskHub, _random: Random, at: float, number: int) -> None:
    """Make a claim."""
    argument = compact({"claim": number})
    hub.engine.start("SettleClaim", hub.engine.new_instance_id(), argument, at)
    hub.engine.signal("budget", "claims", "spend", "1", at)


def ask_for_approval(hub: TaskHub, random: Random, at: float, number: int) -> None:
    """Ask for the approval of a large claim; a clerk decides within two days, one in 20 never."""
    instance_id = f"approve-claim-{number:05}"
    hub.engine.start("ApproveClaim", instance_id, compact({"claim": number}), at)
    if random.random() < _FORGOTTEN_SHARE:
        return
    decision = compact({"approved": random.random() < 0.9})  # noqa: PLR2004 - 1 in 10 is not
    answer = partial(hub.engine.raise_event, instance_id, "Decision", decision)
    hub.engine.at(at + random.uniform(HOUR, 48 * HOUR), answer)


def render(hub: TaskHub, _random: Random, at: float, number: int) -> None:
    """Ask for documents."""
    instance_id = f"render-{number:05}"
    hub.engine.start("RenderDocuments", instance_id, compact({"claim": number}), at)


def run_batch(hub: TaskHub, _random: Random, at: float, number: int) -> None:
    """Begin the batch of a night."""
    argument = compact({"accounts": _BATCH_ACCOUNTS})
    hub.engine.start("NightlyBatch", f"nightly-batch-{number:04}", argument, at)
