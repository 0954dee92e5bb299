"""Authorities and certificates, made for each run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

EXPIRED = datetime.now(UTC) - timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate and its key, as files."""

    cert: Path
    key: Path


class Authority:
    """An authority, and what it signs; files lie in *folder*."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._folder = folder
        self._ca = trustme.CA()
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self.pem)

    @property
    def pem(self) -> bytes:
        """The certificate of the authority itself."""
        return self._ca.cert_pem.bytes()

    def sign(
        self, stem: str, *names: str, expires: datetime | None = None, folder: Path | None = None
    ) -> Certificate:
        """Return a certificate for *names*, host names, addresses or `user@host`."""
        leaf = self._ca.issue_cert(*names, not_after=expires)
        into = folder or self._folder
        made = Certificate(into / f"{stem}.crt", into / f"{stem}.key")
        made.cert.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        made.key.write_bytes(leaf.private_key_pem.bytes())
        return made
