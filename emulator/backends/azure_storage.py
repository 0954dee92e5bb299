"""Azure Storage: one table in key order, which every other filter scans."""

import base64
import json
import re

from emulator.api import (
    ExtensionVersion,
    PageSizeInvalid,
    PageSizeNegative,
    StorageRefused,
    TokenUnreadable,
)
from emulator.backends.backend import Backend, Listing
from emulator.json_text import JsonValue, compact
from emulator.storage.rows import Row
from emulator.storage.table import BEYOND_THE_END, InstanceQuery, Query, Table

# Azure's tables refuse a larger page; Azurite, which was recorded, cuts it to this.
MAXIMUM_TOP = 1000


class AzureStorage(Backend):
    """
    The default provider.

    `scan_rows` limits the rows that a filtered query scans per page; `None` is no limit.
    """

    name = "azure-storage"
    hub_name = re.compile(r"[A-Za-z][A-Za-z0-9]{2,44}")
    hub_name_rule = "3 to 45 letters and digits, a letter first"

    def __init__(self, *, scan_rows: int | None = None) -> None:
        if scan_rows is not None and scan_rows < 1:
            raise ValueError(f"scan_rows must be at least 1, not {scan_rows}")
        self.scan_rows = scan_rows

    def page(
        self, table: Table, query: Query, token: str, version: ExtensionVersion
    ) -> Listing[Row]:
        """Return a page in the order of the ids, escaped as keys."""
        page = table.page(
            query.matches,
            top=_page_size(query.top, version),
            prefix=query.id_prefix or "",
            begin=decode_token(token, version),
            scan_rows=self.scan_rows if query.scanning else None,
        )
        following = "" if page.next_key is None else encode_token(page.next_key, version)
        return Listing(page.rows, following, page.scanned)

    def shows_inputs(self, query: InstanceQuery) -> bool:
        """Return whether inputs are shown: always without a filter."""
        return query.show_input or not query.filtered

    def endless_token(self, number: int, version: ExtensionVersion) -> str:
        """Return the token of a key behind all others."""
        return encode_token(f"~{number}", version)


def _page_size(top: int, version: ExtensionVersion) -> int:
    if version is ExtensionVersion.V2 and top <= 0:
        raise PageSizeNegative if top < 0 else PageSizeInvalid
    # v3 forwards it; the storage returns nothing for 0 and an error below.
    if top < 0:
        raise StorageRefused
    return min(top, MAXIMUM_TOP)


def encode_token(key: str, version: ExtensionVersion = ExtensionVersion.V3) -> str:
    """
    Return the token of the page that begins at a partition key.

    It holds the base64 of the key, and the row key, which is empty: as JSON in base64 in v2,
    separated by a space in v3.
    """
    if version is not ExtensionVersion.V2:
        return _base64(key) + " "
    place: JsonValue = {
        "NextPartitionKey": _base64(key),
        "NextRowKey": "",
        "NextTableName": None,
        "TargetLocation": 0,
    }
    return _base64(compact(place))


def decode_token(token: str, version: ExtensionVersion = ExtensionVersion.V3) -> str | None:
    """
    Return the partition key at which a page begins, `None` for the first page.

    v3 takes an unreadable token for the end of the listing; v2 raises `TokenUnreadable`.
    """
    if not token.strip():
        return None
    if version is ExtensionVersion.V2:
        return _place_in_json(token)
    key, _, _row_key = token.strip().partition(" ")
    return _key(key)


def _place_in_json(token: str) -> str | None:
    try:
        place = json.loads(base64.b64decode(token, validate=True))
    except ValueError as error:  # not base64, or not JSON
        raise TokenUnreadable from error
    # `null`, which old extensions sent on each page, is the first page.
    key = place.get("NextPartitionKey") if isinstance(place, dict) else None
    return _key(key) if isinstance(key, str) else None


def _key(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except ValueError:  # not base64, or not text
        return BEYOND_THE_END


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
