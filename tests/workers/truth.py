"""
What failed and what is awaited in the recorded hubs of three kinds of apps.

Written from the functions that ran and the scripts that started the instances, not from what any
program says of the answers. An exception is a truth that no row shows; each has its reason.
"""

from __future__ import annotations

from dataclasses import dataclass

VERSIONS = ("v3.19", "v3-isolated", "v3-javascript")
# What in-process and JavaScript apps show; isolated ones show `worker` by what they write.
WORKERS = {"v3.19": "dotnet", "v3-isolated": "isolated", "v3-javascript": "javascript"}


@dataclass(frozen=True, slots=True)
class Failure:
    """
    Why an instance failed.

    `kind` and `function` are what failed seen from its orchestrator. `type` is the type of what was
    thrown as far as the API shows it at all; `in_history` tells that only the history does.
    """

    kind: str
    function: str = ""
    type: str = ""
    in_history: bool = False


def row(kind: str, function: str = "", error_type: str = "") -> Failure:
    """Return a failure that the row tells wholly."""
    return Failure(kind, function, error_type)


def history(kind: str, function: str, error_type: str) -> Failure:
    """Return a failure whose type only the history tells."""
    return Failure(kind, function, error_type, in_history=True)


_CHARGE = history("activity", "Charge", "InvalidOperationException")
_LEDGER = history("activity", "PostLedger", "TimeoutException")
_NESTED = history("activity", "Nested", "LedgerUnavailableException")
_ITSELF = row("unhandled", "", "ArgumentException")
_CHILD_ITSELF = history("sub_orchestration", "FailsItself", "ArgumentException")
_MIDDLE = history("sub_orchestration", "FailsNested", "LedgerUnavailableException")
_GRAND = history("sub_orchestration", "MiddleFails", "LedgerUnavailableException")
_NON_DETERMINISM = row("non_determinism", "", "NonDeterministicOrchestrationException")
_NO_ACTIVITY = row("function_missing", "NoSuchActivity")
_NO_ORCHESTRATOR = row("function_missing", "NoSuchOrchestrator")
_NO_SUB = row("function_missing", "NoSuchSub")
# A cancelled task has one message, which is all that newer workers write.
_LATE = row("timeout", "", "TaskCanceledException")
_BROKEN = row("unhandled", "", "InvalidOperationException")
_HTTP = row("activity", "HttpActivity")
# More than 30,720 characters: the type is cut off.
_HUGE = history("unhandled", "", "Exception")
_STOCK = row("unhandled", "", "StockException")

