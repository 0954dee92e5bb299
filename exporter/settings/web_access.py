"""The sections of the web configuration file beside TLS: headers, users, rate limit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    SecretStr,
    field_validator,
    model_validator,
)

from exporter.settings.problems import shown_name
from exporter.settings.values import FROZEN, Count

# The headers of the format, with their values where these are few.
_HEADERS: dict[str, tuple[str, ...]] = {
    "Content-Security-Policy": (),
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
}
_HASH = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}")
_LEAST_COST, _MOST_COST = 4, 18
# Durations as Go writes them.
_UNITS = {
    "h": Decimal(3600),
    "m": Decimal(60),
    "s": Decimal(1),
    "ms": Decimal("1e-3"),
    "us": Decimal("1e-6"),
    "µs": Decimal("1e-6"),
    "ns": Decimal("1e-9"),
}
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)")
_DURATION = re.compile(rf"(?:{_PART.pattern})+")


def _seconds(value: object) -> float:
    """Return a duration of Go in seconds: a number has no unit there, but for 0."""
    if value in (0, "0") and not isinstance(value, bool):
        return 0.0
    if not isinstance(value, str) or not _DURATION.fullmatch(value):
        raise ValueError("is not a duration: write it with its unit, as 1s, 500ms or 1m30s")
    total = sum(Decimal(number) * _UNITS[unit] for number, unit in _PART.findall(value))
    return float(total)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """One request in *interval* seconds, and up to *burst* at once."""

    interval: float
    burst: int


class RateLimiting(BaseModel):
    """The rate limit as the file says it; `limit` is None where there is to be none."""

    model_config = FROZEN

    interval: Annotated[float, BeforeValidator(_seconds)] = 0.0
    burst: Count = 0

    @model_validator(mode="after")
    def _lets_something_through(self) -> Self:
        if self.interval and self.burst < 1:
            raise ValueError("has no burst, so every request is refused: set burst to 1 or more")
        return self

    @property
    def limit(self) -> RateLimit | None:
        """The limit, None for none."""
        return RateLimit(self.interval, self.burst) if self.interval else None


class HttpServer(BaseModel):
    """How answers are given."""

    model_config = FROZEN

    http2: bool | None = None
    headers: dict[str, str] = {}

    @field_validator("http2")
    @classmethod
    def _is_off(cls, http2: bool | None) -> bool | None:
        if http2:
            raise ValueError("asks for HTTP/2, which is not offered: set it to false, or remove it")
        return http2

    @field_validator("headers", mode="before")
    @classmethod
    def _or_none(cls, headers: object) -> object:
        return {} if headers is None else headers

    @field_validator("headers")
    @classmethod
    def _can_be_set(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            _check_header(name, value)
        return {name: value for name, value in headers.items() if value}


def _check_header(name: str, value: str) -> None:
    if name not in _HEADERS:
        raise ValueError(
            f"has {shown_name(name)!r}, which cannot be set: give one of {', '.join(_HEADERS)}"
        )
    allowed = _HEADERS[name]
    if value and allowed and value not in allowed:
        raise ValueError(f"has an unknown {name}: give {' or '.join(allowed)}")
    if not (value.isascii() and (value.isprintable() or not value)):
        raise ValueError(f"has characters in {name} that no header may have: write it in one line")


def _check_user(name: str) -> str:
    if ":" in name or not name.isprintable():
        raise ValueError("is a name that cannot log in: a colon or a control character is in it")
    return name


def _check_hash(hashed: SecretStr) -> SecretStr:
    found = _HASH.fullmatch(hashed.get_secret_value())
    if found is None:
        raise ValueError("is not a bcrypt hash: make one with htpasswd -nBC 10 NAME")
    if not _LEAST_COST <= int(found[1]) <= _MOST_COST:
        raise ValueError(
            f"has a cost that is not from {_LEAST_COST} to {_MOST_COST}: hash it with 10 or 12"
        )
    return hashed


Users = dict[
    Annotated[str, AfterValidator(_check_user)], Annotated[SecretStr, AfterValidator(_check_hash)]
]
