"""What a log has signed so far, held against the tree that its journal gives.

"A log MUST NOT sign any checkpoint which is inconsistent with any checkpoint it previously signed"
(https://c2sp.org/tlog-checkpoint): here is where that is seen to.
"""

from collections.abc import Iterable, Iterator

from airflow_provider_atlas.errors import ConsistencyError, MalformedError, MissingError
from airflow_provider_atlas.tlog.backends.posix_folder import LogFolder, UnderivedError
from airflow_provider_atlas.tlog.backends.posix_journal import Record
from airflow_provider_atlas.tlog.checkpoint import Checkpoint, SignedCheckpoint
from airflow_provider_atlas.tlog.edge import Edge, TileContent
from airflow_provider_atlas.tlog.tile import TileTree

_ROLLED_BACK = (
    "the log in {} signed {} entries that its journal does not give, so it was rolled back or swapped and signs nothing"
    " more: restore the folder from a backup that is not older than its checkpoint"
)


def rolled_back(folder: LogFolder, size: int) -> ConsistencyError:
    """Return what to raise when the log signed ``size`` entries that its journal does not give."""
    return ConsistencyError(_ROLLED_BACK.format(folder.path, size))


def signed_in(records: Iterable[Record]) -> Iterator[Checkpoint]:
    """Yield the checkpoints in the journal: of processes that died before they built what they had signed."""
    for record in records:
        if not record.count:
            yield SignedCheckpoint.parse(record.payload).checkpoint


def claims_of(folder: LogFolder, checkpoints: Iterable[Checkpoint]) -> dict[int, bytes]:
    """Return the root that was signed for each size. Raises ConsistencyError when there are two for one."""
    claims: dict[int, bytes] = {}
    for checkpoint in checkpoints:
        if claims.setdefault(checkpoint.size, checkpoint.root) != checkpoint.root:
            raise rolled_back(folder, checkpoint.size)
    return claims


def grow(folder: LogFolder, edge: Edge, records: Iterable[Record], claims: dict[int, bytes]) -> Iterator[TileContent]:
    """Add the ``records`` to the tree and yield the tiles that they fill.

    Raises ConsistencyError unless the tree has, or passes through, every root of ``claims``.
    """
    prove(folder, {size: claims.pop(size) for size in list(claims) if size < edge.size})
    _compare(folder, edge, claims)
    for record in records:
        yield from edge.extend(record.entries())
        _compare(folder, edge, claims)
    if claims:
        raise rolled_back(folder, max(claims))


def prove(folder: LogFolder, claims: dict[int, bytes]) -> None:
    """Check that the tree, as the tiles have it, passed through every root of ``claims``.

    Raises ConsistencyError when it did not, and UnderivedError when the tiles cannot be read.
    """
    for size, root in claims.items():
        try:
            proved = TileTree(size, folder.tiles.read).root() == root
        except (MissingError, MalformedError) as error:
            raise UnderivedError(folder.path, whole=True) from error
        if not proved:
            raise rolled_back(folder, size)


def _compare(folder: LogFolder, edge: Edge, claims: dict[int, bytes]) -> None:
    if edge.size in claims and claims.pop(edge.size) != edge.root():
        raise rolled_back(folder, edge.size)
