"""
The web configuration file: TLS, users, headers and a rate limit of the exporter's own server.

Its format is that of Prometheus' exporter-toolkit. What cannot be done here as it is meant there is
refused, never passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, Field, ValidationError
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from exporter.settings.problems import shown_name
from exporter.settings.shown import Shown
from exporter.settings.strict_yaml import NotYaml, read_yaml
from exporter.settings.tls_policy import TlsPolicy
from exporter.settings.values import FROZEN
from exporter.settings.web_access import HttpServer, RateLimit, RateLimiting, Users
from exporter.settings.web_tls import TlsServer
from exporter.settings.words import in_words


@dataclass(frozen=True, slots=True)
class WebConfig:
    """
    How the exporter's own server is to be reached; as it is, by everybody without encryption.

    *users* are the bcrypt hashes of passwords by user name, none for no authentication. *files* are
    all that this was read from.
    """

    tls: TlsPolicy | None = None
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    rate_limit: RateLimit | None = None
    files: tuple[Path, ...] = ()


def _or_empty(section: object) -> object:
    """Take a section that was left empty for one without settings."""
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
    Return what the file at the path *value* says, with the certificates that it names.

    Raises:
        ValidationError: with everything that is wrong in it.
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
    """Yield each error with the place in the file, and without what was given."""
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


WebConfigFile = Annotated[WebConfig, BeforeValidator(read_web_config), Shown("path of a file")]
