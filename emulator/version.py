"""The versions of the extension that can be emulated."""

from enum import StrEnum


class ExtensionVersion(StrEnum):
    """
    A version of the durable task extension, with the storage provider that it brings.

    `V3` is 3.15.3 and newer, whose rows of sub-orchestrations name the parent.
    """

    V2 = "v2"
    V3_15 = "v3.15"
    V3 = "v3"
