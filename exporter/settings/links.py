"""Links of the page: templates of URLs that lead from an instance to where more is known of it."""

from __future__ import annotations

from collections.abc import Iterator
from string import Formatter
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from exporter.settings.shown import Shown

PLACEHOLDERS = ("instance_id", "task_hub", "hub_name", "orchestrator")

_KNOWN = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
_LONGEST_NAME = 40
_NO_ADDRESS = "is no web address: begin it with https:// or http:// and a host"


def _check_name(name: str) -> str:
    if name != name.strip() or not name or not name.isprintable() or len(name) > _LONGEST_NAME:
        raise ValueError(
            f"is no name for a link: give up to {_LONGEST_NAME} characters without blanks around"
        )
    return name


def check_template(template: str) -> str:
    """
    Return *template* if each of its placeholders can be filled in and it leads to the web.

    The host is fixed: what comes from a task hub must not decide where a link leads.

    Raises:
        ValueError: something else stands in it; the message shows no part of it.
    """
    literal = "".join(text for text, _ in _parts(template))
    if not template.isprintable() or " " in template:
        raise ValueError("has blanks or control characters in it: write them as %20 and the like")
    if not template.startswith(("https://", "http://")):
        raise ValueError(_NO_ADDRESS)
    if any(field is not None for _, field in _parts(_begin(template))):
        raise ValueError("has a placeholder in its host: write the host out")
    try:
        parts = urlsplit(literal)
        usable = parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(_NO_ADDRESS)
    if "@" in parts.netloc:
        raise ValueError("has a user or password in it: remove it, everybody sees the page")
    return template


def _parts(template: str) -> Iterator[tuple[str, str | None]]:
    """Yield the literal texts and the placeholders after them."""
    try:
        parts = list(Formatter().parse(template))
    except ValueError:
        raise ValueError(
            f"has a brace that is none of {_KNOWN}: write a brace that stands for itself twice"
        ) from None
    for literal, field, form, conversion in parts:
        if field is not None and (field not in PLACEHOLDERS or form or conversion):
            raise ValueError(f"has a placeholder that is not known: use {_KNOWN}")
        yield literal, field


def _begin(template: str) -> str:
    """Return the part up to the end of the host."""
    scheme, separator, rest = template.partition("://")
    ends = [place for sign in "/?#" if (place := rest.find(sign)) >= 0]
    return scheme + separator + rest[: min(ends, default=len(rest))]


LinkName = Annotated[str, AfterValidator(_check_name)]
Template = Annotated[str, AfterValidator(check_template)]
Links = Annotated[dict[LinkName, Template], Shown("URLs with placeholders by name")]
