"""
The web configuration file: TLS, users, headers and a rate limit of the exporter's own server.

Its format is that of Prometheus' exporter-toolkit. Unsupported settings are errors, never ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from exporter.settings.error_messages import in_words, shown_name
from exporter.settings.strict_yaml import NotYaml, read_yaml
from exporter.settings.values import A_FILE, FROZEN, Count
from exporter.settings.web_tls import TlsPolicy, TlsServer

# The headers of the format, with their values if these are fixed.
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
    """Parse a duration of Go, in seconds: a number without a unit is 0 only."""
    if value in (0, "0") and not isinstance(value, bool):
        return 0.0
    if not isinstance(value, str) or not _DURATION.fullmatch(value):
        raise ValueError("is not a duration: write it with its unit, as 1s, 500ms or 1m30s")
    total = sum(Decimal(number) * _UNITS[unit] for number, unit in _PART.findall(value))
    return float(total)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """One request per *interval* seconds, and bursts of up to *burst*."""

    interval: float
    burst: int


class RateLimiting(BaseModel):
    """The rate limit as in the file; `limit` is None without one."""

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
    """The section `http_server_config`."""

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


@dataclass(frozen=True, slots=True)
class WebConfig:
    """
    How the exporter's own server is reached; by default by everybody, without encryption.

    *users* are bcrypt hashes of passwords by user name, none for no authentication. *files* are all
    files that it was read from.
    """

    tls: TlsPolicy | None = None
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    rate_limit: RateLimit | None = None
    files: tuple[Path, ...] = ()


def _or_empty(section: object) -> object:
    """Read an empty section as one without settings."""
    return {} if section is None else section


_LeftEmpty = BeforeValidator(_or_empty)


class _WebConfigFile(BaseModel):
    model_config = FROZEN

    tls_server_config: Annotated[TlsServer, _LeftEmpty] = TlsServer()
    http_server_config: Annotated[HttpServer, _LeftEmpty] = HttpServer()
    rate_limit: Annotated[RateLimiting, _LeftEmpty] = RateLimiting()
    basic_auth_users: Annotated[Users, _LeftEmpty] = Field(default={})


def read_web_config(value: object) -> WebConfig:
    """
    Read the file at the path *value*, and the certificates that it names.

    Raises:
        ValidationError: with all its errors.
        ValueError: it cannot be read.
    """
    if isinstance(value, WebConfig):
        return value
    if not isinstance(value, str | Path):
        raise ValueError("is not a path: write it as text")  # noqa: TRY004 - pydantic's
    path = Path(value)
    content = _content(path)
    files = [path]
    context = {"folder": path.parent, "files": files}
    try:
        said = _WebConfigFile.model_validate(content, context=context)
    except ValidationError as error:
        lines = list(_lines(error, path))
    else:
        return WebConfig(
            tls=said.tls_server_config.policy,
            users={
                name: hashed.get_secret_value() for name, hashed in said.basic_auth_users.items()
            },
            headers=said.http_server_config.headers,
            rate_limit=said.rate_limit.limit,
            files=tuple(files),
        )
    raise ValidationError.from_exception_data("web_config_file", lines, hide_input=True)


def _content(path: Path) -> object:
    try:
        content, problems = read_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = error.strerror or "no reason given"
        raise ValueError(f"names {str(path)!r}, which cannot be read ({reason})") from None
    except UnicodeDecodeError:
        raise ValueError(f"names {str(path)!r}, which is not UTF-8 text") from None
    except NotYaml as error:
        raise ValueError(f"names {str(path)!r}, which {error}") from None
    if problems:
        line, message = problems[0]
        raise ValueError(f"names {str(path)!r}, where in line {line} {message}")
    return {} if content is None else content


def _lines(error: ValidationError, path: Path) -> Iterator[InitErrorDetails]:
    """Yield each error with its place in the file, without the value."""
    for line in error.errors(include_url=False, include_input=False):
        place = ".".join(shown_name(part) for part in line["loc"] if part != "[key]")
        where = f"where {place}" if place else "which"
        message = f"names {str(path)!r}, {where} {_message(line)}"
        custom = PydanticCustomError("value_error", "{error}", {"error": message})
        yield InitErrorDetails(type=custom, loc=line["loc"], input=None)


def _message(line: ErrorDetails) -> str:
    if line["type"] == "extra_forbidden":
        return "is not known: remove it"
    return in_words(line)


WebConfigFile = Annotated[WebConfig, BeforeValidator(read_web_config), A_FILE]
