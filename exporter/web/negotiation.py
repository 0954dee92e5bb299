"""What a client accepts: the exposition format and the encoding, by their quality values."""

from __future__ import annotations

from exporter.metrics.exposition import Format

_OPENMETRICS_VERSIONS = frozenset({"", "0.0.1", "1.0.0"})


def choose_format(accept: str) -> Format:
    """
    Return the format with the highest `q` in an `Accept` header.

    Classic text where both are equal or nothing fits: everything reads it.
    """
    openmetrics = classic = 0.0
    for media_type, parameters in _elements(accept):
        quality = _quality(parameters)
        if media_type == "application/openmetrics-text":
            if parameters.get("version", "") in _OPENMETRICS_VERSIONS:
                openmetrics = max(openmetrics, quality)
        elif media_type in ("text/plain", "text/*", "*/*"):
            classic = max(classic, quality)
    return Format.OPENMETRICS if openmetrics > classic else Format.CLASSIC


def accepts_gzip(accept_encoding: str) -> bool:
    """Tell whether an `Accept-Encoding` header allows gzip."""
    allowed = {coding: _quality(parameters) for coding, parameters in _elements(accept_encoding)}
    return allowed.get("gzip", allowed.get("*", 0.0)) > 0


def _elements(header: str) -> list[tuple[str, dict[str, str]]]:
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
