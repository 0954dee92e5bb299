"""
The records of a hub in a file of SQLite.

The table `record` holds all of them as of some time, the table `change` what was written since, one
row per commit: so a commit writes a few pages, whatever it changes. Large changes are merged into
`record`. The file is opened for each commit and locked by `FileLock` alone: SQLite's own locks do
not work on every network volume, nor does shared memory, which a write-ahead log needs. The
rollback journal needs neither; a commit is durable when it is empty.
"""

from __future__ import annotations

import errno
import os
import secrets
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from heapq import merge
from pathlib import Path
from typing import Any

import msgspec

from exporter.collector.state import Kept, LearnedFacts, Owner, StateProblem, StateUnusable
from exporter.collector.state_lock import PRIVATE
from exporter.ledger.records import EncodedRecord
from exporter.ledger.state import SINGLE, decoded

VERSION = 3
_APPLICATION = int.from_bytes(b"DFEx")
_MAGIC = b"SQLite format 3\0"
# Commits touch few bytes of few pages: with the usual 4 KiB they would write twice as much.
_PAGE_BYTES = 1024
_FEWEST_CHANGES, _MOST_CHANGES = 512 << 10, 2 << 20
"""Bytes of changes after which they are merged into the records."""
_SORTED = 10_000

_OWN = _OWNER, _WRITTEN, _LEARNED = "owner", "written", "learned"
"""Kinds of records that are not the ledger's."""
_CHANGES = msgspec.msgpack.Decoder(list[EncodedRecord])
_TABLES = """
    CREATE TABLE record (kind TEXT, key BLOB, content BLOB, checksum INTEGER,
                         PRIMARY KEY (kind, key)) WITHOUT ROWID;
    CREATE TABLE change (number INTEGER PRIMARY KEY, content BLOB);
"""
_PUT = (
    "INSERT INTO record VALUES (?, ?, ?, ?) ON CONFLICT"
    " DO UPDATE SET content = excluded.content, checksum = excluded.checksum"
)
_DAMAGED = {
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_FORMAT,
    sqlite3.SQLITE_MISMATCH,
}


class _NotOurs(OSError):
    """The file is not the one that was last written, or it is damaged."""


