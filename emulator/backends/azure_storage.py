"""Azure Storage: one table in the order of its keys, which every other filter scans."""

import base64
import json

from emulator.api import (
    ExtensionVersion,
    PageSizeInvalid,
    PageSizeNegative,
    StorageRefused,
    TokenUnreadable,
)
from emulator.backends.backend import TABLES, Listing, Payload, Traits, existing
from emulator.json_text import JsonValue, compact
from emulator.storage.rows import Entity, Row
from emulator.storage.table import BEYOND_THE_END, EntityQuery, InstanceQuery, Page, Table

# Azure's tables refuse a larger page, the storage emulator that was recorded cuts it to this.
MAXIMUM_TOP = 1000


class AzureStorage:
    """
    The default provider.

    `scan_rows` is how many rows a filtered query looks at before it answers with what it found;
    `None` for no limit.
    """

    name = "azure-storage"
    traits = Traits()
    hub_names = TABLES
    one_hub = False
    waits_without_interval = False

    def __init__(self, *, scan_rows: int | None = None) -> None:
        if scan_rows is not None and scan_rows < 1:
            raise ValueError(f"scan_rows must be at least 1, not {scan_rows}")
        self.scan_rows = scan_rows

    def list_instances(
        self, table: Table, query: InstanceQuery, token: str, version: ExtensionVersion
    ) -> Listing[Row]:
        """Return a page in the order of the ids, escaped as keys."""
        page = table.page(
            query.matches,
            top=_page_size(query.top, version),
            prefix=query.id_prefix or "",
            begin=decode_token(token, version),
            scan_rows=self.scan_rows if query.scanning else None,
        )
        return Listing(page.rows, _token(page, version), page.scanned)

    def list_entities(
        self, table: Table, query: EntityQuery, token: str, version: ExtensionVersion
    ) -> Listing[Entity]:
        """Return a page of the rows whose ids begin like those of the entities."""
        page = table.page(
            query.matches,
            top=_page_size(query.top, version),
            prefix=query.id_prefix,
            begin=decode_token(token, version),
            scan_rows=self.scan_rows if query.scanning else None,
        )
        return Listing(existing(page.rows), _token(page, version), page.scanned)

    def shows_inputs(self, query: InstanceQuery) -> bool:
        """Tell whether inputs come: without any filter they always do."""
        return query.show_input or not query.filtered

    def listed(self, _row: Row, payload: Payload) -> Payload:
        """Return the payload as it is."""
        return payload

    def endless_token(self, number: int, version: ExtensionVersion) -> str:
        """Return the token of a key behind all others."""
        return encode_token(f"~{number}", version)


def _page_size(top: int, version: ExtensionVersion) -> int:
    if version is ExtensionVersion.V2 and top <= 0:
        raise PageSizeNegative if top < 0 else PageSizeInvalid
    # What v3 sends on, the storage answers: nothing for none, an error for less.
    if top < 0:
        raise StorageRefused
    return min(top, MAXIMUM_TOP)


def _token(page: Page[Row], version: ExtensionVersion) -> str:
    return "" if page.next_key is None else encode_token(page.next_key, version)


def encode_token(key: str, version: ExtensionVersion = ExtensionVersion.V3) -> str:
    """
    Return the token of the page that begins at a partition key.

    Both versions name the key in base64, and the row key, which is empty. v2 puts them into a JSON
    object and that into base64 again; v3 puts a space between them: hence the one at the end.
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

    To v3, rubbish is no error: it stands behind the last row, so that the listing silently ends.
    v2 raises `TokenUnreadable`.
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
    # The `null` that old extensions sent for ever is the first page again.
    key = place.get("NextPartitionKey") if isinstance(place, dict) else None
    return _key(key) if isinstance(key, str) else None


def _key(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except ValueError:  # not base64, or not text
        return BEYOND_THE_END


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
