"""Shell as pages use it, as the commands that it would run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.docs.pages import Block

SHELLS = ("sh", "bash", "shell", "console")

_HEREDOC = re.compile(r"<<-?\s*['\"]?(\w+)['\"]?(.*?)\n.*?^\s*\1$", re.DOTALL | re.MULTILINE)
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_SUBSTITUTION = re.compile(r"(?<!\\)\$\(([^()]*)\)")
_SEPARATORS = frozenset("\n;&|")
_PREFIXES = frozenset({"do", "then", "else", "if", "while", "until", "!", "{", "time", "exec"})
_ENDS = frozenset({"done", "fi", "}", "esac"})


@dataclass(slots=True)
class Command:
    """A simple command: its words, and what it assigns to the environment."""

    words: list[str] = field(default_factory=list)
    assigned: dict[str, str] = field(default_factory=dict)


def typed(block: Block) -> str:
    """Return what a reader types: of a session, what stands at its prompts."""
    if block.language != "console":
        return block.text
    prompted = (line for line in block.text.splitlines() if line.startswith(("$ ", "> ")))
    return "".join(f"{line[2:]}\n" for line in prompted)


def commands_of(script: str, *, inner: bool = True) -> list[Command]:
    """Return the simple commands of a script, those in substitutions first if *inner*."""
    script = _HEREDOC.sub(r"\2", script.replace("\\\n", " "))
    script = "\n".join(map(_without_comment, script.splitlines()))
    found: list[Command] = []
    while part := _SUBSTITUTION.search(script):
        found += commands_of(part[1]) if inner else []
        script = script[: part.start()] + "SUBSTITUTED" + script[part.end() :]
    return found + [command for words in _simple(script) if (command := _command(words))]


def _without_comment(line: str) -> str:
    for found in re.finditer(r"(?:^|\s)#", line):
        before = line[: found.start()]
        if before.count("'") % 2 == 0 and before.count('"') % 2 == 0:
            return before
    return line


def _simple(script: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(script, posix=True, punctuation_chars=";&|()<>\n")
    lexer.whitespace = " \t\r"
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] = []
    redirected = False
    for token in lexer:
        if "<" in token or ">" in token:
            if set(token) <= set("<>&|"):
                redirected = True
                if words and words[-1].isdigit():
                    words.pop()
            else:
                words.append(token)
        elif set(token) <= _SEPARATORS:
            yield words
            words = []
        elif redirected:
            redirected = False
        elif token not in ("(", ")"):
            words.append(token)
    yield words


def _command(words: list[str]) -> Command | None:
    while words and words[0] in _PREFIXES:
        words = words[1:]
    if not words or words[0] in _ENDS or words[0] in ("for", "case"):
        return None
    command = Command()
    if words[0] == "export":
        words = words[1:]
    while words and (assignment := _ASSIGNMENT.fullmatch(words[0])):
        command.assigned[assignment[1]] = assignment[2]
        words = words[1:]
    command.words = words
    return command