_ISOLATED: dict[str, Failure] = {
    "order-1001": _CHARGE,
    "order-1002": _ITSELF,
    "retry-exhausted": _CHARGE,
    "retry-handler-exhausted": _CHARGE,
    "parent-fails": _CHILD_ITSELF,
    "parent-fails:child": _ITSELF,
    "parent-ok": row("serialization", "", "JsonException"),
    "parent-auto-fails": history("sub_orchestration", "OrderSaga", "InvalidOperationException"),
    "8d6670a0c0ae5d39b0790d17efca695e": _CHARGE,
    "http-down": _HTTP,
    "entity-explodes": row("entity", "counter"),
    "entity-unknown": row("function_missing", "nosuchentity"),
    "entity-badop": row("entity", "counter"),
    "entity-broken": row("entity", "brokenentity"),
    "nondeterministic": _NON_DETERMINISM,
    "unknown-activity": _NO_ACTIVITY,
    "unknown-function": _NO_ORCHESTRATOR,
    "g-unknown": _NO_ORCHESTRATOR,
    # Three parents fail with the SDK's own words, which name nothing; their children's rows do.
    "unknown-sub": _NO_SUB,
    "aee3ab13cde45a52a3605b7bd3df7405": _NO_SUB,
    "parent-of-broken": row("sub_orchestration", "BreaksWorker", "InvalidOperationException"),
    "3e64ec418f50531ab60841a57d293b42": _BROKEN,
    "parent-of-timeout": row("timeout", "EventTimeout", "TaskCanceledException"),
    "4586dedfc2585bfea632c9e63328c58a": _LATE,
    "event-timeout": _LATE,
    "event-timeout-2": _LATE,
    "event-timeout-old": _LATE,
    "typed-event": row("serialization"),
    "bw-1": _BROKEN,
    "ft-1": _LEDGER,
    "when-all-fails": _LEDGER,
    "fn-1": _NESTED,
    "6c2513287bd85970b59eefca6e4c1dbf": _NESTED,
    "75bc8eaf196b5f6ca8737be6aa7ae838": _NESTED,
    "catch2": history("activity", "Nested", "JsonException"),
    "gf-1": _GRAND,
    "2d5b91e052f55081a3328edee7af0f8f": _MIDDLE,
    "b9602f964be358bc81b4ed15a18e0a3f": _MIDDLE,
    "fh-1": _HUGE,
    "fm-1": row("unhandled", "", "FormatException"),
    "fin-1": row("unhandled", "", "LedgerUnavailableException"),
    "wraps-1": row("unhandled", "", "LedgerUnavailableException"),
    "rethrows": row("unhandled", "", "InvalidOperationException"),
    "ctf-1": _STOCK,
    "fails-holding-lock": _STOCK,
    "colon-message": _STOCK,
    "custom-named": row("unhandled", "", "OutOfStock"),
    "generic-exc": row("unhandled", "", "Oops"),
    "agg-self": row("unhandled", "", "AggregateException"),
    "sub-retry-exhausted": _CHILD_ITSELF,
    "8e09e234cf2757c5ad14d05bf47991fb": _ITSELF,
    "sr-1-run": _LEDGER,
    "g-fail": _CHARGE,
    "by-Aggregate": history("activity", "Aggregate", "AggregateException"),
    "by-Cancels": history("activity", "Cancels", "TaskCanceledException"),
    "by-EmptyMessage": history("activity", "EmptyMessage", "StockException"),
    "by-HugeActivity": history("activity", "HugeActivity", "StockException"),
    "by-JavaQuery": history("activity", "JavaQuery", "SQLServerException"),
    "by-OldMultiline": history("activity", "OldMultiline", "StockException"),
    "by-OldNested": history("activity", "OldNested", "LedgerUnavailableException"),
    "by-OldPlain": history("activity", "OldPlain", "StockException"),
    # Old workers lose the types of an app's own exceptions, or keep a piece of the message.
    "by-OldUserPlain": row("activity", "OldUserPlain"),
    "by-OldUserColon": row("activity", "OldUserColon"),
    "by-TakesNumber": history("serialization", "TakesNumber", "InvalidOperationException"),
    "lv-be-1796005917": row("entity", "brokenentity"),
    "lv-bw-1796005917": _BROKEN,
    "lv-ef-1796005917": row("entity", "counter"),
    "lv-et-1796005917": _LATE,
    "lv-fi-1796005917": _ITSELF,
    "lv-gf-1796005917": _GRAND,
    "lv-http-1796005917": _HTTP,
    "lv-huge-1796005917": _HUGE,
    "lv-java-1796005917": history("activity", "JavaQuery", "SQLServerException"),
    "lv-nd-1796005917": _NON_DETERMINISM,
    "lv-nf-1796005917": _NO_ORCHESTRATOR,
    "lv-order-1796005917": _CHARGE,
    "lv-parent-fails-1796005917": _CHILD_ITSELF,
    "lv-parent-fails-1796005917:child": _ITSELF,
    "lv-te-1796005917": row("serialization"),
    "lv-tn-1796005917": history("serialization", "TakesNumber", "InvalidOperationException"),
    "lv-ua-1796005917": _NO_ACTIVITY,
    "lv-us-1796005917": _NO_SUB,
    "bde5b0218d3c5d12858d8a3b61619ca9": _NO_SUB,
}

_JS_CHARGE = row("activity", "Charge", "Error")
_JS_CHILD = row("sub_orchestration", "FailsItself")
# The type of an orchestrator's own error is in no answer.
_JS_OWN = row("unhandled")

