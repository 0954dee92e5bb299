"""Which files are watched, and that no change goes unseen."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from exporter.settings import exposed_files, fingerprint, watched_files
from tests.certificates import Authority
from tests.settings.configured import URL, load, write


def test_everything_that_the_settings_rest_on_is_watched(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.sign("client", "client.example")
    (tmp_path / "keys").mkdir()
    key, web = write(tmp_path / "key", "k"), write(tmp_path / "web.yml", "")
    settings = load(
        {"KEYS_DIR": str(tmp_path / "keys"), "WEB_CONFIG_FILE": str(web)},
        f"hubs:\n  a: {{url: {URL}, key_file: {key}, tls: {{ca_file: {authority.file}, "
        f"client_cert_file: {pair.cert}, client_key_file: {pair.key}}}}}\n"
        "  b: {url: https://b.example}\n  c: {url: https://c.example, key: k}\n",
        tmp_path,
    )
    assert {path.relative_to(tmp_path).as_posix() for path in watched_files(settings)} == {
        "exporter.yaml", "web.yml", "key", "ca.pem", "client.crt", "client.key", "keys/b",
    }  # fmt: skip


def test_a_hub_cannot_have_files_outside_the_folder_watched(tmp_path: Path) -> None:
    settings = load({"URL": URL, "NAME": "../secret", "KEYS_DIR": str(tmp_path)})
    assert watched_files(settings) == ()


class TestFingerprint:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return write(tmp_path / "file", "one")

    def test_the_same_content_has_the_same(self, path: Path) -> None:
        before = fingerprint([path])
        os.utime(path, (1, 1))
        assert fingerprint([path]) == before

    def test_another_content_of_the_same_size_and_time_is_seen(self, path: Path) -> None:
        os.utime(path, (1, 1))
        before = fingerprint([path])
        write(path, "two")
        os.utime(path, (1, 1))
        assert fingerprint([path]) != before

    def test_a_file_that_goes_and_comes_is_seen(self, path: Path) -> None:
        there = fingerprint([path])
        path.unlink()
        gone = fingerprint([path])
        write(path, "")
        assert len({there, gone, fingerprint([path])}) == 3

    def test_content_that_moves_between_files_is_seen(self, tmp_path: Path) -> None:
        a, b = write(tmp_path / "a", "xy"), write(tmp_path / "b", "z")
        before = fingerprint([a, b])
        write(a, "x")
        write(b, "yz")
        assert fingerprint([a, b]) != before

    def test_a_folder_mounted_anew_by_symbolic_links_is_seen(self, tmp_path: Path) -> None:
        """Kubernetes swaps the link `..data`, not the file's own link."""
        mounted_in(tmp_path, "first", "..2024_1")
        path = tmp_path / "key"
        path.symlink_to("..data/key")
        before = fingerprint([path])
        mounted_in(tmp_path, "second", "..2024_2")
        assert fingerprint([path]) != before


def mounted_in(folder: Path, content: str, name: str) -> None:
    """Swap the content of a mounted secret as Kubernetes does."""
    (folder / name).mkdir()
    write(folder / name / "key", content)
    (folder / "..data_tmp").symlink_to(name)
    (folder / "..data_tmp").rename(folder / "..data")


class TestExposedFiles:
    def test_those_with_a_secret_that_everybody_can_read_are_found(self, tmp_path: Path) -> None:
        pair = Authority(tmp_path).sign("client", "client.example")
        key = write(tmp_path / "a-key", "k7-long-enough")
        settings = load(
            {},
            f"hubs:\n  a: {{url: {URL}, key_file: {key}, tls: {{ca_file: {tmp_path / 'ca.pem'}, "
            f"client_cert_file: {pair.cert}, client_key_file: {pair.key}}}}}\n"
            "  b: {url: https://b.example, key: q7-in-the-file}\n",
            tmp_path,
        )
        secrets = {key, pair.key, tmp_path / "exporter.yaml"}
        for path in tmp_path.iterdir():
            path.chmod(0o644)
        assert set(exposed_files(settings)) == secrets
        for path in secrets:
            path.chmod(0o640)
        assert set(exposed_files(settings)) == set()

    def test_one_that_is_gone_is_not(self, tmp_path: Path) -> None:
        key = write(tmp_path / "a-key", "k7-long-enough")
        settings = load({"URL": URL, "KEY_FILE": str(key)})
        key.unlink()
        assert list(exposed_files(settings)) == []
