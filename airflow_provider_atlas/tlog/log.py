"""The seam to a transparency log, and what every log that stands behind it asks and answers alike."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from airflow_provider_atlas import merkle
from airflow_provider_atlas.errors import ConfigError, LogError, MalformedError
from airflow_provider_atlas.tlog.checkpoint import Checkpoint, SignedCheckpoint
from airflow_provider_atlas.tlog.note import VerifierKey
from airflow_provider_atlas.tlog.receipt import Receipt
from airflow_provider_atlas.tlog.tile import MAX_ENTRY_BYTES, TileTree

_MAX_ORIGIN = 255  # so that tree.json, which holds a checkpoint, fits a page


class TransparencyLog(Protocol):
    """A log that can be appended to, seen by a worker."""

    def append(self, entries: Sequence[bytes]) -> Sequence[Receipt]:
        """Append ``entries``, each 1 to 65,535 bytes; return one receipt for each, in order.

        A log in a folder appends them in one commit. One that is reached over Rekor's interface takes one at a time,
        and hashedrekords alone.

        When this returns, the entries are durable, their indices are final, and a signed checkpoint covers them.
        An entry that the log already holds is not added again: its receipt names the first index.

        Raises LogError when the log is away, refuses, or does not own its folder.
        """
        ...

    def latest(self) -> Checkpoint | None:
        """Return the newest checkpoint that the log signed, or None when it has signed none.

        Raises LogError when the log is away.
        """
        ...


class DeferringLog(TransparencyLog, Protocol):
    """A log that can take entries before it signs for them."""

    def sequence(self, entries: Sequence[bytes]) -> Sequence[int]:
        """Take ``entries``, and return the index of each.

        When this returns, the entries are durable and their indices final; no checkpoint need cover them yet. To
        append them later returns their receipts. Raises LogError as ``append`` does.
        """
        ...

    def integrate(self) -> Checkpoint | None:
        """Sign for all that was taken; return the checkpoint that covers it, None as long as that is nothing.

        Raises LogError as ``append`` does.
        """
        ...


def verifier_key(origin: str, key: Ed25519PrivateKey) -> VerifierKey:
    """Return what verifies the checkpoints of the log ``origin``, signed by ``key``. Raises ConfigError."""
    if len(origin) > _MAX_ORIGIN:
        raise ConfigError(f"the origin of a log must have at most {_MAX_ORIGIN} characters")
    try:
        return VerifierKey.of(origin, key)
    except MalformedError as error:
        raise ConfigError(f"the origin of a log must have no spaces and no plus signs: {origin!r}") from error


def check_entries(entries: Sequence[bytes]) -> None:
    """Raise LogError unless a log can hold each of ``entries``."""
    if not all(0 < len(entry) <= MAX_ENTRY_BYTES for entry in entries):
        raise LogError(f"an entry of a log has 1 to {MAX_ENTRY_BYTES} bytes: log the digest of what is larger")


def place(
    entries: Sequence[bytes], leaves: Sequence[bytes], known: Mapping[bytes, int], size: int
) -> tuple[list[bytes], list[int]]:
    """Return those of ``entries`` that a log of ``size`` has yet to add, and the index that each one has or gets.

    ``leaves`` are their leaf hashes, and ``known`` tells the indices of those that the log has.
    """
    places = dict(known)
    fresh: list[bytes] = []
    for entry, leaf in zip(entries, leaves, strict=True):
        if leaf not in places:
            places[leaf] = size + len(fresh)
            fresh.append(entry)
    return fresh, [places[leaf] for leaf in leaves]


def receipts(
    tree: TileTree, signed: SignedCheckpoint, indices: Sequence[int], leaves: Sequence[bytes]
) -> list[Receipt]:
    """Return a receipt for each of ``leaves``, off ``tree``, that of the checkpoint ``signed``.

    Raises InclusionError when the tree does not hold a leaf at its index, and what reading the tree raises.
    """
    made = []
    for index, leaf in zip(indices, leaves, strict=True):
        hashes = tree.inclusion_proof(index)
        merkle.check_inclusion(index, signed.checkpoint.size, leaf, hashes, signed.checkpoint.root)
        made.append(Receipt(index=index, hashes=hashes, note=signed.note))
    return made
