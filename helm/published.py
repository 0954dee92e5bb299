"""
The chart as published.

The repository does not name its publisher: home, sources, maintainers, icon and links come from the
repository's URL at release, the image from its registry.
"""

from __future__ import annotations

import gzip
import posixpath
import re
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

CHART = Path(__file__).with_name("durable-functions-exporter")

_IN_REPOSITORY = f"helm/{CHART.name}"
# Links that leave the chart; patterns in the schema look like other links.
_RELATIVE = re.compile(r"\]\(((?:\.\./)+[^()\s]+)\)")
_LINKED = ("README.md", "values.yaml", "values.schema.json")


@dataclass(frozen=True, slots=True)
class Publication:
    """The repository's URL, the release's tag, and the image's name without a tag."""

    repository: str
    revision: str
    image: str

    def about(self) -> str:
        """Return the additional lines of `Chart.yaml`."""
        version = self.revision.removeprefix("v")
        owner = self.repository.rsplit("/", 2)[1]
        return f"""\
home: {self.repository}
icon: {self.repository}/raw/{self.revision}/exporter/web/assets/icon.svg
sources:
  - {self.repository}
maintainers:
  - name: {owner}
    url: {self.repository.rpartition("/")[0]}
annotations:
  artifacthub.io/category: monitoring-logging
  artifacthub.io/license: Apache-2.0
  artifacthub.io/images: |
    - name: {CHART.name}
      image: {self.image}:{version}
  artifacthub.io/links: |
    - name: Documentation
      url: {self.repository}/blob/{self.revision}/docs/kubernetes.md
    - name: Upgrading
      url: {self.repository}/blob/{self.revision}/docs/upgrading.md
    - name: Changelog
      url: {self.repository}/blob/{self.revision}/CHANGELOG.md
"""

    def linked(self, text: str) -> str:
        """Return a text with relative links replaced by links to the repository."""

        def absolute(found: re.Match[str]) -> str:
            path = posixpath.normpath(posixpath.join(_IN_REPOSITORY, found[1]))
            return f"]({self.repository}/blob/{self.revision}/{path})"

        return _RELATIVE.sub(absolute, text)


def publish(folder: Path, publication: Publication) -> None:
    """Write the chart to *folder*, which must not exist."""
    shutil.copytree(CHART, folder, ignore=shutil.ignore_patterns("ci", ".helmignore"))
    for name in _LINKED:
        path = folder / name
        path.write_text(publication.linked(path.read_text(encoding="utf-8")), encoding="utf-8")
    values = folder / "values.yaml"
    text = values.read_text(encoding="utf-8")
    default = f"  repository: {CHART.name}\n"
    values.write_text(_replaced(text, default, f"  repository: {publication.image}\n"))
    about = folder / "Chart.yaml"
    head, _, _ = about.read_text(encoding="utf-8").partition("annotations:\n")
    about.write_text(head + publication.about(), encoding="utf-8")


def _replaced(text: str, old: str, new: str) -> str:
    if text.count(old) != 1:
        raise ValueError(f"values.yaml does not have {old.strip()!r} once")
    return text.replace(old, new)


def pack(folder: Path, package: Path, epoch: int) -> None:
    """Write the package of a chart as `helm package` does, with one time for all files."""

    def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.mtime, entry.mode = epoch, 0o644
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        return entry

    files = sorted(path for path in folder.rglob("*") if path.is_file())
    with (
        package.open("wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=epoch) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for path in files:
            name = path.relative_to(folder.parent)
            archive.add(path, arcname=name, recursive=False, filter=plain)
