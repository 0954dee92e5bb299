"""Which resource a request asks for, whatever form of HTTP it takes to say so."""

from __future__ import annotations

from urllib.parse import unquote

from starlette.types import Scope

# Whoever watches over the process has no password, and must not be turned away when it is busy.
OPEN_PATHS = frozenset({"/-/healthy", "/-/ready"})
# Paths of programs, of which some add a slash, and some of those do not follow redirects.
_WITHOUT_SLASH = {f"{path}/".encode(): path for path in (*OPEN_PATHS, "/-/reload", "/metrics")}


def in_origin_form(scope: Scope) -> Scope:
    """
    Return *scope* with a path that starts at the root.

    A target may be a whole URL (RFC 9112, 3.2.2), whose host then holds instead of the header's.
    """
    raw, path, headers = scope["raw_path"], scope["path"], scope["headers"]
    scheme, separator, rest = raw.partition(b"://")
    if separator and scheme.lower() in (b"http", b"https"):
        authority, slash, tail = rest.partition(b"/")
        raw = slash + tail or b"/"
        path = unquote(raw.decode("ascii"))
        others = [(name, value) for name, value in headers if name != b"host"]
        headers = [(b"host", authority), *others]
    path = _WITHOUT_SLASH.get(raw, path)
    return {**scope, "raw_path": raw, "path": path, "headers": headers}