_JAVASCRIPT: dict[str, Failure] = {
    "activity-charge": _JS_CHARGE,
    "activity-chargeaxios": row("activity", "ChargeAxios", "AxiosError"),
    # Longer than what of an output is looked at.
    "activity-chargebig": row("activity", "ChargeBig"),
    "activity-chargecolon": row("activity", "ChargeColon", "Error"),
    "activity-chargecustom": row("activity", "ChargeCustom", "PaymentError"),
    "activity-chargejson": row("activity", "ChargeJson", "SyntaxError"),
    "activity-chargemultiline": row("activity", "ChargeMultiline", "Error"),
    "activity-chargenamed": row("activity", "ChargeNamed", "Error"),
    "activity-chargeobject": row("activity", "ChargeObject", "Error"),
    "activity-chargeprops": row("activity", "ChargeProps", "RangeError"),
    "activity-chargesecret": row("activity", "ChargeSecret", "Error"),
    "activity-chargestring": row("activity", "ChargeString", "Error"),
    "activity-chargetyped": row("activity", "ChargeTyped", "TypeError"),
    "entity-explodes": row("entity", "counter"),
    "entity-explodes-string": row("entity", "counter"),
    "entity-explodes-typed": row("entity", "counter"),
    **dict.fromkeys(
        (
            "failsafteractivity", "failsbig", "failscolon", "failscustom", "failsempty",
            "failsitself", "failsmultiline", "failsnamed", "failsobject", "failsstring",
            "failstimeout", "failstyped", "wrapsactivity", "yieldspromise",
            "grand-fails:parent:child", "parent-catches:child", "parent-fails-typed:child",
            "parent-fails:child", "retry-sub-exhausted:child", "retry-sub-waiting:child",
        ),
        _JS_OWN,
    ),
    "failscircular": row("serialization"),
    "failsjson": row("serialization"),
    "fanout-fails": _JS_CHARGE,
    "grand-fails": row("sub_orchestration", "Parent"),
    "grand-fails:parent": _JS_CHILD,
    "http-down": row("activity", "HttpActivity", "HttpRequestException"),
    **dict.fromkeys(
        (
            "nondeterministic", "nondeterministickind-2", "nondeterministicmissing-2",
            "nondeterministicname-2", "nondeterministicsub-2", "nondeterministicthrow-2",
        ),
        row("non_determinism"),
    ),
    "parent-fails": _JS_CHILD,
    "parent-fails-typed": row("sub_orchestration", "FailsTyped"),
    "retry-exhausted": _JS_CHARGE,
    "retry-sub-exhausted": _JS_CHILD,
    "unknown-function": _NO_ORCHESTRATOR,
}  # fmt: skip

_IN_PROCESS: dict[str, Failure] = {
    "entity-explodes": row("entity", "counter"),
    "http-down": row("activity", "HttpActivity"),
    "nondeterministic": row("non_determinism"),
    "order-1001": row("activity", "Charge"),
    "order-1002": row("unhandled"),
    "parent-fails": _JS_CHILD,
    "parent-fails:child": row("unhandled"),
    "parent-ok": row("serialization"),
    "retry-exhausted": row("activity", "Charge"),
    "unknown-function": _NO_ORCHESTRATOR,
}

FAILED = {"v3.19": _IN_PROCESS, "v3-isolated": _ISOLATED, "v3-javascript": _JAVASCRIPT}

# What no row tells: what it says instead, and why.
UNTOLD: dict[tuple[str, str], Failure] = {
    # In-process and JavaScript: a failed entity and a refused HTTP call have no words around them.
    **{(version, "entity-explodes"): row("unhandled") for version in ("v3.19", "v3-javascript")},
    **{("v3-javascript", f"entity-explodes-{n}"): row("unhandled") for n in ("typed", "string")},
    ("v3.19", "http-down"): row("unhandled"),
    # Structured errors, an option of the JavaScript SDK, leave out which activity it was.
    ("v3-javascript", "activity-chargeprops"): row("unhandled", "", "RangeError"),
}


