"""How the tree of a log in a folder is built from its journal, signed and published.

The journal decides; everything else follows from it, byte for byte. So there is one moment at which a commit happens:
when the disk has both the entries and the checkpoint that covers them, which are in the same file. Before it, nobody
has seen the signature; after it, whoever comes next writes the same tiles, and signs the same checkpoint.
"""

import time
from collections.abc import Iterable, Iterator, Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from airflow_provider_atlas import merkle
from airflow_provider_atlas.errors import ConsistencyError, MalformedError, MissingError
from airflow_provider_atlas.tlog.backends import posix_files as files
from airflow_provider_atlas.tlog.backends.posix_claims import claims_of, grow, signed_in
from airflow_provider_atlas.tlog.backends.posix_folder import LogFolder, UnderivedError
from airflow_provider_atlas.tlog.backends.posix_handout import MOST
from airflow_provider_atlas.tlog.backends.posix_journal import Journal, Position, Record
from airflow_provider_atlas.tlog.backends.posix_state import TreeState
from airflow_provider_atlas.tlog.checkpoint import Checkpoint, SignedCheckpoint
from airflow_provider_atlas.tlog.edge import Edge, TileContent
from airflow_provider_atlas.tlog.note import sign_as
from airflow_provider_atlas.tlog.tile import Tile, TileTree
from airflow_provider_atlas.tlog.witness import Cosign

_WAITS = 5
_WAIT_SECONDS = 0.0002


class TreeBuilder:
    """Builds the tree of the log in ``folder`` and signs it with ``key``; ``cosign`` brings in what witnesses say.

    It keeps the edge of the tree as it left it, and goes on from there when nobody else has built since.
    """

    def __init__(self, folder: LogFolder, key: Ed25519PrivateKey, cosign: Cosign | None) -> None:
        self._folder = folder
        self._key = key
        self._cosign = cosign
        self._left: tuple[TreeState, Edge] | None = None

    def integrate(self, size: int | None = None) -> SignedCheckpoint | None:
        """Build the tree over all of the journal, sign it, publish it. The caller holds ``folder.tree_lock``.

        When another process was faster, and signed a tree of ``size`` entries or more, return its checkpoint instead.
        Without a ``size``, when it signed all there is; None, when that is nothing.

        Raises UnderivedError when the tiles are not there to build upon, and ConsistencyError when the log signed
        something that its journal does not give: then nothing is signed. Raises what the witnesses' client raises:
        then nothing is published, and the next call builds the same tree again.
        """
        folder, state = self._folder, self._folder.state()
        if size is not None and state.size >= size:
            return state.signed
        records = _gathered(folder.journal, state.position)
        if size is None and not any(record.count for record in records):
            return state.signed
        edge = self._edge(state)
        claims = claims_of(folder, [*_signed_before(folder, state), *signed_in(records)])
        full = list(grow(folder, edge, records, claims))
        checkpoint = Checkpoint(origin=folder.key.name, size=edge.size, root=edge.root())
        signed = SignedCheckpoint(checkpoint, sign_as(checkpoint.to_text(), folder.key, self._key))
        end = records[-1].end if records else state.position
        # A crash up to here changed nothing. The next process finds the same records and comes to the same tree.
        _commit(folder, signed, end, durable=state.size)
        # The commit is made. A crash from here on is finished by the next process: tree.json, written last, still
        # names the old state, and the journal the new checkpoint, which what is built then is compared with before
        # more is signed.
        folder.tiles.write([*full, *edge.partials(since=state.size)])
        folder.index.add(_leaves(records, state.size))
        if self._cosign:
            signed = cosigned(folder, signed, self._cosign, state.signed)
        # Full tiles are durable and all tiles are in place, so the checkpoint may be seen.
        folder.publish(signed)
        folder.tiles.collect(full)
        if edge.size - state.size <= MOST:
            folder.handout.give(signed.note.to_bytes(), state.size, _proofs(folder, edge, full, state.size))
        built = TreeState(position=end, signed=signed, boot=files.boot_id(), bundle=edge.bundle_digest())
        folder.save(built)
        self._left = built, edge
        return signed

    def _edge(self, state: TreeState) -> Edge:
        """Return the edge of the tree, to be grown once, its root proved to be the one that was reached."""
        left, self._left = self._left, None
        if left and left[0] == state:
            return left[1]
        try:
            edge = Edge.load(state.size, self._folder.tiles.read, state.bundle)
        except (MissingError, MalformedError, ConsistencyError) as error:
            raise UnderivedError(self._folder.path, whole=True) from error
        if edge.root() != state.root:
            raise UnderivedError(self._folder.path, whole=True)
        return edge


def _gathered(journal: Journal, position: Position) -> list[Record]:
    """Return the records of the journal from ``position`` on, once nobody else is about to write another.

    Where one process writes, others mostly do too, and their entries take no more time than those that are there.
    """
    records = list(journal.read(position))
    for _ in range(_WAITS):
        if sum(record.count > 0 for record in records) < 2:
            break
        time.sleep(_WAIT_SECONDS)
        more = list(journal.read(records[-1].end))
        records += more
        if not more:
            break
    return records


def cosigned(
    folder: LogFolder, signed: SignedCheckpoint, cosign: Cosign, before: SignedCheckpoint | None
) -> SignedCheckpoint:
    """Return ``signed`` with the cosignatures that it is to be published with; ``before`` is what was published.

    It is in the journal, on the disk, before a witness sees it: what a witness cosigned the log can never lose.
    Raises what ``cosign`` raises.
    """
    size = signed.checkpoint.size
    note = cosign(
        signed.note,
        before.note if before else None,
        lambda old: TileTree(size, folder.tiles.read).consistency_proof(old),
    )
    return SignedCheckpoint(signed.checkpoint, note)


def _signed_before(folder: LogFolder, state: TreeState) -> Iterator[Checkpoint]:
    """Yield what the log remembers to have signed, and what it shows: who rolled one back may have left the other."""
    for signed in (state.signed, folder.published(state.signed)):
        if signed:
            yield signed.checkpoint


def _commit(folder: LogFolder, signed: SignedCheckpoint, end: Position, *, durable: int) -> None:
    """Write ``signed`` to the journal, and return when the disk has it and all that it covers."""
    with files.locked(folder.lock):
        for record in folder.journal.read(end):  # what others have written meanwhile is for the next commit
            end = record.end
        segment = folder.journal.append_checkpoint(end, signed.note.to_bytes(), durable)
    # The one wait for the disk. Others may write meanwhile; theirs may be on the disk too, which does no harm.
    files.sync(segment)


def _leaves(records: Iterable[Record], first: int) -> Iterator[tuple[bytes, int]]:
    """Yield the leaf hash of each entry in ``records``, with its index; that of the first is ``first``."""
    entries = (entry for record in records for entry in record.entries())
    for index, entry in enumerate(entries, first):
        yield merkle.leaf_hash(entry), index


def _proofs(folder: LogFolder, edge: Edge, full: Sequence[TileContent], first: int) -> Sequence[tuple[bytes, ...]]:
    """Return the inclusion proof of each entry from ``first`` on, off the edge and the tiles that were just filled."""
    made = dict(full)

    def read(tile: Tile) -> bytes:
        return made[tile] if tile in made else folder.tiles.read(tile)

    tree = TileTree(edge.size, read)

    def node(height: int, position: int) -> bytes:
        return edge.node(height, position) or tree.node(height, position)

    return [merkle.inclusion_proof(index, edge.size, node) for index in range(first, edge.size)]
