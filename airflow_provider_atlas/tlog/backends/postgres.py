"""A transparency log in PostgreSQL, appended to by any number of processes on any number of hosts.

An append is one transaction. It locks the one row that says how far the log is, adds its entries and the hashes above
them, and notes the checkpoint that it signs; who reads sees all of it or nothing. The checkpoint leaves the process
when the database has confirmed the commit. A writer that dies takes its transaction with it.

Where the log has witnesses, they are shown what is committed, in a second transaction: whoever publishes next goes on
from there, so what a witness has seen is never taken back. One asks for all that others have appended meanwhile.

See: ``postgres_tables``, https://www.postgresql.org/docs/current/explicit-locking.html (row-level locks),
docs/adr/0013-logs-many-hosts-share.md.
"""

import os
import random
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from psycopg import Connection, IsolationLevel
from psycopg.conninfo import conninfo_to_dict

from airflow_provider_atlas.errors import (
    AtlasError,
    ConfigError,
    ConsistencyError,
    LogError,
    MalformedError,
    MissingError,
    VerificationError,
)
from airflow_provider_atlas.tlog import merkle
from airflow_provider_atlas.tlog.backends import postgres_tables as tables
from airflow_provider_atlas.tlog.backends.last_seen import LastSeen
from airflow_provider_atlas.tlog.checkpoint import Checkpoint, SignedCheckpoint
from airflow_provider_atlas.tlog.log import check_entries, place, receipts, verifier_key
from airflow_provider_atlas.tlog.note import sign
from airflow_provider_atlas.tlog.receipt import Receipt
from airflow_provider_atlas.tlog.tile import Tile, TileTree
from airflow_provider_atlas.tlog.witness import Cosign, Proof

T = TypeVar("T")

_PATIENCE = 60
_TRIES = 4
_SECRETS = {"password", "sslpassword"}
_DEFAULTS = {"connect_timeout": "10", "application_name": "atlas", "tcp_user_timeout": "30000"}


class Database:
    """The database that ``uri`` (a connection URI of libpq) names, connected to when it is used, and when it was lost.

    Raises ConfigError when ``uri`` is none, or holds a password: libpq takes one from the environment or a file.
    """

    def __init__(self, uri: str) -> None:
        self._wanted = {**_DEFAULTS, **_parse(uri)}
        self.place = f"postgresql://{self._wanted.get('host', '')}/{self._wanted.get('dbname', '')}"
        self._lock = threading.Lock()
        self._connection: tuple[int, Connection] | None = None

    def run(self, doing: str, action: Callable[[Connection], T]) -> T:
        """Return ``action`` of a connection; a lost one is made anew, and ``action``, which must bear it, repeated.

        Raises LogError when the database is away or refuses, and what ``action`` raises.
        """
        with self._lock, self._explained(doing):
            for count in range(_TRIES - 1):
                with suppress(psycopg.OperationalError), self._connected() as connection:
                    return action(connection)
                time.sleep(random.uniform(0, 0.1 * 2**count))  # noqa: S311
            with self._connected() as connection:
                return action(connection)

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """Give the connection of this process, and drop it when an error may have left it in any state."""
        kept, self._connection = self._connection, None
        # What a fork has of its parent's connection is not for it to use, or to close.
        connection = kept[1] if kept and kept[0] == os.getpid() and not kept[1].closed else self._connect()
        try:
            yield connection
        except AtlasError:
            self._connection = os.getpid(), connection
            raise
        except BaseException:
            connection.close()
            raise
        self._connection = os.getpid(), connection

    def _connect(self) -> Connection:
        # Without prepared statements, so that a pooler may give each transaction another connection.
        connection = psycopg.connect(autocommit=True, prepare_threshold=None, **self._wanted)  # type: ignore[arg-type]
        connection.set_isolation_level(IsolationLevel.READ_COMMITTED)
        weakref.finalize(self, _close, os.getpid(), connection)
        return connection

    @contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            why = str(error).strip().partition("\n")[0]
            raise LogError(f"cannot {doing} the log in {self.place} ({why}): check the database") from error


