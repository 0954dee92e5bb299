import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator import times
from emulator.api import ArgumentInvalid
from emulator.backends.azure_storage import AzureStorage
from emulator.http.parameters import Parameters, entity_query, instance_query
from emulator.storage.table import InstanceQuery

NOW = 1_800_000_000.75  # 2027-01-15T08:00:00.75Z
MIDNIGHT = 1_799_971_200.0


class TestParameters:
    @pytest.mark.parametrize(
        ("query", "value"),
        [
            ("top=5", "5"),
            ("TOP=5", "5"),
            ("%20top+=+5%20", "5"),
            ("top=2&top=3", "2,3"),
            ("top=", ""),
            ("top", ""),
            ("other=5", None),
            ("top=a+b%2Bc", "a b+c"),
        ],
    )
    def test_a_value_is_found_by_name_in_any_spelling(self, query: str, value: str | None) -> None:
        assert Parameters(query).text("top") == value

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("5", 5),
            ("+5", 5),
            ("-1", -1),
            ("2147483647", 2147483647),
            ("2147483648", 100),
            ("99999999999", 100),
            ("9" * 5000, 100),
            ("0" * 5000 + "7", 7),
            ("1.5", 100),
            ("1_0", 100),
            ("٣", 100),
            ("abc", 100),
            ("", 100),
            ("2&top=3", 100),
        ],
    )
    def test_top_is_a_32_bit_number_or_the_default(self, text: str, value: int) -> None:
        assert instance_query(Parameters(f"top={text}"), NOW).top == value

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("true", True),
            ("TRUE", True),
            ("false", False),
            ("FaLsE", False),
            ("0", True),
            ("no", True),
            ("", True),
            ("false&showInput=false", True),
        ],
    )
    def test_a_boolean_is_a_word_in_any_letter_case(self, text: str, *, shown: bool) -> None:
        assert instance_query(Parameters(f"showInput={text}"), NOW).show_input is shown

    @pytest.mark.parametrize(
        ("query", "statuses"),
        [
            ("", None),
            ("runtimeStatus=Running", {"Running"}),
            ("runtimeStatus=Running,Failed", {"Running", "Failed"}),
            ("runtimeStatus=Running&runtimeStatus=Failed", {"Running", "Failed"}),
            ("runtimeStatus=%20Suspended%20", {"Suspended"}),
            ("runtimeStatus=running", None),
            ("runtimeStatus=Bogus", None),
            ("runtimeStatus=", None),
            ("runtimeStatus=Bogus,Failed", {"Failed"}),
            ("runtimeStatus=0", {"Running"}),
            ("runtimeStatus=3", {"Failed"}),
            ("runtimeStatus=7", {"Suspended"}),
            ("runtimeStatus=99", {"99"}),
            ("runtimeStatus=99999999999", None),
        ],
    )
    def test_what_is_no_status_is_dropped(self, query: str, statuses: set[str] | None) -> None:
        assert instance_query(Parameters(query), NOW).statuses == statuses

    @pytest.mark.parametrize("item", ["Unknown", "-1", "Running,Unknown"])
    def test_the_unknown_status_is_an_error(self, item: str) -> None:
        with pytest.raises(ArgumentInvalid, match="'Unknown' was not found"):
            instance_query(Parameters(f"runtimeStatus={item}"), NOW)

    @pytest.mark.parametrize(
        ("text", "time"),
        [
            ("2027-01-15T08:00:00Z", 1_800_000_000.0),
            ("2027-01-15t08:00:00z", 1_800_000_000.0),
            ("2027-01-15T08:00:00.1234567Z", 1_800_000_000.1234567),
            ("2027-01-15T10:00:00%2B02:00", 1_800_000_000.0),
            ("2027-01-15T08:00:00", 1_800_000_000.0),
            ("2027-01-15+08:00:00Z", 1_800_000_000.0),
            ("2027-01-15T08:00", 1_800_000_000.0),
            ("2027-01-15", MIDNIGHT),
            ("10:00", MIDNIGHT + 36_000),
            ("Fri,%2015%20Jan%202027%2008:00:00%20GMT", 1_800_000_000.0),
            ("1969-12-31T23:59:59.5Z", -0.5),
            ("0001-01-01T00:00:00Z", -62_135_596_800.0),
            ("2027-01-15T08:00:00+00:00", None),
            ("1700000000", None),
            ("yesterday-ish", None),
            ("", None),
            ("2027-02-30", None),
            ("25:00", None),
            ("2027-01-15T08:00:00Z&createdTimeFrom=2027-01-15T08:00:00Z", None),
        ],
    )
    def test_a_time_is_read_or_ignored(self, text: str, time: float | None) -> None:
        assert instance_query(Parameters(f"createdTimeFrom={text}"), NOW).created_from == time

    def test_entity_classes_are_lower_case(self) -> None:
        query = entity_query(Parameters("fetchState=True&lastOperationTimeTo=x"), "Counter", NOW)
        assert (query.class_name, query.fetch_state, query.operated_to) == ("counter", True, None)

    def test_parameters_can_be_left_out_in_any_letter_case(self) -> None:
        parameters = Parameters("runtimeStatus=Failed&top=3").without("RUNTIMESTATUS")
        assert (parameters.text("runtimeStatus"), parameters.text("top")) == (None, "3")


class TestInputsShown:
    @pytest.mark.parametrize(
        ("query", "shown"),
        [
            ("", True),
            ("showInput=false", True),
            ("showInput=false&top=3", True),
            ("showInput=false&runtimeStatus=bogus", True),
            ("showInput=false&instanceIdPrefix=", False),
            ("showInput=false&runtimeStatus=Running", False),
            ("showInput=false&createdTimeFrom=2000-01-01T00:00:00Z", False),
            ("createdTimeFrom=2000-01-01T00:00:00Z", True),
        ],
    )
    def test_inputs_are_left_out_only_of_filtered_listings(
        self, query: str, *, shown: bool
    ) -> None:
        assert AzureStorage().shows_inputs(instance_query(Parameters(query), NOW)) is shown

    def test_an_id_prefix_alone_needs_no_scan(self) -> None:
        assert not InstanceQuery(id_prefix="order-").scanning
        assert InstanceQuery(id_prefix="order-", created_to=NOW).scanning


class TestTimesAsText:
    def test_whole_seconds_are_cut(self) -> None:
        assert times.whole_seconds(NOW) == "2027-01-15T08:00:00Z"

    @pytest.mark.parametrize(
        ("fraction", "text"), [(0.0, "Z"), (0.5, ".5Z"), (0.25, ".25Z"), (0.0625, ".0625Z")]
    )
    def test_precise_times_trim_zeros(self, fraction: float, text: str) -> None:
        assert times.precise(1_800_000_000 + fraction) == f"2027-01-15T08:00:00{text}"

    def test_a_time_with_an_offset_has_no_z(self) -> None:
        assert times.precise_with_offset(NOW) == "2027-01-15T08:00:00.75+00:00"

    @given(st.floats(min_value=1e9, max_value=3e9))
    def test_a_precise_time_is_read_back_unchanged(self, time: float) -> None:
        assert times.parse(times.precise(time), NOW) == time
