"""How paths are decoded: each version has its own way, and goes it twice."""

import re
from urllib.parse import unquote, unquote_plus

from emulator.version import ExtensionVersion

_SLASH = re.compile("(%2F)", re.IGNORECASE)


def decode(path: str, version: ExtensionVersion) -> str:
    """
    Decode a path, or a part of it, once.

    v3 reads it like the value of a form: a plus is a space, and an encoded slash is a slash. To v2
    a plus is a plus, and an encoded slash stays encoded.
    """
    if version is not ExtensionVersion.V2:
        return unquote_plus(path)
    parts = _SLASH.split(path)
    return "".join(part if _SLASH.fullmatch(part) else unquote(part) for part in parts)
