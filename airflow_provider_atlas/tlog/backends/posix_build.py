"""How the tree of a log in a folder is built from its journal, signed and published; and built again after a crash.

The journal decides; everything else follows from it, byte for byte. So there is one moment at which a commit happens:
when the disk has both the entries and the checkpoint that covers them, which are in the same file. Before it, nobody
has seen the signature; after it, whoever comes next writes the same tiles, and signs the same checkpoint.
"""

import itertools
from collections.abc import Iterable, Iterator

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from airflow_provider_atlas import merkle
from airflow_provider_atlas.errors import ConsistencyError, MalformedError, MissingError
from airflow_provider_atlas.tlog.backends import posix_files as files
from airflow_provider_atlas.tlog.backends.posix_folder import LogFolder, UnderivedError
from airflow_provider_atlas.tlog.backends.posix_journal import Position, Record
from airflow_provider_atlas.tlog.backends.posix_state import TreeState
from airflow_provider_atlas.tlog.checkpoint import Checkpoint, SignedCheckpoint
from airflow_provider_atlas.tlog.edge import Edge, TileContent
from airflow_provider_atlas.tlog.note import sign
from airflow_provider_atlas.tlog.tile import FULL, TileTree, parse_hashes, tile_at
from airflow_provider_atlas.tlog.witness import Cosign

_ROLLED_BACK = (
    "the log in {} signed {} entries that its journal does not give, so it was rolled back or swapped and signs nothing"
    " more: restore the folder from a backup that is not older than its checkpoint"
)


def integrate(folder: LogFolder, key: Ed25519PrivateKey, size: int, cosign: Cosign | None = None) -> SignedCheckpoint:
    """Build the tree over all of the journal, sign it with ``key``, publish it. The caller holds ``folder.tree_lock``.

    When another process was faster, and signed a tree of ``size`` entries or more, return its checkpoint instead.

    Raises UnderivedError when the tiles are not there to build upon, and ConsistencyError when the log signed something
    that its journal does not give: then nothing is signed. Raises what ``cosign`` raises: then nothing is published,
    and the next call builds the same tree again.
    """
    state = folder.state()
    if state.signed and state.size >= size:
        return state.signed
    edge = _edge(folder, state)
    records = list(folder.journal.read(state.position))
    full = list(_grow(folder, edge, records, _claims(folder, [*_signed_before(folder, state), *_signed_in(records)])))
    checkpoint = Checkpoint(origin=folder.key.name, size=edge.size, root=edge.root())
    signed = SignedCheckpoint(checkpoint, sign(checkpoint.to_text(), folder.key.name, key))
    end = records[-1].end if records else state.position
    # A crash up to here changed nothing. The next process finds the same records and comes to the same tree.
    _commit(folder, signed, end, durable=state.size)
    # The commit is made. A crash from here on is finished by the next process: tree.json, written last, still names the
    # old state, and the journal the new checkpoint, which what is built then is compared with before more is signed.
    folder.tiles.write([*full, *edge.partials(since=state.size)])
    folder.index.add(_leaves(records, state.size))
    if cosign:
        signed = _cosigned(folder, signed, cosign, state.signed)
    # Full tiles are durable and all tiles are in place, so the checkpoint may be seen.
    folder.publish(signed)
    folder.tiles.collect(full)
    folder.save(TreeState(position=end, signed=signed, boot=files.boot_id()))
    return signed


def recover(folder: LogFolder, *, whole: bool, cosign: Cosign | None = None) -> None:
    """Make again what is derived from the journal, up to the last checkpoint that was signed.

    What a power failure can have taken is made again: nothing below the size that the last checkpoint in the journal
    says was durable. With ``whole``, everything is compared and mended. Raises ConsistencyError when the journal does
    not give what was signed, ConfigError on a file system that other machines share, and what ``cosign`` raises.
    """
    with files.locked(folder.tree_lock), files.locked(folder.lock):
        if not whole and _is_ready(folder):
            return  # another process was faster
        files.refuse_network(folder.path)
        folder.journal.sync()  # what only the memory of the machine has must not be built upon
        last = folder.journal.last_checkpoint()
        known = folder.remembered()
        found = (folder.published(), _journaled(folder, last), folder.verified(known.signed if known else None))
        signed = max(filter(None, found), key=lambda signed: signed.checkpoint.size, default=None)
        durable = 0 if whole or last is None else last.first
        claims = _claims(folder, [signed.checkpoint for signed in found if signed])
        position = _derive(folder, durable, claims)
        if whole or not folder.index.is_whole(position.size):
            folder.index.rebuild(_indexed(folder, position.size))
        if signed:
            if cosign and len(signed.note.signatures) == 1:  # as the journal has it: its witnesses had not seen it yet
                signed = _cosigned(folder, signed, cosign, folder.published())
            folder.publish(signed)
        # A crash up to here leaves the old tree.json, or none, and the next process begins again.
        folder.save(TreeState(position=position, signed=signed, boot=files.boot_id()))


