"""An insurer: slow by design, with about 1 % of failures."""

from datetime import timedelta
from functools import partial
from random import Random

from emulator.engine.context import OrchestrationContext, RetryOptions
from emulator.engine.failures import FunctionFailed
from emulator.engine.functions import ActivityContext, EntityContext, Functions, Steps
from emulator.json_text import JsonValue, compact
from emulator.samples.schedule import DAY, FOREVER, HOUR, MINUTE, Schedule, every, poisson
from emulator.samples.shop import number, text
from emulator.task_hub import TaskHub

functions = Functions()

_MAIL_SERVER = RetryOptions(first_retry_interval=10.0, max_number_of_attempts=4, backoff=2.0)
_DEADLINE = timedelta(days=3)
_WATCH_PERIOD = timedelta(minutes=5)
# Daytime in hours of UTC.
_MORNING, _EVENING = 6, 22
_REFUSED_SHARE = 0.01

_MONITORS = 3
# Shares of claims with an approval, and with documents.
_LARGE_SHARE, _DOCUMENTS_SHARE = 0.04, 0.02
_FORGOTTEN_SHARE = 0.05
_BATCH_AT = 2 * HOUR
_BATCH_ACCOUNTS = 100


@functions.orchestrator
def SettleClaim(context: OrchestrationContext) -> Steps:
    """Check a claim, pay it, notify the customer."""
    claim = context.get_input()
    yield context.call_activity("CheckPolicy", claim)
    yield context.call_activity("PayClaim", claim)
    yield context.call_activity_with_retry("SendLetter", _MAIL_SERVER, claim)
    return {"claim": number(claim, "claim")}


@functions.orchestrator
def ApproveClaim(context: OrchestrationContext) -> Steps:
    """Wait for a decision, for at most three days."""
    decision = context.wait_for_external_event("Decision")
    deadline = context.create_timer(context.current_utc_datetime + _DEADLINE)
    context.set_custom_status("waiting for a decision")
    winner = yield context.task_any([decision, deadline])
    deadline.cancel()
    return {"approved": winner is decision and decision.result == {"approved": True}}


@functions.orchestrator
def RenderDocuments(context: OrchestrationContext) -> Steps:
    """Render documents: one activity of up to 40 minutes."""
    return (yield context.call_activity("RenderPages", context.get_input()))


@functions.orchestrator
def WatchMailbox(context: OrchestrationContext) -> Steps:
    """Read the mailbox every five minutes in daytime, forever."""
    yield context.call_activity("ReadMailbox")
    now = context.current_utc_datetime
    following = now + _WATCH_PERIOD
    if not _MORNING <= following.hour < _EVENING:
        morning = now.replace(hour=_MORNING, minute=0, second=0, microsecond=0)
        following = morning if morning > now else morning + timedelta(days=1)
    yield context.create_timer(following)
    context.continue_as_new(None)
    return None


@functions.orchestrator
def NightlyBatch(context: OrchestrationContext) -> Steps:
    """Reconcile all accounts, and count those that fail."""
    count, failed = number(context.get_input(), "accounts", 100), 0
    started = [
        context.call_sub_orchestrator("ReconcileAccount", {"account": i}) for i in range(count)
    ]
    for account in started:
        try:
            yield account
        except FunctionFailed:
            failed += 1
    return {"accounts": count, "failed": failed}


@functions.orchestrator
def ReconcileAccount(context: OrchestrationContext) -> Steps:
    """Compare an account with the bank."""
    return (yield context.call_activity("CompareAccount", context.get_input()))


@functions.orchestrator
def PayOut(context: OrchestrationContext) -> Steps:
    """Pay in parts, each in a sub-orchestration; one that fails fails the whole."""
    parts = range(number(context.get_input(), "parts", 2))
    bank = text(context.get_input(), "bank")
    return (
        yield context.task_all(
            [
                context.call_sub_orchestrator(
                    "PayPart", {"part": part, "bank": bank}, f"{context.instance_id}-{part}"
                )
                for part in parts
            ]
        )
    )


@functions.orchestrator
def PayPart(context: OrchestrationContext) -> Steps:
    """Pay a part."""
    return (yield context.call_activity("Transfer", context.get_input()))


@functions.activity
def CheckPolicy(claim: JsonValue, context: ActivityContext) -> JsonValue:
    """Take 0.2 to 2 s; 1 % fail."""
    context.takes(context.random.uniform(0.2, 2))
    if context.random.random() < _REFUSED_SHARE:
        raise ValueError(f"The policy of claim {number(claim, 'claim')} has expired")
    return {"covered": True}


