"""The log that the durable engine keeps in one SQLite file.

Owns the file: its schema, its lock, reading it whole and appending to it. Never runs on the event loop: every call
blocks, and one thread at a time makes them. Knows nothing of watches or of writes that are still waiting.

The file is one table of writes, with the revision as its row id: a commit appends at the end of one tree, and a write
costs its value once. Rows up to the compacted revision are the state at that revision, the rows after it are history;
compaction deletes the rows that neither shows.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import TypeVar

from kube_actors.store.contract import (
    FIRST_REVISION,
    Entry,
    Event,
    Retention,
    StoreError,
    StoreFull,
)
from kube_actors.store.machine import Machine

SCHEMA_VERSION = 1
APPLICATION_ID = 0x6B756265
"""Marks a file as ours: the letters of its first word."""

LOCK_WAIT_SECONDS = 0.2
WAL_PAGES = 1000
"""Pages in the write-ahead log before SQLite moves them into the file."""

_SCHEMA = f"""
    BEGIN IMMEDIATE;
    CREATE TABLE log (
        revision INTEGER PRIMARY KEY,
        key TEXT NOT NULL,
        value BLOB NOT NULL,
        created INTEGER NOT NULL,
        slot INTEGER NOT NULL,
        deleted INTEGER NOT NULL
    );
    CREATE TABLE state (compacted INTEGER NOT NULL);
    INSERT INTO state VALUES (0);
    PRAGMA application_id = {APPLICATION_ID};
    PRAGMA user_version = {SCHEMA_VERSION};
    COMMIT;
"""

ROWS_AT_ONCE = 1000
"""Rows in one statement; SQLite allows 32,766 parameters, a row has six."""

CACHED_STATEMENTS = 16

Item = TypeVar("Item")
Row = tuple[int, str, bytes, int, int, int]


class SqliteLog:
    """One open file. `max_pages` bounds its size (0: by the disk only)."""

    def __init__(self, path: str, *, max_pages: int = 0) -> None:
        self.path = path
        self._connection = self._connect(max_pages)

    def load(self, retention: Retention | None) -> Machine:
        """The machine as the file shows it: state at the compacted revision, then every write since."""
        try:
            (compacted,) = self._connection.execute("SELECT compacted FROM state").fetchone()
            rows = self._connection.execute(
                "SELECT revision, key, value, created, slot, deleted FROM log ORDER BY revision"
            )
            return self._replay(rows, compacted, retention)
        except sqlite3.Error as error:
            raise self._explained(error) from error

    def commit(self, events: Sequence[Event], dead: Sequence[int], compacted: int) -> None:
        """Appends `events` and drops the rows `dead`, durable on return. Raises StoreFull, StoreError; nothing then."""
        run = self._connection
        try:
            if not dead and len(events) <= ROWS_AT_ONCE:
                self._append(events)  # a statement on its own is a transaction
                return
            run.execute("BEGIN IMMEDIATE")
            for part in _parts(dead):  # first, so that the new rows may use their pages
                run.execute(f"DELETE FROM log WHERE revision IN ({','.join(map(str, part))})")
            if dead:
                run.execute("UPDATE state SET compacted = ?", (compacted,))
            for some in _parts(events):
                self._append(some)
            run.execute("COMMIT")
        except sqlite3.Error as error:
            if run.in_transaction:
                run.execute("ROLLBACK")
            raise self._explained(error) from error

    def _append(self, events: Sequence[Event]) -> None:
        """All in one statement: the interpreter's lock is given up once, not once per row, and while the event
        loop is busy every time costs the milliseconds until the loop gives it back."""
        if events:
            rows = ",".join(["(?,?,?,?,?,?)"] * len(events))
            self._connection.execute(
                f"INSERT INTO log VALUES {rows}", [field for event in events for field in _row_of(event)]
            )

    def close(self) -> None:
        self._connection.close()

    def _connect(self, max_pages: int) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = None
        try:
            connection = sqlite3.connect(
                self.path,
                timeout=LOCK_WAIT_SECONDS,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=CACHED_STATEMENTS,
            )
            # Exclusive before the first read: one process holds the file, and no shared memory is needed.
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
            if max_pages:
                connection.execute(f"PRAGMA max_page_count = {max_pages}")
            self._adopt(connection)
        except sqlite3.Error as error:
            if connection is not None:
                connection.close()
            raise self._explained(error) from error
        except StoreError:
            assert connection is not None
            connection.close()
            raise
        return connection

    def _adopt(self, connection: sqlite3.Connection) -> None:
        """Takes the lock, and makes the schema in a new file or checks it in an old one."""
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (owner,) = connection.execute("PRAGMA application_id").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if not tables:
            connection.executescript(_SCHEMA)
            return
        if owner != APPLICATION_ID:
            raise StoreError(f"{self.path} is an SQLite file, but not a store")
        if version > SCHEMA_VERSION:
            raise StoreError(
                f"{self.path} was written by a newer version (schema {version}; this one knows {SCHEMA_VERSION})"
            )
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("COMMIT")

    def _replay(self, rows: Iterator[Row], compacted: int, retention: Retention | None) -> Machine:
        base: dict[str, Entry] = {}
        later: Row | None = None
        for row in rows:
            revision, key, value, created, slot, _ = row
            if revision > compacted:
                later = row
                break
            base[key] = Entry(key, value, created, revision, slot)
        machine = Machine(
            entries=base.values(),
            revision=max(compacted, FIRST_REVISION),
            compacted=compacted,
            retention=retention,
        )
        while later is not None:
            revision, key, value, _, slot, deleted = later
            previous = machine.get(key)
            if revision != machine.revision + 1 or (deleted and previous is None):
                raise StoreError(f"{self.path} is damaged: write {machine.revision + 1} is missing")
            machine.apply(Event(key, revision, value, bool(deleted), previous, slot))
            later = next(rows, None)
        return machine

    def _explained(self, error: sqlite3.Error) -> StoreError:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code == sqlite3.SQLITE_FULL:
            return StoreFull(f"no room left for {self.path}: {error}")
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return StoreError(f"{self.path} is in use by another process")
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return StoreError(f"{self.path} is damaged: {error}")
        return StoreError(f"{self.path}: {error}")


def _row_of(event: Event) -> Row:
    created = event.previous.created if event.previous else event.revision
    return event.revision, event.key, event.value, created, event.slot, event.deleted


def _parts(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    return (items[at : at + ROWS_AT_ONCE] for at in range(0, len(items), ROWS_AT_ONCE))
