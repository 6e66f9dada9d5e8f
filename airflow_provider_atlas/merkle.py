"""Merkle trees: hashes, roots, and proofs of inclusion and consistency, made and checked.

A tree is given as a function ``node(height, position)`` that returns the hash of the complete subtree over the
leaves ``[position << height, position + 1 << height)``; everything else follows from those. Nothing here recurses,
and nothing reads more than O(log² size) of them.

See: RFC 6962 §2.1 (the hashes and proofs), RFC 9162 §2.1.3.2 and §2.1.4.2 (how to check them).
"""

import hashlib
from collections.abc import Callable, Sequence

from airflow_provider_atlas.errors import ConsistencyError, InclusionError

Node = Callable[[int, int], bytes]
"""``node(height, position)``: the hash of a complete subtree of ``2**height`` leaves."""

EMPTY_ROOT = hashlib.sha256(b"").digest()
"""The root of the tree without leaves."""


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of the leaf that holds ``entry``."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of the node above ``left`` and ``right``."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def perfect_root(hashes: Sequence[bytes]) -> bytes:
    """Return the hash above ``hashes``, whose number is a power of two."""
    while len(hashes) > 1:
        hashes = [node_hash(hashes[at], hashes[at + 1]) for at in range(0, len(hashes), 2)]
    return hashes[0]


def grow(peaks: list[bytes], size: int, leaf: bytes) -> list[bytes]:
    """Add ``leaf`` to the tree of ``size`` leaves whose complete subtrees, widest first, are ``peaks``.

    Returns the hashes of the subtrees that end with it, by height: the first is ``leaf``, the last is the new peak.
    """
    made = [leaf]
    while size & 1:  # each peak as wide as the new one is joined with it, as in a binary counter
        made.append(node_hash(peaks.pop(), made[-1]))
        size >>= 1
    peaks.append(made[-1])
    return made


def fold(peaks: Sequence[bytes]) -> bytes:
    """Return the root above ``peaks``, the complete subtrees of a tree, widest first."""
    if not peaks:
        return EMPTY_ROOT
    above = peaks[-1]
    for peak in reversed(peaks[:-1]):
        above = node_hash(peak, above)
    return above


def nodes_of(leaves: Sequence[bytes]) -> Node:
    """Return the tree over the leaf hashes ``leaves``, all of it in memory."""
    levels = [list(leaves)]
    while len(levels[-1]) > 1:
        below = levels[-1]
        levels.append([node_hash(below[at], below[at + 1]) for at in range(0, len(below) - 1, 2)])
    return lambda height, position: levels[height][position]


def root(size: int, node: Node) -> bytes:
    """Return the root of the tree of ``size`` leaves."""
    return _subtree(0, size, node) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, node: Node) -> tuple[bytes, ...]:
    """Return the hashes from the sibling of leaf ``index`` to the child of the root of the tree of ``size`` leaves.

    Raises InclusionError when the tree has no such leaf.
    """
    if not 0 <= index < size:
        raise InclusionError(f"expected a leaf below {size}, the size of the tree")
    proof = []
    position, last, height = index, size - 1, 0
    while last:
        sibling = position ^ 1
        if sibling <= last:
            proof.append(_subtree(sibling << height, min(sibling + 1 << height, size), node))
        position, last, height = position >> 1, last >> 1, height + 1
    return tuple(proof)


def consistency_proof(old: int, new: int, node: Node) -> tuple[bytes, ...]:
    """Return the hashes that lead from the root at size ``old`` to the root at size ``new``.

    Raises ConsistencyError unless 0 <= old <= new.
    """
    if not 0 <= old <= new:
        raise ConsistencyError("expected the older tree to be the smaller one")
    start, end, proof = 0, new, list[bytes]()
    while 0 < old < end:
        middle = start + _split(end - start)
        if old <= middle:
            proof.append(_subtree(middle, end, node))
            end = middle
        else:
            proof.append(_subtree(start, middle, node))
            start = middle
    if start:  # otherwise the old root is itself where the proof begins
        proof.append(_subtree(start, end, node))
    return tuple(reversed(proof))


def check_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], expected: bytes) -> None:
    """Check that ``proof`` leads from the leaf hash ``leaf`` at ``index`` to ``expected``, the root at ``size``.

    Raises InclusionError when it does not.
    """
    if proven_root(index, size, leaf, proof) != expected:
        raise InclusionError("expected an inclusion proof that leads to the root of the checkpoint")


def proven_root(index: int, size: int, leaf: bytes, proof: Sequence[bytes]) -> bytes:
    """Return the root that ``proof`` leads to from the leaf hash ``leaf`` at ``index`` in a tree of ``size`` leaves.

    Raises InclusionError when the tree has no such leaf, or the proof another length than its proofs have.
    """
    if not 0 <= index < size:
        raise InclusionError(f"expected a leaf below {size}, the size of the tree")
    position, last, above = index, size - 1, leaf
    for sibling in proof:
        if not last:
            raise InclusionError("expected a shorter inclusion proof")
        if position & 1 or position == last:
            above = node_hash(sibling, above)
            position, last = _skip(position, last)
        else:
            above = node_hash(above, sibling)
        position, last = position >> 1, last >> 1
    if last:
        raise InclusionError("expected a longer inclusion proof")
    return above


def check_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Check that the tree of ``new`` leaves extends the tree of ``old`` leaves. Raises ConsistencyError otherwise."""
    if not 0 <= old <= new:
        raise ConsistencyError("expected the older tree to be the smaller one")
    if old in (0, new):
        expected = EMPTY_ROOT if old == 0 else new_root
        if proof or old_root != expected or (new == 0 and new_root != EMPTY_ROOT):
            raise ConsistencyError("expected equal trees to have equal roots, and no proof")
        return
    hashes = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not hashes or _climb(old, new, hashes) != (old_root, new_root):
        raise ConsistencyError("expected a consistency proof that leads to both roots")


def _climb(old: int, new: int, hashes: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Return the old and the new root that ``hashes`` lead to (RFC 9162 §2.1.4.2, steps 3 to 7)."""
    position, last = old - 1, new - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    was = now = hashes[0]
    for sibling in hashes[1:]:
        if not last:
            raise ConsistencyError("expected a shorter consistency proof")
        if position & 1 or position == last:
            was, now = node_hash(sibling, was), node_hash(sibling, now)
            position, last = _skip(position, last)
        else:
            now = node_hash(now, sibling)
        position, last = position >> 1, last >> 1
    if last:
        raise ConsistencyError("expected a longer consistency proof")
    return was, now


def _skip(position: int, last: int) -> tuple[int, int]:
    """Climb past the levels where the last node has no sibling."""
    while position and not position & 1:
        position, last = position >> 1, last >> 1
    return position, last


def _subtree(start: int, end: int, node: Node) -> bytes:
    """Return the hash over the leaves ``[start, end)``; ``start`` is a multiple of the next power of two."""
    hashes = []
    while start < end:
        height = (end - start).bit_length() - 1
        hashes.append(node(height, start >> height))
        start += 1 << height
    return fold(hashes)


def _split(size: int) -> int:
    """Return the largest power of two below ``size``."""
    return 1 << (size - 1).bit_length() - 1
