"""The tables of a log in PostgreSQL: what is in them, and how they are made.

``atlas_log`` has one row: whose log it is (``format.json``), its size, the peaks of its tree, the last checkpoint that
it signed, and the last that it published, with what its witnesses said of it. ``atlas_log_entry`` has the entries with
their leaf hashes, ``atlas_log_node`` the roots of the complete subtrees of 256, 65,536 … leaves, by level and position.
Rows of these two are added, and never changed or removed: a tile of any width is cut from them, and can never have two
contents.

They are made in the first schema of the connection's ``search_path``, one log in a schema.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import LiteralString, NamedTuple

from psycopg import Connection
from psycopg.errors import UndefinedTable

from airflow_provider_atlas.errors import ConfigError, LogError, MalformedError, MissingError
from airflow_provider_atlas.tlog import merkle
from airflow_provider_atlas.tlog.checkpoint import SignedCheckpoint
from airflow_provider_atlas.tlog.format import VERSION, Format
from airflow_provider_atlas.tlog.note import SignedNote, VerifierKey
from airflow_provider_atlas.tlog.tile import ENTRIES, FULL, Tile, bundle

_MAKING = 0x61746C6173  # "atlas": who makes the tables holds it, since two CREATE TABLE IF NOT EXISTS can collide
_PUBLISHING = 0x61746C70  # "atlp": with the table's own id, so that logs in other schemas do not wait

_TABLES: tuple[LiteralString, ...] = (
    """CREATE TABLE IF NOT EXISTS atlas_log (
         one boolean PRIMARY KEY DEFAULT true CHECK (one),
         version integer NOT NULL,
         format bytea NOT NULL,
         size bigint NOT NULL DEFAULT 0 CHECK (size >= 0),
         peaks bytea NOT NULL DEFAULT '',
         checkpoint bytea,
         published bytea)""",
    """CREATE TABLE IF NOT EXISTS atlas_log_entry (
         index bigint PRIMARY KEY CHECK (index >= 0),
         leaf bytea NOT NULL UNIQUE CHECK (length(leaf) = 32),
         entry bytea NOT NULL CHECK (length(entry) BETWEEN 1 AND 65535))""",
    """CREATE TABLE IF NOT EXISTS atlas_log_node (
         level smallint NOT NULL CHECK (level > 0),
         position bigint NOT NULL CHECK (position >= 0),
         hash bytea NOT NULL CHECK (length(hash) = 32),
         PRIMARY KEY (level, position))""",
)
_ROWS: dict[int, LiteralString] = {
    ENTRIES: "SELECT entry FROM atlas_log_entry WHERE index >= %s AND index < %s ORDER BY index",
    0: "SELECT leaf FROM atlas_log_entry WHERE index >= %s AND index < %s ORDER BY index",
}
_NODES: LiteralString = (
    "SELECT hash FROM atlas_log_node WHERE position >= %s AND position < %s AND level = %s ORDER BY position"
)


class Head(NamedTuple):
    """How far the log is: its size, the complete subtrees that its tree consists of, and what it signed last."""

    size: int
    peaks: list[bytes]
    checkpoint: bytes | None


def open_tables(connection: Connection, key: VerifierKey, place: str, *, create: bool) -> None:
    """Check that the log of ``key`` is in the database, and make it when it is not and ``create`` says so.

    Raises ConfigError when there is none, the log of another origin or key, or tables of another version.
    """
    found = _found(connection)
    if found is None and create:
        found = _create(connection, key)
    if found is None:
        raise ConfigError(f"{place} holds no log: name the database of one, or make it first")
    version, content = found
    if version != VERSION:
        raise ConfigError(f"{place} holds tables of version {version}, and this is version {VERSION}: upgrade")
    try:
        Format.parse(content).check(key, place)
    except MalformedError as error:
        raise ConfigError(f"{place} holds a log that this version cannot read: upgrade, or restore it") from error


def lock_head(connection: Connection, *, patience: int) -> Head:
    """Return how far the log is, and let no other transaction add to it before this one ends.

    Waits ``patience`` seconds at most; in the transaction, so that it holds behind a pooler of connections too.
    """
    _begin(connection, patience)
    row = connection.execute("SELECT size, peaks, checkpoint FROM atlas_log FOR UPDATE").fetchone()
    if row is None:
        raise LogError("the row of the log in atlas_log is gone: restore the database")
    size, peaks, checkpoint = row
    return Head(size, [peaks[at : at + 32] for at in range(0, len(peaks), 32)], checkpoint)


def find(connection: Connection, leaves: Sequence[bytes]) -> dict[bytes, int]:
    """Return the index of each of the leaf hashes ``leaves`` that the log has."""
    return dict(
        connection.execute("SELECT leaf, index FROM atlas_log_entry WHERE leaf = ANY(%s)", (list(leaves),)).fetchall()
    )


def add(connection: Connection, head: Head, entries: Sequence[bytes]) -> Head:
    """Add ``entries`` to the log that ``head``, which is locked, tells of; return how far it is then."""
    peaks, leaves, nodes = list(head.peaks), [merkle.leaf_hash(entry) for entry in entries], []
    for index, leaf in enumerate(leaves, head.size):
        made = merkle.grow(peaks, index, leaf)
        nodes += [(height // 8, index >> height, made[height]) for height in range(8, len(made), 8)]
    connection.execute(
        "INSERT INTO atlas_log_entry (index, leaf, entry) SELECT * FROM unnest(%s::bigint[], %s::bytea[], %s::bytea[])",
        (list(range(head.size, head.size + len(entries))), leaves, list(entries)),
    )
    if nodes:
        connection.execute(
            "INSERT INTO atlas_log_node (level, position, hash)"
            " SELECT * FROM unnest(%s::smallint[], %s::bigint[], %s::bytea[])",
            tuple(map(list, zip(*nodes, strict=True))),
        )
    return Head(head.size + len(entries), peaks, None)


def save_head(connection: Connection, head: Head, signed: SignedCheckpoint, *, publish: bool) -> None:
    """Note how far the log is, and ``signed``, what it signs by that; ``publish`` it too."""
    connection.execute(
        "UPDATE atlas_log SET size = %(size)s, peaks = %(peaks)s, checkpoint = %(signed)s,"
        " published = CASE WHEN %(publish)s THEN %(signed)s ELSE published END",
        {
            "size": head.size,
            "peaks": b"".join(head.peaks),
            "signed": signed.note.to_bytes(),
            "publish": publish,
        },
    )


def lock_published(connection: Connection, *, patience: int) -> tuple[bytes | None, bytes | None]:
    """Return what the log signed last, and what it published last; let nobody else publish before the transaction ends.

    Others may add to the log meanwhile: the lock is not that of its row. Waits as ``lock_head`` does.
    """
    _begin(connection, patience)
    connection.execute("SELECT pg_advisory_xact_lock(%s, 'atlas_log'::regclass::oid::int)", (_PUBLISHING,))
    row = connection.execute("SELECT checkpoint, published FROM atlas_log").fetchone()
    if row is None:
        raise LogError("the row of the log in atlas_log is gone: restore the database")
    return row[0], row[1]


def publish(connection: Connection, note: SignedNote) -> None:
    """Note that the log publishes ``note``. The caller holds the lock of ``lock_published``."""
    connection.execute("UPDATE atlas_log SET published = %s", (note.to_bytes(),))


def read_checkpoint(connection: Connection) -> bytes | None:
    """Return the checkpoint that the log published last, or None."""
    row = connection.execute("SELECT published FROM atlas_log").fetchone()
    return row[0] if row else None


def read_tile(connection: Connection, tile: Tile) -> bytes:
    """Return the content of ``tile``. Raises MissingError when the log has less than it."""
    first = tile.number * FULL
    if tile.level > 0:
        rows = connection.execute(_NODES, (first, first + tile.width, tile.level)).fetchall()
    else:
        rows = connection.execute(_ROWS[tile.level], (first, first + tile.width)).fetchall()
    if len(rows) != tile.width:
        raise MissingError(f"the log has {len(rows)} of the {tile.width} rows of {tile.path}")
    parts = [row[0] for row in rows]
    return bundle(parts) if tile.level == ENTRIES else b"".join(parts)


def _begin(connection: Connection, patience: int) -> None:
    """Set how long this transaction waits for a lock, and holds one; and that its commit is durable."""
    connection.execute(
        "SELECT set_config('lock_timeout', %(wait)s, true),"
        # A writer that was stopped, or whose host is gone, must not hold the log for ever.
        " set_config('idle_in_transaction_session_timeout', %(wait)s, true),"
        " set_config('synchronous_commit', CASE current_setting('synchronous_commit')"
        " WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, true)",  # acknowledged is durable
        {"wait": f"{patience}s"},
    )


def _found(connection: Connection) -> tuple[int, bytes] | None:
    try:
        with connection.transaction():
            return connection.execute("SELECT version, format FROM atlas_log").fetchone()
    except UndefinedTable:
        return None


def _create(connection: Connection, key: VerifierKey) -> tuple[int, bytes] | None:
    content = Format(origin=key.name, key=key, created=datetime.now(UTC)).to_bytes()
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_MAKING,))
        for table in _TABLES:
            connection.execute(table)
        # Another process may have made the log meanwhile, and appended to it. But where there are entries and no row,
        # that is gone, and a new one must not be put before them.
        if connection.execute(
            "SELECT 1 FROM atlas_log_entry WHERE NOT EXISTS (SELECT 1 FROM atlas_log) LIMIT 1"
        ).fetchone():
            return None
        connection.execute(
            "INSERT INTO atlas_log (version, format) VALUES (%s, %s) ON CONFLICT DO NOTHING", (VERSION, content)
        )
    return _found(connection)
