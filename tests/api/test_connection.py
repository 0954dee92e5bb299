"""What the connections of a hub rest on, when settings and files change."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.api.connection import HostSlots, _tls_context
from exporter.api.keys import KeyFile
from exporter.settings import fingerprint
from tests.certificates import Authority
from tests.settings.configured import load

pytestmark = pytest.mark.anyio


class TestHostSlots:
    async def test_hubs_of_one_host_share_them_in_the_number_of_the_first(self) -> None:
        slots = HostSlots()
        first = slots.of("https://a.example/x", 3)
        assert slots.of("https://a.example/y", 5) is first
        assert first.total_tokens == 3
        assert slots.of("https://b.example/x", 5) is not first

    async def test_other_settings_change_the_number_for_those_who_have_them(self) -> None:
        slots = HostSlots()
        of_a, of_b = slots.of("https://a.example", 4), slots.of("https://b.example", 4)
        slots.arrange(load({"HUBS__A__URL": "https://a.example", "HOST_REQUESTS": "2"}).hubs)
        assert slots.of("https://a.example", 9) is of_a
        assert of_a.total_tokens == 2
        assert slots.of("https://b.example", 4) is not of_b


class TestKeyFile:
    @pytest.mark.parametrize("content", ["", " \n", "two\nlines", "\N{SNOWMAN}", "nul\0"])
    def test_what_cannot_be_a_key_leaves_it_as_it_was(self, tmp_path: Path, content: str) -> None:
        path = tmp_path / "key"
        path.write_text("good")
        key = KeyFile(path)
        path.write_text(content, encoding="utf-8")
        assert not key.reread()
        assert key.current() == "good"

    def test_bytes_that_are_no_text_leave_it_as_it_was(self, tmp_path: Path) -> None:
        path = tmp_path / "key"
        path.write_text("good")
        key = KeyFile(path)
        path.write_bytes(b"\xff\xfe")
        assert not key.reread()
        path.unlink()
        assert not key.reread()
        assert key.current() == "good"


def test_another_authority_in_the_same_file_makes_another_context(tmp_path: Path) -> None:
    path = Authority(tmp_path).file

    def context() -> object:
        return _tls_context(path, None, None, fingerprint([path]))

    first = context()
    assert context() is first
    Authority(tmp_path)
    assert context() is not first
