"""Azure's clouds, resource ids of function apps, and the two ways to read an app."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator

from exporter.settings.values import AnyCase, Shown

KEY: Literal["key"] = "key"
RESOURCE_MANAGER: Literal["resource-manager"] = "resource-manager"
PUBLIC = "public"

# The Resource Manager of each cloud, and the authority that signs its tokens.
RESOURCE_MANAGERS: Mapping[str, str] = MappingProxyType(
    {
        PUBLIC: "https://management.azure.com",
        "us-government": "https://management.usgovcloudapi.net",
        "china": "https://management.chinacloudapi.cn",
    }
)
AUTHORITIES: Mapping[str, str] = MappingProxyType(
    {
        "us-government": "login.microsoftonline.us",
        "china": "login.chinacloudapi.cn",
    }
)

_LONGEST_ID = 1024
# The characters that Azure allows in names of groups, apps and slots; none is special in a URL.
_RESOURCE_ID = re.compile(
    r"/subscriptions/(?P<subscription>[0-9A-Fa-f-]{36})"
    r"/resourceGroups/(?P<group>[\w.()-]{1,90})"
    r"/providers/Microsoft\.Web/sites/(?P<app>[A-Za-z0-9-]{1,64})"
    r"(?:/slots/(?P<slot>[A-Za-z0-9-]{1,64}))?",
    re.IGNORECASE,
)


def match_resource_id(text: str) -> re.Match[str] | None:
    """Return the parts of the resource id of a function app or slot, None if *text* is none."""
    return _RESOURCE_ID.fullmatch(text) if len(text) <= _LONGEST_ID else None


def subscription_of(resource_id: str) -> str:
    """Return the subscription in a checked resource id, in lower case."""
    return resource_id.split("/")[2].lower()


def _check_resource_id(text: str) -> str:
    if match_resource_id(text.strip().rstrip("/")) is None:
        raise ValueError(
            "is not the resource id of a function app: copy it from the app's properties, as "
            "/subscriptions/.../resourceGroups/.../providers/Microsoft.Web/sites/..."
        )
    return text.strip().rstrip("/")


def _parse_cloud(value: object) -> object:
    """Parse the name of a cloud, or the base URL of a Resource Manager."""
    if not isinstance(value, str):
        return value
    cloud = value.strip().rstrip("/")
    if cloud.lower() in RESOURCE_MANAGERS:
        return cloud.lower()
    try:
        parts = urlsplit(cloud)
        is_base = parts.scheme == "https" and parts.hostname and not (parts.path or parts.query)
        is_plain = cloud.isprintable() and " " not in cloud and "@" not in parts.netloc
    except ValueError:
        is_base = is_plain = False
    if not (is_base and is_plain):
        raise ValueError(
            f"is no cloud: give {', '.join(RESOURCE_MANAGERS)}, or the https:// address of the "
            "Resource Manager of another one"
        )
    return cloud


def resource_manager_of(cloud: str) -> str:
    """Return the base URL of the Resource Manager of a checked *cloud*, without a slash."""
    return RESOURCE_MANAGERS.get(cloud, cloud)


ResourceId = Annotated[str, AfterValidator(_check_resource_id), Shown("resource id")]
Cloud = Annotated[
    str,
    BeforeValidator(_parse_cloud),
    Shown("`public`, `us-government`, `china`, or an `https://` address"),
]
Access = Annotated[
    Literal["key", "resource-manager"], AnyCase, Shown("`key` or `resource-manager`")
]