class PostgresLog:
    """The log ``origin`` at ``uri``, whose checkpoints ``key`` signs; made if it is not there, when ``create``.

    ``uri`` is as ``Database`` has it. What this machine sees of the log is remembered in the folder ``seen``, or when
    that is None as long as this object lives; ``cosign`` asks its witnesses before a checkpoint is published. It may be
    used from any thread, and across a fork. Raises ConfigError when something else is there, and LogError when the
    database is away.
    """

    def __init__(
        self,
        uri: str,
        origin: str,
        key: Ed25519PrivateKey,
        *,
        create: bool = True,
        seen: Path | None = None,
        cosign: Cosign | None = None,
    ) -> None:
        self.key = verifier_key(origin, key)
        self._signing_key = key
        self._database = Database(uri)
        self._seen = LastSeen(seen, self.key)
        self._cosign = cosign
        self._database.run("open", lambda connection: self._open(connection, create=create))

    def append(self, entries: Sequence[bytes]) -> Sequence[Receipt]:
        """Append ``entries`` (``TransparencyLog.append``).

        Raises LogError when the database is away, or was rolled back or changed, so that signing on would fork the log.
        An entry that was not acknowledged may be in the log; appending it again returns its receipt.
        """
        check_entries(entries)
        if not entries:
            return []
        leaves = [merkle.leaf_hash(entry) for entry in entries]

        def appended(connection: Connection) -> list[Receipt]:
            with connection.transaction():
                indices, signed = self._sequence(connection, entries, leaves)
            self._seen.keep(signed)
            if self._cosign:
                signed = self._published(connection, max(indices) + 1, self._cosign)
            return receipts(_tree(connection, signed.checkpoint.size), signed, indices, leaves)

        try:
            return self._database.run("append to", appended)
        except (MalformedError, MissingError, VerificationError) as error:
            raise LogError(f"the log in {self._database.place} cannot be gone on with: {error}") from error

    def latest(self) -> Checkpoint | None:
        """Return the checkpoint that the log publishes (``TransparencyLog.latest``)."""
        try:
            signed = self._signed(self._database.run("read", tables.read_checkpoint))
        except (MalformedError, VerificationError) as error:
            raise LogError(f"the checkpoint in {self._database.place} is not signed by the log's key") from error
        return signed.checkpoint if signed else None

    def _open(self, connection: Connection, *, create: bool) -> None:
        tables.open_tables(connection, self.key, self._database.place, create=create)

    def _sequence(
        self, connection: Connection, entries: Sequence[bytes], leaves: Sequence[bytes]
    ) -> tuple[list[int], SignedCheckpoint]:
        """Add those of ``entries`` that are not in the log; return the index of each, and what the log then signs."""
        head = tables.lock_head(connection, patience=_PATIENCE)
        signed = self._proved(connection, head)
        fresh, indices = place(entries, leaves, tables.find(connection, leaves), head.size)
        if fresh:
            head = tables.add(connection, head, fresh)
            checkpoint = Checkpoint(origin=self.key.name, size=head.size, root=merkle.fold(head.peaks))
            # It grew from the peaks of the last one, so it is consistent with it. A crash before the commit takes the
            # signature along; nobody has seen it.
            signed = SignedCheckpoint(checkpoint, sign(checkpoint.to_text(), self.key.name, self._signing_key))
            tables.save_head(connection, head, signed, publish=self._cosign is None)
        if signed is None:
            raise ConsistencyError("it has entries, and signed nothing")
        return indices, signed

    def _published(self, connection: Connection, size: int, cosign: Cosign) -> SignedCheckpoint:
        """Return a published checkpoint of at least ``size`` entries: the last one, or the next, cosigned now.

        What is shown to a witness was committed before. A crash up to the end of this leaves it there, unpublished.
        """
        with connection.transaction():
            last, before = map(self._signed, tables.lock_published(connection, patience=_PATIENCE))
            if before and before.checkpoint.size >= size:
                return before  # who published it waited for the witnesses for this append too
            if last is None or last.checkpoint.size < size:
                raise ConsistencyError("it was rolled back while it was appended to")
            with _proofs(connection, last.checkpoint.size) as proof:
                note = cosign(last.note, before.note if before else None, proof)
            tables.publish(connection, note)
        return SignedCheckpoint(last.checkpoint, note)

    def _proved(self, connection: Connection, head: tables.Head) -> SignedCheckpoint | None:
        """Return what the log signed last, proved to be the tree of ``head`` and to continue what was seen."""
        signed, root = self._signed(head.checkpoint), merkle.fold(head.peaks)
        if (signed.checkpoint.size, signed.checkpoint.root) != (head.size, root) if signed else head.size:
            raise ConsistencyError(
                f"it is not what it signed last, and was changed or rolled back at {head.size} entries"
            )
        self._seen.check(head.size, lambda size: root if size == head.size else _tree(connection, size).root())
        return signed

    def _signed(self, data: bytes | None) -> SignedCheckpoint | None:
        if data is None:
            return None
        signed = SignedCheckpoint.parse(data)
        signed.verify(self.key.name, (self.key,))
        return signed


class DatabaseSource:
    """The log in the database ``uri`` (as ``Database`` has it), as its readers see it (``Source``)."""

    def __init__(self, uri: str) -> None:
        self._database = Database(uri)
        self.place = self._database.place

    def checkpoint(self) -> bytes | None:
        """Return the checkpoint (``Source.checkpoint``)."""
        return self._database.run("read", tables.read_checkpoint)

    def read(self, tile: Tile) -> bytes:
        """Return the content of ``tile`` (``Source.read``)."""
        return self._database.run("read", lambda connection: tables.read_tile(connection, tile))


def _tree(connection: Connection, size: int) -> TileTree:
    return TileTree(size, lambda tile: tables.read_tile(connection, tile))


@contextmanager
def _proofs(connection: Connection, size: int) -> Iterator[Proof]:
    """Give what proves that the tree of ``size`` extends others, to many threads, until the block ends.

    A witness may still be asked when a quorum has answered; the connection then is about something else.
    """
    lock, tree, open_ = threading.Lock(), _tree(connection, size), True

    def proof(old: int) -> Sequence[bytes]:
        with lock:
            if not open_:
                raise LogError("the others were faster")
            try:
                return tree.consistency_proof(old)
            except psycopg.Error as error:
                raise LogError("the database is away") from error

    try:
        yield proof
    finally:
        with lock:
            open_ = False


def _close(process: int, connection: Connection) -> None:
    if process == os.getpid():
        connection.close()


def _parse(uri: str) -> dict[str, str]:
    if not uri.startswith("postgresql://"):
        raise ConfigError("expected the log to be postgresql://user@host/database")
    try:
        wanted = {name: str(value) for name, value in conninfo_to_dict(uri).items()}
    except psycopg.ProgrammingError as error:
        raise ConfigError("expected the log to be a connection URI as libpq has them") from error
    if wanted.keys() & _SECRETS:
        raise ConfigError(
            "expected no password in the log's URI: set PGPASSWORD, or PGPASSFILE and a file of mode 0600"
        )
    return wanted