@dataclass(frozen=True, slots=True)
class Waiting:
    """
    What an instance waits on itself, and where its chain leads.

    `leaf` is what the one at the end of the chain waits on, with its target, where that is another
    instance than this one; `held_by` who holds the lock on the way.
    """

    wait: str
    target: str = ""
    held_by: str | None = None
    leaf: tuple[str, str] | None = None


_EVENT = Waiting("external_event")
# Whoever races a timer with an event waits for both; an answer tells only of the timer.
_EVENT_OR_TIMER = Waiting("event_or_timer")
_TIMER = Waiting("timer")
# A call or a failure that the worker lost: nothing of it is in any answer.
_LOST = Waiting("lost")
_SUSPENDED = Waiting("suspended")
_SLOW = Waiting("activity", "Slow")
_LABEL = Waiting("activity", "PrintLabel")
_POLL = Waiting("http_poll", "BuiltIn::HttpActivity")
_RETRY = Waiting("retry_backoff", "Charge")
_ON_EVENT = ("external_event", "WaitsForever")
_IN_LOCK = ("external_event", "HoldsLock")
_LOCK = Waiting("entity_lock", "counter", "lock-holder", _IN_LOCK)
_LOCKED = Waiting("entity", "counter", "lock-holder", _IN_LOCK)
_CHILD = Waiting("sub_orchestration", "WaitsForever", leaf=_ON_EVENT)
_BY_LOCKER = ("external_event", "LocksAccount")

_IN_PROCESS_WAITS: dict[str, Waiting] = {
    "approval-1": _EVENT_OR_TIMER,
    "entity-caller-blocked": _LOCKED,
    "eternal-1": _TIMER,
    "fanout-slow": _SLOW,
    "lock-holder": _EVENT,
    "lock-waiter": _LOCK,
    "parent-auto": Waiting("sub_orchestration", "WaitsForever"),
    "parent-waits": _CHILD,
    "parent-waits:child": _EVENT,
    "progress-1": _EVENT,
    "resumed-1": _EVENT,
    "retry-waiting": _RETRY,
    "slow-1": _SLOW,
    "suspended-1": _SUSPENDED,
    "timer-20d": _TIMER,
    "two-events": _EVENT,
    "waits-1": _EVENT,
}

_ISOLATED_WAITS: dict[str, Waiting] = {
    **_IN_PROCESS_WAITS,
    "parent-auto": _CHILD,
    "2940faa449f456a2be6792bd795e2025": _EVENT,
    "approval-2": _EVENT_OR_TIMER,
    "comp-1": Waiting("activity", "Refund"),
    "ct-1": _EVENT,
    "d7c670182e3957a4bf28969d3098bb6d": _EVENT,
    "de-1": _EVENT,
    "entity-or-timer": _LOCKED,
    "g-later": Waiting("not_started"),
    "g-res": _EVENT,
    "g-susp": _SUSPENDED,
    "g-susp-null": _SUSPENDED,
    "g-tags": _EVENT,
    "g-term-rec:child": _EVENT,
    "g-wait": _EVENT,
    "gp-1": Waiting("sub_orchestration", "MiddleParent", "locker", _BY_LOCKER),
    "gp-1.m": Waiting("sub_orchestration", "LocksAccount", "locker", _BY_LOCKER),
    "gp-1.m.leaf": Waiting("entity_lock", "account", "locker", _BY_LOCKER),
    # It awaits a task that is none of the framework's, which no history has.
    "illegal-await": _LOST,
    "lock-act": _LABEL,
    "lock-act-waiter": Waiting("entity_lock", "counter", "lock-act", ("activity", "PrintLabel")),
    "lock-then-wait": _LOCK,
    "lock-waiter-2": _LOCK,
    "locker": _EVENT,
    "locks-big": _EVENT,
    "locks-big-waiter": Waiting(
        "entity_lock", "counter", "locks-big", ("external_event", "LocksBig")
    ),
    # An activity, a child, an event and an entity at once: the activity alone is trouble.
    "mixed": _LABEL,
    "onb-1": Waiting("sub_orchestration", "ShipParcel", leaf=("activity", "PrintLabel")),
    "onb-1-ship": _LABEL,
    "onb-1-sign": _EVENT,
    "ph-1": _POLL,
    "race-1": _LABEL,
    "released": _EVENT,
    "rem-1": _EVENT_OR_TIMER,
    "retry-handler-waiting": _RETRY,
    "sends-event": _EVENT,
    "signals-later": _EVENT,
    "slow-entity": Waiting("entity", "slowentity"),
    "slow-two": Waiting("entity", "slowentity"),
    "slow-two-next": Waiting("entity", "slowentity"),
    "sr-1": Waiting("retry_backoff", "LedgerRun"),
    "started-by-entity": _EVENT,
    "stw-1": _EVENT,
    "susp-2": _SUSPENDED,
    "wtw-1": _LABEL,
}

