"""How what a log in a folder derives from its journal is made again, after a crash, a power failure, or a bad disk."""

import itertools
from collections.abc import Iterator

from airflow_provider_atlas.errors import ConsistencyError, MalformedError, MissingError
from airflow_provider_atlas.tlog.backends import posix_files as files
from airflow_provider_atlas.tlog.backends.posix_build import cosigned
from airflow_provider_atlas.tlog.backends.posix_claims import claims_of, prove, rolled_back, signed_in
from airflow_provider_atlas.tlog.backends.posix_folder import LogFolder, UnderivedError
from airflow_provider_atlas.tlog.backends.posix_journal import Position, Record
from airflow_provider_atlas.tlog.backends.posix_state import TreeState
from airflow_provider_atlas.tlog.checkpoint import SignedCheckpoint
from airflow_provider_atlas.tlog.edge import Edge, TileContent
from airflow_provider_atlas.tlog.tile import FULL, parse_hashes, tile_at
from airflow_provider_atlas.tlog.witness import Cosign


def recover(folder: LogFolder, *, whole: bool, cosign: Cosign | None = None) -> None:
    """Make again what is derived from the journal, up to the last checkpoint that was signed.

    What a power failure can have taken is made again: nothing below the size that the last checkpoint in the journal
    says was durable. With ``whole``, everything is compared and mended. Raises ConsistencyError when the journal does
    not give what was signed, ConfigError on a file system that other machines share, and what ``cosign`` raises.
    """
    with files.locked(folder.tree_lock), files.locked(folder.lock):
        if not whole and _is_ready(folder):
            return  # another process was faster
        folder.refuse_network()
        folder.journal.sync()  # what only the memory of the machine has must not be built upon
        last = folder.journal.last_checkpoint()
        known = folder.remembered()
        found = (folder.published(), _journaled(folder, last), folder.verified(known.signed if known else None))
        signed = max(filter(None, found), key=lambda signed: signed.checkpoint.size, default=None)
        durable = 0 if whole or last is None else last.first
        claims = claims_of(folder, [signed.checkpoint for signed in found if signed])
        position = _derive(folder, durable, claims)
        if whole or not folder.index.is_whole(position.size):
            folder.index.rebuild(_indexed(folder, position.size))
        if signed:
            if cosign and len(signed.note.signatures) == 1:  # as the journal has it: its witnesses had not seen it yet
                signed = cosigned(folder, signed, cosign, folder.published())
            folder.publish(signed)
        folder.journal.trim()
        # A crash up to here leaves the old tree.json, or none, and the next process begins again.
        folder.save(TreeState(position=position, signed=signed, boot=files.boot_id()))


def _journaled(folder: LogFolder, record: Record | None) -> SignedCheckpoint | None:
    """Return the checkpoint in a record of the journal. Raises ConsistencyError when it is of another log."""
    if record is None:
        return None
    signed = SignedCheckpoint.parse(record.payload)
    if not folder.verified(signed):
        raise rolled_back(folder, signed.checkpoint.size)
    return signed


def _derive(folder: LogFolder, durable: int, claims: dict[int, bytes]) -> Position:
    """Make again the tiles over what was signed: from the last durable bundle on or, if that fails, all of them."""
    start = durable // FULL * FULL
    try:
        return _derive_from(folder, start, claims)
    except (MissingError, MalformedError, ConsistencyError, UnderivedError):
        if not start:
            raise
    return _derive_from(folder, 0, claims)


def _derive_from(folder: LogFolder, start: int, claims: dict[int, bytes]) -> Position:
    size = max(claims, default=0)
    edge = Edge.above(start, folder.tiles.read)
    position = folder.journal.seek(start)
    signed = {checkpoint.size for checkpoint in signed_in(folder.journal.read(position))}
    since = start
    for record in folder.journal.read(position):
        if edge.size >= size:
            break  # what was never signed is for the next commit
        full = list(edge.extend(record.entries()[max(edge.size - record.first, 0) :]))
        folder.tiles.repair(full)
        folder.tiles.collect(full)
        if edge.size in signed:
            folder.tiles.repair(_kept(edge, since, size))
            since = edge.size
        position = record.end
    if edge.size != size:
        raise rolled_back(folder, size)
    folder.tiles.repair(edge.partials())
    prove(folder, claims)
    return position


def _kept(edge: Edge, since: int, size: int) -> Iterator[TileContent]:
    """Yield the partial tiles of a checkpoint that must still be served when the tree has ``size`` entries.

    A log must serve the partial tiles of every size it signed, as long as the full ones are not there.
    """
    for made in edge.partials(since=since):
        if made.tile.number == size >> 8 * (max(made.tile.level, 0) + 1):
            yield made


def _is_ready(folder: LogFolder) -> bool:
    try:
        folder.state()
    except UnderivedError:
        return False
    return True


def _indexed(folder: LogFolder, size: int) -> Iterator[tuple[bytes, int]]:
    """Yield each leaf hash of the tree of ``size`` entries, with its index, as the tiles have them."""
    for number in range(-(-size // FULL)):
        tile = tile_at(0, number, size)
        yield from zip(parse_hashes(folder.tiles.read(tile), tile), itertools.count(number * FULL), strict=False)
