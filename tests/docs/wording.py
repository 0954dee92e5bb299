"""
The project's words: what its texts say, and the phrases that they say it instead of.

A pattern is written as text: a space in it is any gap between two words, also the one between two
lines of a comment.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.docs.pages import ROOT, name_of, pages

# What to say; the pattern of what not to say; an example of it.
WORDS = (
    ("continue, proceed, keep firing", r"go(es)? on|went on|gone on", "it goes on"),
    ("stalled", r"makes? no progress|does not go on|instances? hangs?", "it makes no progress"),
    ("as expected", r"as (it is )?(designed|told)", "it waits as designed"),
    (
        "over a limit",
        r"(beyond|past) ((a|an|any|its|their|your|the|that|one) )?(default )?limits?",
        "beyond its default limit",
    ),
    ("blocked by, blocking chain", r"held up|holds? \w+ up|what holds", "what holds it up"),
    ("blocked instances", r"victims?", "its victims"),
    (
        "finished, but still listed as Running",
        r"(ended|finished) by (its|their) histor(y|ies)|finished in history",
        "has ended by its history",
    ),
    (
        "never started, not started yet",
        r"wait(s|ed|ing)? (\w+ ){0,3}(to be started|for (its|their) starts?)",
        "instances wait to be started",
    ),
    ("stale, removed after", r"too old|withdrawn?|withdraws|withdrew", "it is withdrawn"),
    ("full listing (census)", r"whole (sweep|listing|census)s?", "a whole listing"),
    ("tracked instance", r"li(fe|ves) of (a|an|the|its|all) instances?", "the life of an instance"),
    ("first contact, new baseline", r"(begins?|began|begun) (anew|again)", "it began anew"),
    ("again, re-", r"anew", "written anew"),
    ("restart, reload", r"(takes?|took|taken) up(?! to)", "it takes up the file"),
    ("fix, resolve", r"mend(s|ed|ing)?", "mend it"),
    ("show, report; configured", r"tells?|told|telling", "it tells whether"),
    (
        "report, log, print",
        r"(is|are|was|were|be) said|said (once|in|by|at|on|to be)",
        "it is said once",
    ),
    ("check, examine, diagnose, poll", r"(is|are|was|be|still) looked at", "it is looked at"),
    ("tolerate, limit", r"bears?|borne", "how much is borne"),
    ("status page", r"pages? for people", "the page for people"),
    ("the verb itself: allow, wait, have", r"lets?|letting", "let it run"),
    ("need", r"wants?(?! to)|in want of", "the test wants Helm"),
    (
        "be, come",
        r"st(ands?|ood) (beside|behind|still|in|there|before|under|below|at|on|as|with|open)",
        "it stands in the page",
    ),
    ("next to, together with", r"beside", "the text beside it"),
    ("who, which", r"whom|whoever", "whoever reads it"),
    ("permanently, indefinitely", r"for ever|for good", "locked for ever"),
    ("recently", r"lately", "failed lately"),
    (
        "suppress, inhibit",
        r"(held|holds?|holding) ((it|them|those|these|the rest|the others) )?back",
        "it holds back the rest",
    ),
    ("keep the previous one", r"(stays?|stayed|is|are) in force", "it stays in force"),
)

_GAP = r"(?:\s+(?:#\s+)?|\s*\n\s*(?:[>-]\s+)?)"
PATTERNS = {
    say: re.compile(rf"\b(?:{avoided.replace(' ', _GAP)})\b", re.IGNORECASE)
    for say, avoided, _ in WORDS
}
_CODE = re.compile(r"(?<!`)`[^`]{1,200}`(?!`)|\]\([^)\s]+\)|\bhttps?://\S+|\b\w+(?:\.\w+)+\b")


@dataclass(frozen=True, slots=True)
class Hit:
    """A phrase to replace: where it is, what to say, and the words around it."""

    place: str
    say: str
    phrase: str
    around: str

    def __str__(self) -> str:
        return f"{self.place}: say {self.say!r}, not {self.phrase!r}: ...{self.around}..."


def hits_of(text: str, place: str, first_line: int = 1) -> Iterator[Hit]:
    """Yield what *text* says in other words than those of `WORDS`; code in it is none."""
    text = _CODE.sub(lambda code: " " * len(code[0]), text)
    for say, pattern in PATTERNS.items():
        for found in pattern.finditer(text):
            line = first_line + text.count("\n", 0, found.start())
            around = text[max(found.start() - 60, 0) : found.end() + 60]
            yield Hit(f"{place}:{line}", say, " ".join(found[0].split()), " ".join(around.split()))


def strings_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines and texts of the strings of a module that are no docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    passed: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            passed.add(id(node.value))
        elif isinstance(node, ast.JoinedStr):
            passed.update(map(id, node.values))
            yield (
                node.lineno,
                "".join(
                    str(part.value) if isinstance(part, ast.Constant) else "{}"
                    for part in node.values
                ),
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from () if id(node) in passed else ((node.lineno, node.value),)


CHANGELOG = ROOT / "CHANGELOG.md"
_CHART = ROOT / "helm" / "durable-functions-exporter"
_PLAIN = (
    *(ROOT / "exporter" / "web" / "templates").glob("*.html"),
    *(
        _CHART / name
        for name in ("values.yaml", "Chart.yaml", "templates/NOTES.txt", "templates/_checks.tpl")
    ),
    ROOT / "helm" / "introduction.md",
    ROOT / "compose.yaml",
    *(ROOT / "compose").rglob("*.y*ml"),
    ROOT / "Makefile",
)
_MODULES = ("exporter", "grafana", "helm")


def files() -> list[str]:
    """Return the names of all files with texts that users read: pages, comments, messages."""
    modules = (module for folder in _MODULES for module in (ROOT / folder).rglob("*.py"))
    return sorted(map(name_of, (*pages(), *_PLAIN, CHANGELOG, *modules)))


def texts_of(name: str) -> list[tuple[int, str]]:
    """Return the lines and texts of a file that users read: of a module, its strings."""
    path = ROOT / name
    if path.suffix == ".py":
        return [*strings_of(path)]
    text = path.read_text(encoding="utf-8")
    return [(1, text.partition("\n## [")[0] if path == CHANGELOG else text)]
