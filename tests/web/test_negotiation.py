"""What a client accepts."""

from __future__ import annotations

import pytest

from exporter.metrics.lines import Format
from exporter.web.scrapes import accepts_gzip, choose_format

PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", Format.CLASSIC),
        ("*/*", Format.CLASSIC),
        ("text/html,application/xhtml+xml,*/*;q=0.8", Format.CLASSIC),
        (PROMETHEUS, Format.OPENMETRICS),
        ("application/openmetrics-text", Format.OPENMETRICS),
        (
            'Application/OpenMetrics-Text; Version="1.0.0"; Q=0.9, text/plain;q=0.1',
            Format.OPENMETRICS,
        ),
        ("application/openmetrics-text;q=0.4,text/plain;q=0.6", Format.CLASSIC),
        ("application/openmetrics-text;q=0.5,text/plain;q=0.5", Format.CLASSIC),
        ("application/openmetrics-text;q=0", Format.CLASSIC),
        ("application/openmetrics-text;version=2.0.0,text/plain;q=0.1", Format.CLASSIC),
        ("application/openmetrics-text;q=high", Format.CLASSIC),
        (PROMETHEUS_3, Format.OPENMETRICS),
        ("text/plain;q=0, */*", Format.OPENMETRICS),
        ("application/*, text/plain;q=0.9", Format.OPENMETRICS),
        ("application/openmetrics-text;q=0, application/*, text/*;q=0.1", Format.CLASSIC),
        ("application/openmetrics-text;version=1.0.0;q=0.2, text/*;q=0.3", Format.CLASSIC),
        ("application/json", Format.CLASSIC),
        (
            (
                "application/openmetrics-text;version=1.0.0;q=0.2,"
                "application/openmetrics-text;version=0.0.1;q=0.9,text/plain;q=0.5"
            ),
            Format.OPENMETRICS,
        ),
        (",;=,;q", Format.CLASSIC),
    ],
)
def test_the_highest_quality_wins(accept: str, form: Format) -> None:
    assert choose_format(accept) is form


@pytest.mark.parametrize(
    ("accept_encoding", "allowed"),
    [
        ("", False),
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("gzip;q=0", False),
        ("*", True),
        ("*;q=0.1, gzip;q=0", False),
        ("identity", False),
    ],
)
def test_gzip_is_sent_only_to_those_who_take_it(accept_encoding: str, allowed: bool) -> None:
    assert accepts_gzip(accept_encoding) is allowed
