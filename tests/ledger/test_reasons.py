"""The reasons of failures: of recorded outputs, of composed ones, and of anything else."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.api.wire import InstanceRow
from exporter.ledger.failure_text import LOOKED_AT, Category
from exporter.ledger.reasons import FailureReason, read_failure
from tests.recorded import RECORDINGS, exchanges

FAILURES = Path(__file__).parents[1] / "data" / "failures" / "outputs.json"
RUNTIMES = {"in-process .NET", ".NET isolated", "Java", "Python", "JavaScript", "PowerShell", "any"}
ISOLATED = "Microsoft.DurableTask."
UNKNOWN = FailureReason(Category.UNKNOWN, "", "")
# What labels may look like.
FUNCTION = re.compile(r"(?:[^\W\d_][\w.-]{0,127})?")
ERROR_TYPE = re.compile(r"\w{0,128}")
LOGS = ". See the function execution logs for additional details."

SECRETS = (
    "anna.berg@example.com",
    "7f3c9a52-1b04-4d7e-9c11-0a2b3c4d5e6f",
    "7f3c9a521b044d7e9c110a2b3c4d5e6f",
    "order-4711",
    "4111111111111111",
    "C:\\data\\anna\\orders.csv",
    "/home/anna/orders.csv",
    "10.2.3.4:5432",
    "DE02120300000000202051",
    "https://contoso.example/anna?code=hunter2",
)

# Those that could not be the name of a function either.
NO_NAMES = [secret for secret in SECRETS if not secret.startswith(("order-", "DE"))]


@dataclass(frozen=True, slots=True)
class Failure:
    """One output of a failed instance, and what is to be said of it."""

    runtime: str
    orchestrator: str
    output: object
    category: str
    failed_function: str
    error_type: str
    source: str

    @property
    def reason(self) -> FailureReason:
        return FailureReason(Category(self.category), self.failed_function, self.error_type)


CORPUS = [Failure(**entry) for entry in json.loads(FAILURES.read_text(encoding="utf-8"))]
OUTPUTS = st.sampled_from([failure.output for failure in CORPUS])
TEXTS = [failure.output for failure in CORPUS if isinstance(failure.output, str)]
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def raw(output: object) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(output).encode())


def reason_of(orchestrator: str, output: msgspec.Raw) -> FailureReason:
    return read_failure(orchestrator, output).reason


def reason(output: object, orchestrator: str = "OrderSaga") -> FailureReason:
    return reason_of(orchestrator, raw(output))


def task(name: str, message: str) -> str:
    return f"Task '{name}' (#4711) failed with an unhandled exception: {message}"


def entity(key: str, message: str) -> str:
    return f"Operation 'pay' of entity '@Wallet@{key}' failed: {message}"


def own(message: str) -> str:
    return f"Orchestrator function 'OrderSaga' failed: {message}"


def activity(name: str, message: str) -> str:
    return f"The activity function '{name}' failed: \"{message}\"{LOGS}"


# Every frame around a message that may say anything, with the reason that it stands for.
FRAMES = (
    ("{}", UNKNOWN),
    (own("{}"), FailureReason(Category.UNHANDLED, "", "")),
    (own(activity("Charge", "{}")), FailureReason(Category.ACTIVITY, "Charge", "")),
    (
        own("Activity function 'charge' failed:  ValueError: {}"),
        FailureReason(Category.ACTIVITY, "charge", "ValueError"),
    ),
    (
        own("Orchestrator function 'Child' failed: {}"),
        FailureReason(Category.SUB_ORCHESTRATION, "Child", ""),
    ),
    ("System.ArgumentException: {}", FailureReason(Category.UNHANDLED, "", "ArgumentException")),
    (
        f"{ISOLATED}TaskFailedException: {task('Charge', '{}')}",
        FailureReason(Category.ACTIVITY, "Charge", ""),
    ),
    (
        f"{ISOLATED}Entities.EntityOperationFailedException: {entity('anna@example.com', '{}')}",
        FailureReason(Category.ENTITY, "wallet", ""),
    ),
    (
        "TaskFailedError: 7f3c9a521b044d7e9c110a2b3c4d5e6f:0001: Activity task #1 failed: {}",
        FailureReason(Category.ACTIVITY, "", ""),
    ),
)


def assert_fit_for_labels(found: FailureReason) -> None:
    assert found.category in Category
    assert FUNCTION.fullmatch(found.failed_function)
    assert ERROR_TYPE.fullmatch(found.error_type)
    assert not found.error_type[:1].isdigit()


def recorded_failures() -> Iterator[InstanceRow]:
    """Yield every row of a failed instance that the recordings show."""
    reads = ("listInstances", "getInstanceStatus")
    texts = [
        entry.body
        for entry in exchanges()
        if entry.operation in reads and entry.status in (200, 202) and entry.body
    ]
    for path in RECORDINGS.glob("*/*.json"):
        recording = json.loads(path.read_text(encoding="utf-8"))
        texts += [json.dumps(row) for _, _, row in recording.get("timeline", ()) if row]
    for text in texts:
        read = msgspec.json.decode(text, type=list[InstanceRow] | InstanceRow)
        rows = read if isinstance(read, list) else [read]
        yield from (row for row in rows if row.runtime_status == "Failed")


class TestCorpus:
    @pytest.mark.parametrize("failure", CORPUS, ids=lambda f: f"{f.runtime}: {str(f.output)[:60]}")
    def test_the_reason_is_what_the_corpus_says(self, failure: Failure) -> None:
        assert reason(failure.output, failure.orchestrator) == failure.reason

    def test_it_covers_every_runtime_and_category_and_says_where_it_is_from(self) -> None:
        assert len(CORPUS) >= 60
        assert {failure.runtime for failure in CORPUS} == RUNTIMES
        assert {failure.category for failure in CORPUS} == set(Category)
        for failure in CORPUS:
            assert failure.source == "recorded" or failure.source.startswith("composed from ")

    @pytest.mark.parametrize("ensure_ascii", [True, False])
    @pytest.mark.parametrize("failure", CORPUS, ids=lambda f: f"{f.runtime}: {str(f.output)[:60]}")
    def test_text_within_text_as_sql_lists_it_gives_the_same_reason(
        self, failure: Failure, *, ensure_ascii: bool
    ) -> None:
        inner = json.dumps(failure.output, ensure_ascii=ensure_ascii)
        outer = msgspec.Raw(json.dumps(inner, ensure_ascii=ensure_ascii).encode())
        assert reason_of(failure.orchestrator, outer) == failure.reason

    def test_characters_sent_as_they_are_give_the_same_reason_as_escaped_ones(self) -> None:
        for failure in CORPUS:
            plain = json.dumps(failure.output, ensure_ascii=False).encode()
            assert reason_of(failure.orchestrator, msgspec.Raw(plain)) == failure.reason


# What is known of the recorded instances (README of the recordings), by orchestrator and by id.
TRUTH = {
    "CallsFailingEntity": FailureReason(Category.UNHANDLED, "", ""),
    "CallsHttp": FailureReason(Category.UNHANDLED, "", ""),
    "FailsItself": FailureReason(Category.UNHANDLED, "", ""),
    "Flaky": FailureReason(Category.ACTIVITY, "PostLedger", ""),
    "NoSuch": FailureReason(Category.FUNCTION_MISSING, "NoSuch", ""),
    "NoSuchOrchestrator": FailureReason(Category.FUNCTION_MISSING, "NoSuchOrchestrator", ""),
    "Nondeterministic": FailureReason(Category.NON_DETERMINISM, "", ""),
    "OrderSaga": FailureReason(Category.ACTIVITY, "Charge", ""),
    "Retry": FailureReason(Category.ACTIVITY, "Charge", ""),
}
PARENTS = {
    "parent-fails": FailureReason(Category.SUB_ORCHESTRATION, "FailsItself", ""),
    "parent-ok": FailureReason(Category.SERIALIZATION, "", ""),
}


class TestRecordings:
    def test_every_recorded_failure_is_told_as_what_it_was(self) -> None:
        met = set()
        for row in recorded_failures():
            name = row.name or ""
            met.add(row.instance_id if name == "Parent" else name)
            expected = PARENTS[row.instance_id] if name == "Parent" else TRUTH[name]
            assert reason_of(name, row.output) == expected, row.instance_id
        assert met == TRUTH.keys() | PARENTS.keys()

    def test_the_corpus_holds_what_was_recorded(self) -> None:
        recorded = {(row.name, bytes(row.output)) for row in recorded_failures()}
        texts = {(name, msgspec.json.decode(output)) for name, output in recorded}
        ours = {(f.orchestrator, f.output) for f in CORPUS if f.source == "recorded"}
        assert ours <= texts
        assert {name for name, _ in ours} == {name for name, _ in texts}


class TestAnything:
    @given(st.binary())
    @example(b"")
    @example(b'"')
    @example(b'"\\')
    @example(b'"\\ud83d"')
    @example(b'"\xff\xfe"')
    @example(b'{"message":')
    @example(b'{"message":"","details":"')
    def test_any_bytes_give_labels_that_are_fit(self, output: bytes) -> None:
        assert_fit_for_labels(reason_of("OrderSaga", msgspec.Raw(output)))

    @given(JSON_VALUES)
    def test_any_json_gives_labels_that_are_fit(self, output: object) -> None:
        assert_fit_for_labels(reason(output))

    @given(OUTPUTS, st.integers(0, 500), st.integers(0, 40), st.binary(max_size=20))
    def test_a_damaged_output_gives_labels_that_are_fit(
        self, output: object, start: int, length: int, instead: bytes
    ) -> None:
        text = json.dumps(output).encode()
        damaged = text[:start] + instead + text[start + length :]
        assert_fit_for_labels(reason_of("OrderSaga", msgspec.Raw(damaged)))

    @given(st.sampled_from(TEXTS), st.integers(0, 300), st.sampled_from(TEXTS), st.text(max_size=9))
    def test_texts_put_together_give_labels_that_are_fit(
        self, first: str, cut: int, second: str, between: str
    ) -> None:
        assert_fit_for_labels(reason(first[:cut] + between + second))

    @given(OUTPUTS, st.text())
    def test_any_orchestrator_name_does(self, output: object, orchestrator: str) -> None:
        assert_fit_for_labels(reason(output, orchestrator))

    @pytest.mark.parametrize(
        "near",
        [
            "Operation '' of entity '@a@",
            "A.B`1[[A], b, c",
            "Task 'A' (#0",
            "Exception while executing function: ",
            "Path '",
            "Event not received in ",
            "AError: ",
            "Result: \nException: ",
            "The activity function 'A' failed: \"",
            "\\",
            " ",
        ],
    )
    def test_what_nearly_matches_over_and_over_comes_to_an_end(self, near: str) -> None:
        assert_fit_for_labels(reason(own(near * (LOOKED_AT // len(near)))))


class TestNothingOfAMessageIsInALabel:
    @pytest.mark.parametrize("secret", SECRETS)
    @pytest.mark.parametrize(("frame", "expected"), FRAMES)
    def test_ids_numbers_addresses_and_paths_stay_out(
        self, frame: str, expected: FailureReason, secret: str
    ) -> None:
        messages = (secret, f"{secret}: no", f"no funds: {secret}", f"{secret}\n{secret}")
        for message in messages:
            assert reason(frame.format(message)) == expected

    @pytest.mark.parametrize("secret", SECRETS)
    def test_names_of_events_and_keys_of_entities_stay_out(self, secret: str) -> None:
        late = FailureReason(Category.TIMEOUT, "", "")
        assert reason(own(f"Event {secret} not received in 00:00:30")) == late
        found = reason(entity(secret, "no"))
        assert found == FailureReason(Category.ENTITY, "wallet", "")

    @given(st.sampled_from(FRAMES), st.text())
    def test_the_reason_is_the_same_whatever_the_message_goes_on_to_say(
        self, entry: tuple[str, FailureReason], message: str
    ) -> None:
        frame, expected = entry
        message = re.sub(r"[\r\n]", " ", message)
        assert reason(frame.format(f"order {message}")) == expected

    @pytest.mark.parametrize("text", TEXTS)
    def test_frames_inside_a_message_are_part_of_the_message(self, text: str) -> None:
        found = reason(own(activity("Outer", f"could not do it because {text}")))
        assert found == FailureReason(Category.ACTIVITY, "Outer", "")

    @pytest.mark.parametrize("name", [*NO_NAMES, "x" * 129, "4711", "a b", "a;DROP", "__"])
    def test_what_does_not_look_like_a_name_is_no_failed_function(self, name: str) -> None:
        assert reason(own(activity(name, "no"))) == FailureReason(Category.ACTIVITY, "", "")

    @pytest.mark.parametrize(
        "message",
        [
            "Anna: no funds",
            "anna.berg: no funds",
            "Status: 401",
            "order: error",
            "Order4711Error: no",
            "E" * 128 + "Error: no",
            "x7f3c9a521b044d7e9c110a2b3c4d5e6fError: no",
            "not an error: no",
        ],
    )
    def test_a_word_with_a_colon_is_no_type(self, message: str) -> None:
        assert reason(own(activity("Charge", message))).error_type == ""
        assert reason(message).error_type == ""


class TestErrorTypes:
    @pytest.mark.parametrize(
        ("full_name", "expected"),
        [
            ("System.InvalidOperationException", "InvalidOperationException"),
            ("InvalidOperationException", "InvalidOperationException"),
            ("System.Exception", "Exception"),
            ("Error", "Error"),
            ("Contoso.Outer+InnerException", "InnerException"),
            ("com.contoso.Outer$InnerException", "InnerException"),
            ("Contoso.BadException`1[[System.Int32, CoreLib, Version=8.0.0.0]]", "BadException"),
            ("Contoso.BadException`2[System.Int32,System.String]", "BadException"),
            ("asyncio.exceptions.InvalidStateError", "InvalidStateError"),
            ("System.Net.Http2Exception", "Http2Exception"),
            ("grpc._channel._InactiveRpcError", "_InactiveRpcError"),
            ("Contoso.ÜberlaufException", "ÜberlaufException"),
            ("KeyboardInterrupt", "KeyboardInterrupt"),
            ("Microsoft.DurableTask.TaskFailedException", ""),
            ("Microsoft.Azure.WebJobs.FunctionFailedException", ""),
        ],
    )
    def test_they_are_short_names_without_what_is_around_them(
        self, full_name: str, expected: str
    ) -> None:
        assert reason(f"{full_name}: no").error_type == expected
        found = reason(own(f"Activity function 'charge' failed: {full_name}: no"))
        assert found == FailureReason(Category.ACTIVITY, "charge", expected)

    def test_a_message_that_quotes_a_failure_is_a_message_and_an_aggregate_is_opened(self) -> None:
        wrapped = own(activity("Charge", "no"))
        outer = FailureReason(Category.UNHANDLED, "", "WrappedException")
        assert reason(f"Contoso.WrappedException: {wrapped}") == outer
        found = reason("System.AggregateException: One or more errors occurred. (AError: x)")
        assert found.error_type == "AError"
        assert reason(own("AError: x")).error_type == ""

    def test_a_type_within_the_message_of_another_does_not_count(self) -> None:
        assert reason("System.IO.IOException: Error: disk").error_type == "IOException"


class TestPlaces:
    def test_the_outermost_of_nested_quotes_failed(self) -> None:
        found = reason(own(activity("A", activity("B", activity("C", "no")))))
        assert found == FailureReason(Category.ACTIVITY, "A", "")

    def test_a_child_failed_even_where_its_activity_did(self) -> None:
        inner = activity("Charge", "no")
        found = reason(own(f"The orchestrator function 'Child' failed: \"{inner}\"{LOGS}"))
        assert found == FailureReason(Category.SUB_ORCHESTRATION, "Child", "")

    def test_an_orchestrator_may_call_itself(self) -> None:
        found = reason(own("The orchestrator function 'OrderSaga' failed: \"no\""))
        assert found == FailureReason(Category.SUB_ORCHESTRATION, "OrderSaga", "")

    def test_a_task_with_a_task_inside_is_a_sub_orchestration_and_one_alone_is_not(self) -> None:
        assert reason(task("A", "no")).category == Category.ACTIVITY
        nested = FailureReason(Category.SUB_ORCHESTRATION, "A", "")
        assert reason(task("A", task("B", "no"))) == nested
        assert reason(task("A", task("B", task("C", "no")))) == nested
        assert reason(task("A", entity("1", "no"))) == nested

    def test_more_frames_than_anyone_nests_still_name_the_outermost(self) -> None:
        text = "no"
        for depth in range(100, 0, -1):
            text = activity(f"A{depth}", text)
        assert reason(own(text)) == FailureReason(Category.ACTIVITY, "A1", "")

    def test_messages_of_many_lines_are_read_like_any(self) -> None:
        lines = "first\r\n   at A.B() in C:\\a.cs:line 1\nThe activity function 'X' failed: \"no\""
        found = reason(own(activity("Charge", lines)))
        assert found == FailureReason(Category.ACTIVITY, "Charge", "")
        assert reason(own(f"\n\n {activity('Charge', lines)}")) == found

    def test_names_and_messages_may_be_of_any_language(self) -> None:
        found = reason(own(activity("Überweisung_ausführen", "余额不足: ошибка 🙁")))
        assert found == FailureReason(Category.ACTIVITY, "Überweisung_ausführen", "")
        assert reason(own(activity("оплата", "no"))).failed_function == "оплата"

    def test_time_limits_name_the_function_unless_it_is_the_orchestrator_itself(self) -> None:
        limit = "Timeout value of 00:05:00 was exceeded by function: Functions.{}"
        for name, expected in (("Charge", "Charge"), ("OrderSaga", "")):
            found = reason(own(limit.format(name)))
            assert found == FailureReason(Category.TIMEOUT, expected, "")

    def test_what_the_framework_does_not_vouch_for_stays_the_activitys(self) -> None:
        for message in ("System.TimeoutException: late", "Path '', line 1, position 1."):
            assert reason(own(activity("Charge", message))).category == Category.ACTIVITY


class TestLargeOutputs:
    def test_of_a_huge_output_only_the_start_is_looked_at(self) -> None:
        # What follows is no JSON, and no text: whoever decodes it all fails, or needs its size.
        start = json.dumps(own(activity("Charge", "no"))[:-1]).encode()[:-1]
        output = msgspec.Raw(start + b"x" * 50_000_000 + b'\xff\\q"')
        tracemalloc.start()
        try:
            found = reason_of("OrderSaga", output)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert found == FailureReason(Category.ACTIVITY, "Charge", "")
        assert peak < 16 * LOOKED_AT

    @pytest.mark.parametrize("filler", ["x", "ä", "\\", '"', "\n", "🙁", "\u2028", "\ud83d"])
    @pytest.mark.parametrize("layers", [1, 2])
    def test_it_may_be_cut_anywhere(self, filler: str, layers: int) -> None:
        for shift in range(14):
            output = own(activity("Charge", "y" * shift + filler * LOOKED_AT))
            for ensure_ascii in (True, False):
                text = output
                for _ in range(layers):
                    text = json.dumps(text, ensure_ascii=ensure_ascii)
                found = reason_of("OrderSaga", msgspec.Raw(text.encode("utf-8", "replace")))
                assert found == FailureReason(Category.ACTIVITY, "Charge", "")

    def test_a_cut_object_still_tells_what_failed(self) -> None:
        details = (
            "Microsoft.Azure.WebJobs.Host.FunctionInvocationException: Exception while executing "
            "function: Functions.OrderSaga\r\n ---> System.InvalidOperationException: "
        )
        message = "Function 'OrderSaga' failed with an unhandled exception."
        output = {"message": message, "details": details + "x" * LOOKED_AT}
        expected = FailureReason(Category.UNHANDLED, "", "InvalidOperationException")
        assert reason(output) == expected
        assert reason(json.dumps(output)) == expected

    def test_what_stands_behind_the_part_looked_at_does_not_count(self) -> None:
        assert reason(" " * LOOKED_AT + own(activity("Charge", "no"))) == UNKNOWN
