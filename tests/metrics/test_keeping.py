"""What is written once, kept, and put together."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.collector.snapshot import HubSnapshot, Sweep
from exporter.ledger.snapshot import FinishedInstance
from exporter.metrics.exposition import Body, Choice, Exposition, read
from exporter.metrics.family import Series
from exporter.metrics.lines import Format
from tests.ledger.world import NOW
from tests.metrics.snapshots import busy_snapshot

LATER = NOW + 600.0
MUCH_LATER = NOW + 1e6
HUBS = [busy_snapshot(name) for name in ("billing", "orders", "shipping")]


def text(
    exposition: Exposition, hubs: list[HubSnapshot], now: float, form: Format = Format.CLASSIC
) -> bytes:
    return exposition.body(hubs, now, form).text


class TestKeeping:
    def test_a_hub_is_written_once_per_publication(self, monkeypatch: pytest.MonkeyPatch) -> None:
        written: list[str] = []

        def noted(
            snapshot: HubSnapshot, *, exemplars: bool
        ) -> Mapping[Sweep | None, Sequence[Series]]:
            written.append(snapshot.identity.name)
            return read(snapshot, exemplars=exemplars)

        monkeypatch.setattr("exporter.metrics.exposition.read", noted)
        exposition = Exposition()
        hubs = list(HUBS)
        for snapshot in hubs:
            exposition.write(snapshot)
            exposition.write(snapshot)
        for now in (LATER, LATER + 1.0, MUCH_LATER):
            for form in Format:
                text(exposition, hubs, now, form)
        assert written == ["billing", "orders", "shipping"]
        hubs[1] = replace(hubs[1])
        assert not exposition.is_current(hubs[1])
        text(exposition, hubs, LATER)
        assert written[3:] == ["orders"]

    def test_the_text_is_the_same_object_until_something_changes(self) -> None:
        exposition = Exposition()
        first = exposition.body(HUBS, LATER, Format.CLASSIC)
        assert exposition.body(HUBS, LATER + 1.0, Format.CLASSIC) is first
        assert exposition.body(HUBS[:2], LATER, Format.CLASSIC) is not first
        assert exposition.body(HUBS, LATER, Format.OPENMETRICS) is not first
        assert exposition.body(HUBS, LATER, Format.CLASSIC) is first
        changed = [replace(HUBS[0], up=False), *HUBS[1:]]
        second = exposition.body(changed, LATER, Format.CLASSIC)
        assert b'durable_functions_up{task_hub="billing"} 0.0' in second.text
        assert b'durable_functions_up{task_hub="billing"} 1.0' in first.text

    @settings(max_examples=15)
    @given(
        st.lists(
            st.tuples(st.integers(0, 2), st.sampled_from((LATER, NOW + 1000.0, MUCH_LATER))),
            max_size=12,
        )
    )
    def test_what_is_kept_shows_what_a_fresh_start_would(
        self, steps: list[tuple[int, float]]
    ) -> None:
        kept = Exposition()
        hubs = list(HUBS)
        for place, now in steps:
            hubs[place] = replace(hubs[place], up=not hubs[place].up)
            for form in Format:
                assert text(kept, hubs, now, form) == text(Exposition(), hubs, now, form)

    def test_all_lines_of_a_family_stand_together(self) -> None:
        lines = text(Exposition(), HUBS, LATER).decode().splitlines()
        names = [line.split()[2] for line in lines if line.startswith("# TYPE ")]
        assert len(names) == len(set(names))
        place = lines.index("# TYPE durable_functions_up gauge")
        assert lines[place + 1 : place + 4] == [
            f'durable_functions_up{{task_hub="{name}"}} 1.0'
            for name in ("billing", "orders", "shipping")
        ]

    def test_a_hub_that_is_gone_is_forgotten(self) -> None:
        exposition = Exposition()
        text(exposition, HUBS, LATER)
        exposition.forget_others(("billing", "orders"))
        assert [exposition.is_current(snapshot) for snapshot in HUBS] == [True, True, False]
        assert b"shipping" not in text(exposition, HUBS[:2], LATER)

    def test_selections_do_not_add_up_in_memory(self) -> None:
        exposition = Exposition()
        bodies = [
            exposition.body([busy_snapshot(f"hub{place}")], LATER, Format.CLASSIC)
            for place in range(20)
        ]
        assert len(exposition._bodies) < 10
        assert list(exposition._bodies.values())[-1] is bodies[-1]


class TestLeftOut:
    def families(self, *exclude: str, form: Format = Format.CLASSIC) -> set[str]:
        exposition = Exposition(Choice(exclude))
        body = text(exposition, HUBS[:1], LATER, form) + exposition.tail(form)
        return {
            line.split()[2] for line in body.decode().splitlines() if line.startswith("# TYPE ")
        }

    def test_families_are_left_out_by_name_and_by_pattern(self) -> None:
        every = self.families()
        left = self.families("durable_functions_failure_ratio", "durable_functions_entit*")
        assert every - left == {
            "durable_functions_failure_ratio",
            "durable_functions_entities",
            "durable_functions_entities_locked",
            "durable_functions_entity_idle_seconds_bucket",
            "durable_functions_entity_last_operation_timestamp_seconds",
            "durable_functions_entity_orphaned_locks",
            "durable_functions_entity_backlog_operations",
            "durable_functions_entity_backlog_max_operations",
        }

    @pytest.mark.parametrize("form", list(Format))
    def test_a_distribution_is_left_out_by_its_name_in_either_format(self, form: Format) -> None:
        name = "durable_functions_instance_age_seconds"
        here = name if form is Format.OPENMETRICS else f"{name}_bucket"
        every = self.families(form=form)
        for pattern in (name, f"{name}_bucket"):
            assert every - self.families(pattern, form=form) == {here}

    def test_those_of_the_process_can_be_left_out_too(self) -> None:
        assert not [name for name in self.families("process_*", "python_*") if name[:2] in "py"]
        assert "python_gc_objects_collected_total" not in self.families("*_objects_collected_total")
        assert "python_info" not in self.families("python_info")

    def test_the_case_counts_and_a_part_of_a_name_is_not_the_name(self) -> None:
        assert self.families("DURABLE_*", "durable_functions_failure", "up") == self.families()

    def test_everything_can_be_left_out(self) -> None:
        exposition = Exposition(Choice(("*",)))
        assert text(exposition, HUBS, LATER) + exposition.tail(Format.CLASSIC) == b""
        assert exposition.tail(Format.OPENMETRICS) == b"# EOF\n"


class TestExemplars:
    def shown(self, form: Format, instance_id: str, *, exemplars: bool) -> bytes:
        finished: dict[tuple[str, ...], FinishedInstance] = {
            ("Order", "Failed"): FinishedInstance(instance_id, NOW)
        }
        counters = replace(HUBS[1].counters, latest_finished=finished)
        exposition = Exposition(Choice(exemplars=exemplars))
        return text(exposition, [replace(HUBS[1], counters=counters)], LATER, form)

    def test_they_are_shown_on_request(self) -> None:
        line = (
            b'durable_functions_instances_finished_total{orchestrator="Order",'
            b'runtime_status="Failed",task_hub="orders"} 1.0'
        )
        told = self.shown(Format.OPENMETRICS, "f1", exemplars=True)
        assert line + b' # {instance_id="f1"} 1.0 %s\n' % str(NOW).encode() in told
        assert told.count(b" # {") == 1
        untold = self.shown(Format.OPENMETRICS, "f1", exemplars=False)
        assert line + b"\n" in untold
        assert told.replace(b' # {instance_id="f1"} 1.0 %s' % str(NOW).encode(), b"") == untold

    def test_the_classic_format_has_none(self) -> None:
        assert b" # {" not in self.shown(Format.CLASSIC, "f1", exemplars=True)


class TestCompression:
    @given(st.binary(max_size=5000), st.lists(st.binary(max_size=200), min_size=1, max_size=3))
    def test_text_and_tail_are_one_stream(self, body: bytes, tails: list[bytes]) -> None:
        kept = Body((), body)
        for tail in tails:
            compressed = kept.compressed(tail)
            decompressor = zlib.decompressobj(zlib.MAX_WBITS | 16)
            assert decompressor.decompress(compressed) == body + tail
            assert decompressor.eof
            assert decompressor.unused_data == b""
            assert gzip.decompress(compressed) == body + tail
