"""The versions of the extension that can be emulated."""

from enum import StrEnum


class ExtensionVersion(StrEnum):
    """A major version of the durable task extension, with the storage provider that it brings."""

    V2 = "v2"
    V3 = "v3"