@functions.activity
def PayClaim(_claim: JsonValue, context: ActivityContext) -> JsonValue:
    """Take 0.5 to 5 s."""
    context.takes(context.random.uniform(0.5, 5))
    return {"paid": True}


@functions.activity
def SendLetter(_claim: JsonValue, context: ActivityContext) -> JsonValue:
    """Take 0.1 to 1 s; 2 % fail."""
    context.takes(context.random.uniform(0.1, 1))
    if context.random.random() < 0.02:  # noqa: PLR2004 - see the docstring
        raise RuntimeError("The mail server is busy")
    return None


@functions.activity
def RenderPages(_claim: JsonValue, context: ActivityContext) -> JsonValue:
    """Take 2 to 40 minutes."""
    context.takes(context.random.uniform(120, 2400))
    return {"pages": context.random.randint(10, 400)}


@functions.activity
def ReadMailbox(_argument: JsonValue, context: ActivityContext) -> JsonValue:
    """Take 0.5 to 3 s."""
    context.takes(context.random.uniform(0.5, 3))
    return {"mails": context.random.randint(0, 5)}


@functions.activity
def CompareAccount(account: JsonValue, context: ActivityContext) -> JsonValue:
    """Take 1 to 60 s; 1 % fail."""
    context.takes(context.random.uniform(1, 60))
    if context.random.random() < _REFUSED_SHARE:
        raise RuntimeError(f"Account {number(account, 'account')} does not agree with the bank")
    return {"agrees": True}


@functions.activity
def Transfer(part: JsonValue, context: ActivityContext) -> JsonValue:
    """Take 1 to 3 s; the bank `closed` fails, `slow` takes an hour."""
    bank = text(part, "bank")
    context.takes(3600 if bank == "slow" else context.random.uniform(1, 3))
    if bank == "closed":
        raise RuntimeError("The bank is closed")
    return {"paid": True}


@functions.entity
def Budget(context: EntityContext) -> None:
    """Add up amounts."""
    spent = context.get_state(lambda: 0)
    operand = context.get_input()
    if isinstance(spent, int) and isinstance(operand, int):
        context.set_state(spent + operand)


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
    Add the insurer's traffic to a hub, with a past.

    `rate` claims start per second, from `history` seconds before `begin` to `end`, in seconds from
    now.
    """
    now = hub.clock.now() + begin
    past, last = now - history, now - begin + end
    schedule = Schedule(hub, seed)
    schedule.add(settle, past, poisson(rate), end=last)
    schedule.add(ask_for_approval, past, poisson(rate * _LARGE_SHARE), end=last)
    schedule.add(render, past, poisson(rate * _DOCUMENTS_SHARE), end=last)
    midnight = past - past % DAY
    schedule.add(run_batch, midnight - DAY + _BATCH_AT, every(DAY), end=last)
    for index in range(_MONITORS):
        start = partial(hub.engine.start, "WatchMailbox", f"watch-mailbox-{index + 1}", None)
        hub.engine.at(now - min(history, HOUR) + index * MINUTE, start)
    schedule.purge(now, retention=7 * DAY)
    hub.advance()


def settle(hub: TaskHub, _random: Random, at: float, number: int) -> None:
    """Start a claim."""
    argument = compact({"claim": number})
    hub.engine.start("SettleClaim", hub.engine.new_instance_id(), argument, at)
    hub.engine.signal("budget", "claims", "spend", "1", at)


def ask_for_approval(hub: TaskHub, random: Random, at: float, number: int) -> None:
    """Start an approval, decided within two days except for one in 20."""
    instance_id = f"approve-claim-{number:05}"
    hub.engine.start("ApproveClaim", instance_id, compact({"claim": number}), at)
    if random.random() < _FORGOTTEN_SHARE:
        return
    decision = compact({"approved": random.random() < 0.9})  # noqa: PLR2004 - 1 in 10 is not
    answer = partial(hub.engine.raise_event, instance_id, "Decision", decision)
    hub.engine.at(at + random.uniform(HOUR, 48 * HOUR), answer)


def render(hub: TaskHub, _random: Random, at: float, number: int) -> None:
    """Start documents."""
    instance_id = f"render-{number:05}"
    hub.engine.start("RenderDocuments", instance_id, compact({"claim": number}), at)


def run_batch(hub: TaskHub, _random: Random, at: float, number: int) -> None:
    """Start a nightly batch."""
    argument = compact({"accounts": _BATCH_ACCOUNTS})
    hub.engine.start("NightlyBatch", f"nightly-batch-{number:04}", argument, at)
