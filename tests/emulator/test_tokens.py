import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator import ExtensionVersion
from emulator.api import TokenUnreadable
from emulator.backends.azure_storage import decode_token, encode_token
from emulator.storage.table import BEYOND_THE_END, partition_key

V2 = ExtensionVersion.V2


class TestToken:
    def test_it_is_the_next_key_and_an_empty_row_key(self) -> None:
        assert encode_token("@counter@forwarder") == "QGNvdW50ZXJAZm9yd2FyZGVy "

    def test_keys_escape_what_azure_tables_forbid(self) -> None:
        assert encode_token(partition_key("a#b")) == "YV4yYg== "
        assert partition_key("^/\\#?\t") == "^^^0^1^2^3^É"

    @given(st.text())
    def test_it_is_understood_with_and_without_its_last_space(self, instance_id: str) -> None:
        key = partition_key(instance_id)
        token = encode_token(key)
        assert decode_token(token) == decode_token(token.strip()) == (key or None)

    @pytest.mark.parametrize("token", ["", " "])
    def test_an_empty_one_is_the_first_page(self, token: str) -> None:
        assert decode_token(token) is None

    @pytest.mark.parametrize("token", ["rubbish", "one two", "one two three", "žluť", "/w=="])
    def test_rubbish_is_behind_the_last_row(self, token: str) -> None:
        assert decode_token(token) == BEYOND_THE_END

    def test_the_null_of_old_extensions_is_a_place_like_any_other(self) -> None:
        assert decode_token("bnVsbA==") == "null"


class TestTokenOfV2:
    def test_it_is_a_json_object_in_base64(self) -> None:
        assert base64.b64decode(encode_token("@counter@forwarder", V2)) == (
            b'{"NextPartitionKey":"QGNvdW50ZXJAZm9yd2FyZGVy","NextRowKey":"",'
            b'"NextTableName":null,"TargetLocation":0}'
        )

    @given(st.text())
    def test_it_leads_to_its_key(self, key: str) -> None:
        assert decode_token(encode_token(key, V2), V2) == key

    @pytest.mark.parametrize("value", ["", " ", "null", "{}", "[]", '{"NextPartitionKey":null}'])
    def test_one_that_names_no_key_is_the_first_page(self, value: str) -> None:
        token = base64.b64encode(value.encode()).decode() if value.strip() else value
        assert decode_token(token, V2) is None

    @pytest.mark.parametrize("token", ["rubbish", "one two", "žluť", "/w==", "b29wcw=="])
    def test_rubbish_is_an_error(self, token: str) -> None:
        with pytest.raises(TokenUnreadable, match="not a valid Base-64 string"):
            decode_token(token, V2)

    def test_a_key_that_is_rubbish_is_behind_the_last_row(self) -> None:
        token = base64.b64encode(b'{"NextPartitionKey":"rubbish"}').decode()
        assert decode_token(token, V2) == BEYOND_THE_END