_JAVASCRIPT_WAITS: dict[str, Waiting] = {
    # A deadline of an hour runs beside the activity.
    "activity-deadline": _SLOW,
    "activity-nosuchactivity": _LOST,
    "any-of-two-subs": _SLOW,
    "any-of-two-subs:never": _EVENT,
    "approval-1": _EVENT_OR_TIMER,
    "approval-then-slow": _SLOW,
    "catchesactivity": _EVENT,
    "continues-waiting": _EVENT,
    "deadline-passed": _SLOW,
    "entity-busy-caller": Waiting("entity", "counter"),
    "entity-busy-second": Waiting("entity", "counter"),
    "entity-caller-blocked": _LOCKED,
    "entity-caller-busy-lock": Waiting(
        "entity", "counter", "lock-holder-slow", ("activity", "Slow")
    ),
    "entity-error-caught": _EVENT,
    "entity-missing": _LOST,
    "entity-signals-waits": _EVENT,
    "eternal-1": _TIMER,
    "event-and-activity": _SLOW,
    "event-and-done": _EVENT,
    "event-or-activity": _SLOW,
    "failsundefined": _LOST,
    "fanout-slow": _SLOW,
    "grand-slow": Waiting("sub_orchestration", "Parent", leaf=("activity", "Slow")),
    "grand-slow:parent": Waiting("sub_orchestration", "SlowActivity", leaf=("activity", "Slow")),
    "grand-slow:parent:child": _SLOW,
    "grand-waits": Waiting("sub_orchestration", "Parent", leaf=_ON_EVENT),
    "grand-waits:parent": _CHILD,
    "grand-waits:parent:child": _EVENT,
    "http-never": _POLL,
    "http-polling": _POLL,
    "http-polling-default": _POLL,
    "lock-holder": _EVENT,
    "lock-holder-slow": _SLOW,
    "lock-two": _LOCK,
    "lock-waiter": _LOCK,
    "parent-auto": Waiting("sub_orchestration", "WaitsForever"),
    "parent-auto-all": Waiting("sub_orchestration", "WaitsForever"),
    "parent-catches": _EVENT,
    "parent-missing": _LOST,
    "parent-slow": Waiting("sub_orchestration", "SlowActivity"),
    "parent-waits": _CHILD,
    "parent-waits:child": _EVENT,
    "progress": _EVENT,
    "resumed-1": _EVENT,
    "retry-after-success": Waiting("retry_backoff", "ChargeTyped"),
    # Between two attempts of one call, and another that has not ended.
    "retry-and-slow": _SLOW,
    "retry-pair": _RETRY,
    "retry-sub-waiting": Waiting("retry_backoff", "FailsItself"),
    "retry-waiting": _RETRY,
    "slow-1": _SLOW,
    "suspended-1": _SUSPENDED,
    "timed-out-then-event": _EVENT,
    "timer-1h": _TIMER,
    "timer-20d": _TIMER,
    "two-events": _EVENT,
    "two-events-2nd": _EVENT,
    "waits-1": _EVENT,
}

WAITING = {
    "v3.19": _IN_PROCESS_WAITS,
    "v3-isolated": _ISOLATED_WAITS,
    "v3-javascript": _JAVASCRIPT_WAITS,
}

# Active children whose parents have ended.
ORPHANS: dict[str, set[str]] = {
    "v3.19": set(),
    "v3-isolated": {"g-term-rec:child"},
    "v3-javascript": set(),
}
