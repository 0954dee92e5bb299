"""Azure Storage: one table in the order of its keys, which every other filter scans."""

from emulator.backends import azure_tokens
from emulator.backends.backend import Listing, Payload, existing
from emulator.backends.hub_names import TABLES
from emulator.backends.traits import Traits
from emulator.errors import PageSizeInvalid, PageSizeNegative, StorageRefused
from emulator.storage.queries import EntityQuery, InstanceQuery
from emulator.storage.rows import Entity, Row
from emulator.storage.table import Page, Table
from emulator.version import ExtensionVersion

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
            begin=azure_tokens.decode(token, version),
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
            begin=azure_tokens.decode(token, version),
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
        return azure_tokens.encode(f"~{number}", version)


def _page_size(top: int, version: ExtensionVersion) -> int:
    if version is ExtensionVersion.V2 and top <= 0:
        raise PageSizeNegative if top < 0 else PageSizeInvalid
    # What v3 sends on, the storage answers: nothing for none, an error for less.
    if top < 0:
        raise StorageRefused
    return min(top, MAXIMUM_TOP)


def _token(page: Page[Row], version: ExtensionVersion) -> str:
    return "" if page.next_key is None else azure_tokens.encode(page.next_key, version)
