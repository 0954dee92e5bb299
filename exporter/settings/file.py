"""The configuration file: YAML, read strictly."""

from __future__ import annotations

from pathlib import Path

from exporter.settings.problems import shown_name
from exporter.settings.schema import SettingPath
from exporter.settings.sources import Source
from exporter.settings.strict_yaml import NotYaml, read_yaml

# The settings that are paths: they are relative to the file.
PATHS: tuple[SettingPath, ...] = (
    ("web_config_file",), ("state_dir",), ("key_file",), ("keys_dir",),
    ("tls", "ca_file"), ("tls", "client_cert_file"), ("tls", "client_key_file"),
)  # fmt: skip


class ConfigFile(Source):
    """
    A YAML file; *said_by* is where its name stands. Without one it is empty.

    Paths in it are relative to its own folder.
    """

    def __init__(self, path: str | None, said_by: str) -> None:
        super().__init__()
        self._path = path or ""
        if path is not None:
            self.complete = self._read(Path(path), said_by)

    def spell(self, path: SettingPath) -> str:
        """Return where *path* stands in the file."""
        return f"{self._path}: {'.'.join(map(shown_name, path))}"

    def propose(self, path: SettingPath) -> str:
        """Return where *path* stands in it, without the name of the file."""
        return ".".join(path)

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
            return self._parse(text)
        return False

    def _parse(self, text: str) -> bool:
        try:
            content, problems = read_yaml(text)
        except NotYaml as error:
            self.complain(self._path, str(error))
            return False
        for line, message in problems:
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
        hubs = self.tree.get("hubs")
        for group in (self.tree, *(hubs.values() if isinstance(hubs, dict) else ())):
            for path in PATHS:
                _place_below(Path(self._path).parent, group, path)


def _place_below(folder: Path, group: object, path: SettingPath) -> None:
    """Make the path that stands at *path* in a group one below *folder*, if it is relative."""
    *outer, name = path
    for part in outer:
        group = group.get(part) if isinstance(group, dict) else None
    if isinstance(group, dict) and isinstance(said := group.get(name), str) and said.strip():
        group[name] = str(folder / said)
