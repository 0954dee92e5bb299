"""What a client accepts: the exposition format and the encoding, by their quality values."""

from __future__ import annotations

from collections.abc import Container, Sequence

from exporter.metrics.formats import Format

_OPENMETRICS_VERSIONS = frozenset({"", "0.0.1", "1.0.0"})

_Elements = list[tuple[str, dict[str, str]]]


def choose_format(accept: str) -> Format:
    """
    Return the format with the highest `q` in an `Accept` header.

    Of ranges that fit a format the most specific one holds. Classic text where both are equal or
    nothing fits: everything reads it.
    """
    elements = _elements(accept)
    openmetrics = _best(
        elements, ("application/openmetrics-text", "application/*", "*/*"), _OPENMETRICS_VERSIONS
    )
    classic = _best(elements, ("text/plain", "text/*", "*/*"))
    return Format.OPENMETRICS if openmetrics > classic else Format.CLASSIC


def accepts_gzip(accept_encoding: str) -> bool:
    """Tell whether an `Accept-Encoding` header allows gzip."""
    allowed = {coding: _quality(parameters) for coding, parameters in _elements(accept_encoding)}
    return allowed.get("gzip", allowed.get("*", 0.0)) > 0


def _best(
    elements: _Elements, ranges: Sequence[str], versions: Container[str] | None = None
) -> float:
    """Return the highest quality of the first of *ranges* that occurs, in one of *versions*."""
    for wanted in ranges:
        qualities = [
            _quality(parameters)
            for media_type, parameters in elements
            if media_type == wanted
            and (versions is None or parameters.get("version", "") in versions)
        ]
        if qualities:
            return max(qualities)
    return 0.0


def _elements(header: str) -> _Elements:
    elements = []
    for element in header.split(","):
        value, *parameters = (part.strip() for part in element.split(";"))
        pairs = (parameter.partition("=") for parameter in parameters)
        elements.append(
            (
                value.lower(),
                {name.strip().lower(): text.strip().strip('"') for name, _, text in pairs},
            )
        )
    return elements


def _quality(parameters: dict[str, str]) -> float:
    try:
        return min(1.0, max(0.0, float(parameters.get("q", "1"))))
    except ValueError:
        return 0.0
