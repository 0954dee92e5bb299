"""Files that the connections of a hub rest on, when they change."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.api.connection import _tls_context
from exporter.api.keys import KeyFile
from exporter.settings import fingerprint
from tests.certificates import Authority


class TestKeyFile:
    @pytest.mark.parametrize("content", ["", " \n", "two\nlines", "\N{SNOWMAN}", "nul\0"])
    def test_what_cannot_be_a_key_leaves_it_as_it_was(self, tmp_path: Path, content: str) -> None:
        path = tmp_path / "key"
        path.write_text("good")
        key = KeyFile(path)
        path.write_text(content, encoding="utf-8")
        assert not key.reread()
        assert key.key == "good"

    def test_bytes_that_are_no_text_leave_it_as_it_was(self, tmp_path: Path) -> None:
        path = tmp_path / "key"
        path.write_text("good")
        key = KeyFile(path)
        path.write_bytes(b"\xff\xfe")
        assert not key.reread()
        path.unlink()
        assert not key.reread()
        assert key.key == "good"


def test_another_authority_in_the_same_file_makes_another_context(tmp_path: Path) -> None:
    path = Authority(tmp_path).file

    def context() -> object:
        return _tls_context(path, None, None, fingerprint([path]))

    first = context()
    assert context() is first
    Authority(tmp_path)
    assert context() is not first