class StateDatabase:
    """
    The file at *path*, used by one process, one call at a time.

    `is_current`: the file is as this process wrote it, so that changes may be appended. Errors of
    the disk are `OSError`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_current = False
        self._number = 0
        self._change_bytes = 0
        self._learned: LearnedFacts | None = None
        self._most_change_bytes = _FEWEST_CHANGES

    def read(self) -> Kept:
        """
        Return what was saved.

        Raises:
            StateUnusable: it is damaged, or no state of this version.
            OSError: it cannot be read now.
        """
        with self.path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise StateUnusable(StateProblem.UNREADABLE, "not a state file")
        try:
            with _connected(self.path) as database:
                _check(database)
                own: dict[str, dict[str, Any]] = {kind: {} for kind in _OWN}
                state = decoded(_split_off(_records(database), own))
                return Kept(
                    owner=msgspec.convert(own[_OWNER][SINGLE], Owner),
                    written=msgspec.convert(own[_WRITTEN][SINGLE], float),
                    ledger=state,
                    learned=msgspec.convert(own[_LEARNED], LearnedFacts),
                )
        except (KeyError, TypeError, _NotOurs, ValueError, zlib.error) as error:
            raise StateUnusable(StateProblem.UNREADABLE, f"it is damaged: {error}") from error

    def append(
        self, records: Sequence[EncodedRecord], written: float, learned: LearnedFacts
    ) -> None:
        """
        Add changed *records*, as of *written*, and what was *learned*.

        Raises:
            OSError: they cannot be written; `is_current` is whether a later attempt may succeed.
        """
        content = _packed([*records, *_own(written, learned, self._learned)])
        try:
            with _connected(self.path) as database:
                database.execute("BEGIN IMMEDIATE")
                number = self._next_number(database)
                database.execute("INSERT INTO change VALUES (?, ?)", (number, content))
                change_bytes = self._change_bytes + len(content)
                if change_bytes > self._most_change_bytes:
                    _merge_changes(database, number)
                    change_bytes = 0
                database.execute("COMMIT")
        except (FileNotFoundError, _NotOurs):
            self.is_current = False
            raise
        self._number, self._change_bytes, self._learned = number, change_bytes, learned

    def _next_number(self, database: sqlite3.Connection) -> int:
        ((number,),) = database.execute("SELECT max(number) FROM change")
        if number != self._number:
            raise _NotOurs("the file was replaced; the next commit writes it in full")
        return self._number + 1

    def write(
        self, records: Sequence[EncodedRecord], written: float, learned: LearnedFacts, owner: Owner
    ) -> None:
        """Replace the file by one of all *records* of a hub's *owner*; raises `OSError`."""
        number = secrets.randbits(48)
        content = _packed(_own(written, learned, None))
        all_records = [*records, _record(_OWNER, SINGLE, owner)]
        temporary = self.path.with_suffix(f".{os.getpid()}.tmp")
        try:
            os.close(os.open(temporary, os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, PRIVATE))
            with _connected(temporary, journal="OFF") as database:
                database.executescript(
                    f"PRAGMA application_id = {_APPLICATION}; PRAGMA user_version = {VERSION};"
                    f"BEGIN; {_TABLES}"
                )
                database.executemany(_PUT, _rows(all_records))
                database.execute("INSERT INTO change VALUES (?, ?)", (number, content))
                database.execute("COMMIT")
            _make_durable(temporary, os.O_RDWR)
            # A journal left by a killed process would be applied to the new file.
            journal_of(self.path).unlink(missing_ok=True)
            temporary.replace(self.path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        _make_durable(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        self._number, self._change_bytes, self._learned = number, 0, learned
        self.is_current = True
        size = self.path.stat().st_size
        self._most_change_bytes = min(_MOST_CHANGES, max(_FEWEST_CHANGES, size))


def journal_of(path: Path) -> Path:
    """Return the path of SQLite's rollback journal."""
    return path.with_name(f"{path.name}-journal")


@contextmanager
def _connected(path: Path, journal: str = "TRUNCATE") -> Iterator[sqlite3.Connection]:
    if not path.exists():
        raise FileNotFoundError(
            errno.ENOENT, "the file was removed; the next commit writes it in full"
        )
    try:
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw&nolock=1", uri=True, timeout=0.0)
        ) as database:
            database.isolation_level = None
            database.executescript(
                f"PRAGMA page_size = {_PAGE_BYTES}; PRAGMA trusted_schema = OFF;"
                # Debian's SQLite otherwise overwrites deleted content with zeros.
                "PRAGMA cell_size_check = ON; PRAGMA secure_delete = OFF;"
                f"PRAGMA journal_mode = {journal};"
                f"PRAGMA synchronous = {'OFF' if journal == 'OFF' else 'FULL'};"
            )
            yield database
    except sqlite3.Error as error:
        # Python raises errors without a code for malformed text.
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        if code in _DAMAGED:
            raise _NotOurs(str(error)) from error
        raise OSError(str(error)) from error


def _check(database: sqlite3.Connection) -> None:
    ((application,),) = database.execute("PRAGMA application_id")
    if application != _APPLICATION:
        raise StateUnusable(StateProblem.UNREADABLE, "not a state file")
    ((version,),) = database.execute("PRAGMA user_version")
    if version != VERSION:
        message = f"it has the version {version}; {VERSION} is what is read"
        raise StateUnusable(StateProblem.VERSION, message)
    for (problem,) in database.execute("PRAGMA quick_check(1)"):
        if problem != "ok":
            raise _NotOurs(problem)


def _records(database: sqlite3.Connection) -> Iterator[EncodedRecord]:
    """Yield the records, then their changes in the order of writing."""
    for kind, key, content, checksum in database.execute("SELECT * FROM record"):
        # A damaged value may have another type.
        if (type(kind), type(key), type(content)) != (str, bytes, bytes) or (
            checksum != _checksum(kind, key, content)
        ):
            raise _NotOurs("a record has changed")
        yield kind, key, content
    yield from _changes(database)


def _changes(database: sqlite3.Connection) -> Iterator[EncodedRecord]:
    last = None
    for number, content in database.execute("SELECT number, content FROM change ORDER BY number"):
        if last is not None and number != last + 1:
            raise _NotOurs("a change is missing")
        last = number
        yield from _CHANGES.decode(zlib.decompress(content))


def _merge_changes(database: sqlite3.Connection, last: int) -> None:
    """Merge all changes into the records; the *last* stays, to identify the file."""
    latest = {(kind, key): content for kind, key, content in _changes(database)}
    records = [(*place, content) for place, content in latest.items() if content is not None]
    database.executemany(_PUT, _rows(records))
    gone = [place for place, content in latest.items() if content is None]
    database.executemany("DELETE FROM record WHERE kind = ? AND key = ?", gone)
    database.execute("DELETE FROM change WHERE number < ?", (last,))


def _split_off(
    records: Iterable[EncodedRecord], own: dict[str, dict[str, Any]]
) -> Iterator[EncodedRecord]:
    """Yield the records of the ledger; put the others into *own*."""
    for kind, key, content in records:
        if kind in own and content is not None:
            own[kind][msgspec.msgpack.decode(key, type=str)] = msgspec.msgpack.decode(content)
        else:
            yield kind, key, content


def _own(written: float, learned: LearnedFacts, before: LearnedFacts | None) -> list[EncodedRecord]:
    """Return the records that are not the ledger's: of what was *learned*, the new part."""
    known = {} if before is None else msgspec.structs.asdict(before)
    facts = [
        _record(_LEARNED, name, value)
        for name, value in msgspec.structs.asdict(learned).items()
        if name not in known or known[name] != value
    ]
    return [_record(_WRITTEN, SINGLE, written), *facts]


def _record(kind: str, key: str, value: object) -> EncodedRecord:
    return kind, msgspec.msgpack.encode(key), msgspec.msgpack.encode(value)


def _packed(records: Sequence[EncodedRecord]) -> bytes:
    return zlib.compress(msgspec.msgpack.encode(records), 1)


def _rows(records: Sequence[EncodedRecord]) -> Iterator[tuple[str, bytes, bytes, int]]:
    """Yield the rows of *records* in the order of the table."""
    # Sorting many at once would block the event loop.
    parts = (sorted(records[i : i + _SORTED]) for i in range(0, len(records), _SORTED))
    for kind, key, content in merge(*parts):
        if content is not None:
            yield kind, key, content, _checksum(kind, key, content)


def _checksum(kind: str, key: bytes, content: bytes) -> int:
    return zlib.crc32(content, zlib.crc32(key, zlib.crc32(kind.encode())))


def _make_durable(path: Path, flags: int) -> None:
    file = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
