"""The configuration file: YAML, read strictly."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path

import yaml

from exporter.settings.schema import SettingPath
from exporter.settings.sources import Source


class ConfigFile(Source):
    """A YAML file; *said_by* is where its name stands. Without one it is empty."""

    def __init__(self, path: str | None, said_by: str) -> None:
        super().__init__()
        self._path = path or ""
        if path is not None:
            self.complete = self._read(Path(path), said_by)

    def spell(self, path: SettingPath) -> str:
        """Return where *path* stands in the file."""
        return f"{self._path}: {'.'.join(path)}"

    def _read(self, path: Path, said_by: str) -> bool:
        """Take what the file says; False if it cannot be read as a whole."""
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            reason = error.strerror or "no reason given"
            self.complain(
                said_by, f"names {self._path!r}, which cannot be read ({reason}): correct the path"
            )
        except UnicodeDecodeError:
            self.complain(self._path, "is not UTF-8 text: save it as UTF-8")
        else:
            try:
                return self._parse(text)
            except RecursionError:
                self.tree = {}
                self.complain(self._path, "is nested too deeply, or in itself: make it flat")
        return False

    def _parse(self, text: str) -> bool:
        try:
            loader = _StrictLoader(text)
            content = loader.get_single_data()
        except yaml.YAMLError as error:
            self.complain(self._path, f"is not YAML ({_reason(error)}): correct it there")
            return False
        for line, message in loader.problems:
            self.complain(f"{self._path}: line {line}", message)
        if content is not None and not isinstance(content, dict):
            self.complain(self._path, "is not a mapping: write settings as name: value")
            return False
        self._take(content or {})
        return True

    def _take(self, content: dict[str, object]) -> None:
        if "config_file" in content:
            self.complain(self.spell(("config_file",)), "is this file itself: remove it")
            del content["config_file"]
        self.put((), content, self._path)


class _StrictLoader(yaml.SafeLoader):
    """Notes keys that are not text and keys that come twice in `problems`, with their lines."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.problems: list[tuple[int, str]] = []

    def construct_object(self, node: yaml.Node, deep: bool = False) -> object:
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, LookupError, AttributeError):
            raise yaml.constructor.ConstructorError(
                problem="a value does not fit its type", problem_mark=node.start_mark
            ) from None

    def construct_mapping(
        self, node: yaml.MappingNode, deep: bool = False
    ) -> dict[Hashable, object]:
        seen: set[str] = set()
        kept = []
        for key, value in node.value:
            problem = _problem_of(key, seen)
            if problem is None:
                kept.append((key, value))
            else:
                self.problems.append((key.start_mark.line + 1, problem))
        node.value = kept
        return super().construct_mapping(node, deep=deep)


def _problem_of(key: yaml.Node, seen: set[str]) -> str | None:
    """Say what is wrong with a key, and note it as seen; None if it can be used."""
    if key.tag == "tag:yaml.org,2002:merge":
        return None
    if key.tag != "tag:yaml.org,2002:str" or not isinstance(key, yaml.ScalarNode):
        return "a key is not text: put it in quotes"
    if key.value in seen:
        return f"the key {key.value!r} stands here a second time: remove one of the two"
    seen.add(key.value)
    return None


def _reason(error: yaml.YAMLError) -> str:
    """Return line and reason without the text around them, which may hold a key."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return "it holds characters that YAML does not allow"
