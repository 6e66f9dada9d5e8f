r"""A batch: one quote for many records. To change this file is to change the protocol.

The leaves of an RFC 6962 tree are the report data of the records, 64 bytes each, in any order. The quote carries

``SHA-512("atlas-tee-batch-v1\0" ‖ size ‖ root)``, 64 bytes, with the size as 8 bytes, big-endian

so a quote of a batch is never one of a record, even where the batch has one. The size is in it because a proof of
RFC 6962 alone does not tell the size of its tree.
See: ``docs/format.md`` §5; RFC 6962 §2.1.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from airflow_provider_atlas import merkle
from airflow_provider_atlas.encoding import Fields, Json, JsonObject, parse_hex
from airflow_provider_atlas.errors import BindingError, InclusionError, MalformedError

MAX_BATCH = 4096
"""How many records one quote may be for."""

_DOMAIN = b"atlas-tee-batch-v1\0"
_DEEPEST = (MAX_BATCH - 1).bit_length()


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchProof:
    """That a record is in the batch which a quote was made for.

    ``index`` is its place among ``size`` records; ``hashes`` (32 bytes each) lead from its leaf to the root.
    """

    index: int
    size: int
    hashes: tuple[bytes, ...]

    @classmethod
    def parse(cls, value: Json) -> "BatchProof":
        """Return the proof that ``to_json`` gave as ``value``. Raises MalformedError otherwise."""
        fields = Fields(value, "the batch")
        index, size, hashes = fields.integer("index"), fields.integer("size"), fields.items("hashes")
        fields.end()
        if not (0 <= index < MAX_BATCH and 1 <= size <= MAX_BATCH):
            raise MalformedError(f"expected a place in a batch of at most {MAX_BATCH} records")
        if len(hashes) > _DEEPEST:
            raise MalformedError(f"expected a batch proof of at most {_DEEPEST} hashes")
        return cls(index=index, size=size, hashes=tuple(map(_parse_hash, hashes)))

    def to_json(self) -> JsonObject:
        """Return the JSON object of this proof."""
        return {"index": self.index, "size": self.size, "hashes": [each.hex() for each in self.hashes]}

    def report_data(self, leaf: bytes) -> bytes:
        """Return the 64 bytes that a quote must carry when the record whose report data is ``leaf`` is in its batch.

        Raises BindingError when no batch of this size has such a proof.
        """
        try:
            return _report_data(
                self.size, merkle.proven_root(self.index, self.size, merkle.leaf_hash(leaf), self.hashes)
            )
        except InclusionError as error:
            raise BindingError(f"expected a proof that the record is in the batch: {error}") from error


def fold(leaves: Sequence[bytes]) -> tuple[bytes, Sequence[BatchProof]]:
    """Return the report data of a quote for the records whose report data are ``leaves``, and the proof of each.

    There must be 1 to ``MAX_BATCH`` leaves.
    """
    size, node = len(leaves), merkle.nodes_of(list(map(merkle.leaf_hash, leaves)))
    proofs = [
        BatchProof(index=index, size=size, hashes=merkle.inclusion_proof(index, size, node)) for index in range(size)
    ]
    return _report_data(size, merkle.root(size, node)), proofs


def _report_data(size: int, root: bytes) -> bytes:
    return hashlib.sha512(_DOMAIN + size.to_bytes(8, "big") + root).digest()


def _parse_hash(value: Json) -> bytes:
    if not isinstance(value, str):
        raise MalformedError("expected the hashes of a batch proof in hex")
    return parse_hex(value, 32)
