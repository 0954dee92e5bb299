import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.emulator import tokens


class TestToken:
    def test_it_is_the_next_key_and_an_empty_row_key(self) -> None:
        assert tokens.encode("@counter@forwarder") == "QGNvdW50ZXJAZm9yd2FyZGVy "

    def test_keys_escape_what_azure_tables_forbid(self) -> None:
        assert tokens.encode(tokens.partition_key("a#b")) == "YV4yYg== "
        assert tokens.partition_key("^/\\#?\t") == "^^^0^1^2^3^É"

    @given(st.text())
    def test_it_is_understood_with_and_without_its_last_space(self, instance_id: str) -> None:
        key = tokens.partition_key(instance_id)
        token = tokens.encode(key)
        assert tokens.decode(token) == tokens.decode(token.strip()) == (key or None)

    @pytest.mark.parametrize("token", ["", " "])
    def test_an_empty_one_is_the_first_page(self, token: str) -> None:
        assert tokens.decode(token) is None

    @pytest.mark.parametrize("token", ["rubbish", "one two", "one two three", "žluť", "/w=="])
    def test_rubbish_is_behind_the_last_row(self, token: str) -> None:
        assert tokens.decode(token) == tokens.BEYOND_THE_END

    def test_the_null_of_old_extensions_is_a_place_like_any_other(self) -> None:
        assert tokens.decode("bnVsbA==") == "null"
