"""What a configuration of the pages needs around it, so that a real nginx reads it anywhere."""

from __future__ import annotations

_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def whole(recipe: str) -> str:
    """Return a configuration that keeps everything in the folder it is started in."""
    kept = "".join(f"{kind}_temp_path {kind};\n" for kind in _TEMPORARY)
    return f"pid nginx.pid;\nevents {{}}\nhttp {{\n{kept}{recipe}\n}}\n"