def _cosigned(
    folder: LogFolder, signed: SignedCheckpoint, cosign: Cosign, before: SignedCheckpoint | None
) -> SignedCheckpoint:
    """Return ``signed`` with the cosignatures that it is to be published with.

    It is in the journal, on the disk, before a witness sees it: what a witness cosigned the log can never lose.
    """
    size = signed.checkpoint.size
    note = cosign(
        signed.note,
        before.note if before else None,
        lambda old: TileTree(size, folder.tiles.read).consistency_proof(old),
    )
    return SignedCheckpoint(signed.checkpoint, note)


def _edge(folder: LogFolder, state: TreeState) -> Edge:
    """Return the edge of the tree as the tiles have it, once its root is proved to be the one that was reached."""
    try:
        edge = Edge.load(state.size, folder.tiles.read)
    except (MissingError, MalformedError, ConsistencyError) as error:
        raise UnderivedError(folder.path, whole=True) from error
    if edge.root() != state.root:
        raise UnderivedError(folder.path, whole=True)
    return edge


def _signed_before(folder: LogFolder, state: TreeState) -> Iterator[Checkpoint]:
    """Yield what the log remembers to have signed, and what it shows: who rolled one back may have left the other."""
    for signed in (state.signed, folder.published(state.signed)):
        if signed:
            yield signed.checkpoint


def _signed_in(records: Iterable[Record]) -> Iterator[Checkpoint]:
    """Yield the checkpoints in the journal: of processes that died before they built what they had signed."""
    for record in records:
        if not record.count:
            yield SignedCheckpoint.parse(record.payload).checkpoint


def _journaled(folder: LogFolder, record: Record | None) -> SignedCheckpoint | None:
    """Return the checkpoint in a record of the journal. Raises ConsistencyError when it is of another log."""
    if record is None:
        return None
    signed = SignedCheckpoint.parse(record.payload)
    if not folder.verified(signed):
        raise ConsistencyError(_ROLLED_BACK.format(folder.path, signed.checkpoint.size))
    return signed


def _claims(folder: LogFolder, checkpoints: Iterable[Checkpoint]) -> dict[int, bytes]:
    """Return the root that was signed for each size. Raises ConsistencyError when there are two for one."""
    claims: dict[int, bytes] = {}
    for checkpoint in checkpoints:
        if claims.setdefault(checkpoint.size, checkpoint.root) != checkpoint.root:
            raise ConsistencyError(_ROLLED_BACK.format(folder.path, checkpoint.size))
    return claims


def _grow(folder: LogFolder, edge: Edge, records: Iterable[Record], claims: dict[int, bytes]) -> Iterator[TileContent]:
    """Add the ``records`` to the tree and yield the tiles that they fill.

    Raises ConsistencyError unless the tree has, or passes through, every root of ``claims``.
    """
    _prove(folder, {size: claims.pop(size) for size in list(claims) if size < edge.size})
    _compare(folder, edge, claims)
    for record in records:
        yield from edge.extend(record.entries())
        _compare(folder, edge, claims)
    if claims:
        raise ConsistencyError(_ROLLED_BACK.format(folder.path, max(claims)))


def _compare(folder: LogFolder, edge: Edge, claims: dict[int, bytes]) -> None:
    if edge.size in claims and claims.pop(edge.size) != edge.root():
        raise ConsistencyError(_ROLLED_BACK.format(folder.path, edge.size))


def _prove(folder: LogFolder, claims: dict[int, bytes]) -> None:
    """Check that the tree, as the tiles have it, passed through every root of ``claims``."""
    for size, root in claims.items():
        try:
            proved = TileTree(size, folder.tiles.read).root() == root
        except (MissingError, MalformedError) as error:
            raise UnderivedError(folder.path, whole=True) from error
        if not proved:
            raise ConsistencyError(_ROLLED_BACK.format(folder.path, size))


def _commit(folder: LogFolder, signed: SignedCheckpoint, end: Position, *, durable: int) -> None:
    """Write ``signed`` to the journal, and return when the disk has it and all that it covers."""
    with files.locked(folder.lock):
        for record in folder.journal.read(end):  # what others have written meanwhile is for the next commit
            end = record.end
        segment = folder.journal.append_checkpoint(end, signed.note.to_bytes(), durable)
    # The one wait for the disk. Others may write meanwhile; theirs may be on the disk too, which does no harm.
    files.sync(segment)


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
    signed = {checkpoint.size for checkpoint in _signed_in(folder.journal.read(position))}
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
        raise ConsistencyError(_ROLLED_BACK.format(folder.path, size))
    folder.tiles.repair(edge.partials())
    _prove(folder, claims)
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


def _leaves(records: Iterable[Record], first: int) -> Iterator[tuple[bytes, int]]:
    """Yield the leaf hash of each entry in ``records``, with its index; that of the first is ``first``."""
    entries = (entry for record in records for entry in record.entries())
    for index, entry in enumerate(entries, first):
        yield merkle.leaf_hash(entry), index


def _indexed(folder: LogFolder, size: int) -> Iterator[tuple[bytes, int]]:
    """Yield each leaf hash of the tree of ``size`` entries, with its index, as the tiles have them."""
    for number in range(-(-size // FULL)):
        tile = tile_at(0, number, size)
        yield from zip(parse_hashes(folder.tiles.read(tile), tile), itertools.count(number * FULL), strict=False)
