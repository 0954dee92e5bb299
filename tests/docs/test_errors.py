"""docs/logs.md tells of every class of error, every kind and reason, and of nothing else."""

from __future__ import annotations

import ast
import re
import ssl
from collections.abc import Iterator

import httpx
import pytest

from exporter.api.classify import Failures
from exporter.api.errors import ApiError, ErrorKind
from exporter.collector.state import StateProblem
from tests.docs.pages import ROOT

PAGE = (ROOT / "docs" / "logs.md").read_text(encoding="utf-8").partition("\n## Errors\n")[2]
# Errors that never leave the package: of the server that the emulator is, and of its engine.
INSIDE = {
    "emulator/api.py", "emulator/engine/failures.py:NonDeterministic",
    "emulator/engine/failures.py:FunctionMissing", "emulator/storage/history.py:HistoryRefused",
    "emulator/azure/resource_manager.py:QueryInvalid",
    "exporter/web/overload.py", "exporter/web/passwords.py",
}  # fmt: skip
BASES = {"Exception", "ValueError", "RuntimeError", "OSError"}


def untrusted() -> ssl.SSLError:
    error = ssl.SSLError(1, "certificate verify failed")
    error.reason = "CERTIFICATE_VERIFY_FAILED"
    return error


FAILED = Failures(hub="orders", operation="listInstances")
SITUATIONS = {
    "a slow answer": FAILED.of_exception(TimeoutError(), 60),
    "a closed port": FAILED.of_exception(httpx.ConnectError("refused"), 60),
    "a strange certificate": FAILED.of_exception(untrusted(), 60),
    "a proxy": FAILED.of_exception(httpx.ProxyError("407"), 60),
    "a cut answer": FAILED.of_exception(httpx.RemoteProtocolError("cut"), 60),
    "401": FAILED.of_status(401, {}, b""),
    "403": FAILED.of_status(403, {}, b""),
    "403 as a page": FAILED.of_status(403, {}, b"<html>"),
    "403 of a stopped app": FAILED.of_status(403, {}, b"<html>This web app is stopped.</html>"),
    "404": FAILED.of_status(404, {}, b""),
    "429": FAILED.of_status(429, {}, b""),
    "503": FAILED.of_status(503, {}, b""),
    "302": FAILED.of_status(302, {}, b""),
    "a large answer": FAILED.too_large(1000),
    "many pages": FAILED.truncated("it has many pages"),
    "a long sweep": FAILED.too_slow("it takes long"),
    "a dropped filter": FAILED.dropped_filter("runtimeStatus"),
}


def classes() -> Iterator[str]:
    """Yield the names of all classes of errors that users may meet."""
    known = {*BASES, "ApiError", "ProtocolError"}
    for path in sorted([*(ROOT / "exporter").rglob("*.py"), *(ROOT / "emulator").rglob("*.py")]):
        where = path.relative_to(ROOT).as_posix()
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if not isinstance(node, ast.ClassDef) or node.name.startswith("_"):
                continue
            bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
            if bases & known and not {where, f"{where}:{node.name}"} & INSIDE:
                yield node.name


def first_cells() -> list[str]:
    return re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)


def rows_of(error: ApiError) -> list[str]:
    start = f"| `{type(error).__name__}` | `{error.kind}` |"
    return [row for row in PAGE.splitlines() if row.startswith(start)]


def test_every_class_stands_there_and_no_other() -> None:
    named = set(first_cells()) - {each.value for each in StateProblem}
    assert len(named) > 8
    assert named | {"ApiError", "StateNotWritten", "StateUnusable"} == set(classes())
    assert all(f"`{name}`" in PAGE for name in classes())


def test_every_kind_stands_there() -> None:
    assert {kind for kind in ErrorKind if f"| `{kind}` |" not in PAGE} == set()


def test_every_reason_of_a_state_stands_there_and_no_other() -> None:
    section = PAGE.split("### State")[1].split("\n### ")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == [
        problem.value for problem in StateProblem
    ]


@pytest.mark.parametrize("error", SITUATIONS.values(), ids=SITUATIONS)
def test_what_is_said_stands_in_a_row_of_its_class_and_kind(error: ApiError) -> None:
    assert rows_of(error), "no row of this class and kind"
    quoted = [said for row in rows_of(error) for said in re.findall(r"`([^`]+)`", row)[2:]]
    patterns = [re.escape(said).replace(r"\.\.\.", ".*") for said in quoted]
    is_in_words = any(
        "a listing had more" in row or "a sweep took" in row for row in rows_of(error)
    )
    assert is_in_words or any(re.match(pattern, error.reason) for pattern in patterns)


@pytest.mark.parametrize("error", SITUATIONS.values(), ids=SITUATIONS)
def test_what_is_tried_again_is_marked_so(error: ApiError) -> None:
    rows = [row for row in rows_of(error) if error.reason[:20] in row] or rows_of(error)
    assert any(("*again*" in row) == error.retryable for row in rows)
