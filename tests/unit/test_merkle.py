import base64
import hashlib
import itertools

import pytest

from airflow_provider_atlas import merkle
from airflow_provider_atlas.errors import ConsistencyError, InclusionError

# The leaves and roots of the reference tests of Certificate Transparency (google/certificate-transparency, Apache-2.0).
CT_LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
CT_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
HASHES = [merkle.leaf_hash(leaf) for leaf in CT_LEAVES]
NODE = merkle.nodes_of(HASHES)


def rfc6962(leaves: list[bytes]) -> bytes:
    """The definition, as RFC 6962 writes it."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + rfc6962(leaves[:k]) + rfc6962(leaves[k:])).digest()


def test_roots_are_those_of_certificate_transparency():
    assert [merkle.root(size, NODE).hex() for size in range(1, 9)] == CT_ROOTS


def test_root_of_the_empty_tree_is_the_hash_of_nothing():
    assert merkle.root(0, NODE) == hashlib.sha256(b"").digest()


def test_inclusion_proof_is_that_of_certificate_transparency():
    # Path (leaf 6, tree of 8) of the same reference tests; they count leaves from 1.
    assert [digest.hex() for digest in merkle.inclusion_proof(5, 8, NODE)] == [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


def test_consistency_proof_is_that_of_certificate_transparency():
    assert [digest.hex() for digest in merkle.consistency_proof(6, 8, NODE)] == [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


def test_proof_in_the_first_tree_of_the_go_checksum_database_kind_has_the_specified_order():
    # c2sp.org/tlog-proof: from the leaf's sibling up to the root's child.
    proof = merkle.inclusion_proof(0, 4, NODE)
    assert proof == (HASHES[1], merkle.node_hash(HASHES[2], HASHES[3]))


def test_every_proof_of_small_trees_holds_and_holds_for_nothing_else():
    leaves = [merkle.leaf_hash(bytes([number])) for number in range(20)]
    node = merkle.nodes_of(leaves)
    for size in range(21):
        root = merkle.root(size, node)
        assert root == rfc6962(leaves[:size])
        for index in range(size):
            proof = merkle.inclusion_proof(index, size, node)
            merkle.check_inclusion(index, size, leaves[index], proof, root)
            for other in set(range(size)) - {index}:
                with pytest.raises(InclusionError):
                    merkle.check_inclusion(other, size, leaves[index], proof, root)
        for old in range(size + 1):
            before = merkle.root(old, node)
            proof = merkle.consistency_proof(old, size, node)
            merkle.check_consistency(old, size, before, root, proof)


def test_proof_that_is_longer_or_shorter_is_refused():
    for old, new in itertools.combinations(range(1, 9), 2):
        roots, proof = (merkle.root(old, NODE), merkle.root(new, NODE)), merkle.consistency_proof(old, new, NODE)
        for wrong in (proof[:-1], proof[1:], (*proof, HASHES[0]), (HASHES[0], *proof)):
            with pytest.raises(ConsistencyError):
                merkle.check_consistency(old, new, *roots, wrong)
    for index in range(8):
        proof = merkle.inclusion_proof(index, 8, NODE)
        for wrong in (proof[:-1], proof[1:], (*proof, HASHES[0]), (HASHES[0], *proof)):
            with pytest.raises(InclusionError):
                merkle.check_inclusion(index, 8, HASHES[index], wrong, merkle.root(8, NODE))


def test_node_of_the_tree_is_no_leaf_of_it():
    inner = merkle.node_hash(HASHES[0], HASHES[1])
    with pytest.raises(InclusionError):
        merkle.check_inclusion(0, 1, merkle.leaf_hash(HASHES[0] + HASHES[1]), (), inner)


@pytest.mark.parametrize(("index", "size"), [(-1, 8), (8, 8), (0, 0), (9, 8)])
def test_leaf_that_is_not_in_the_tree_has_no_proof(index, size):
    with pytest.raises(InclusionError):
        merkle.inclusion_proof(index, size, NODE)
    with pytest.raises(InclusionError):
        merkle.check_inclusion(index, size, HASHES[0], (), HASHES[0])


@pytest.mark.parametrize(("old", "new"), [(3, 2), (-1, 2)])
def test_tree_that_shrinks_is_consistent_with_nothing(old, new):
    with pytest.raises(ConsistencyError):
        merkle.consistency_proof(old, new, NODE)
    with pytest.raises(ConsistencyError):
        merkle.check_consistency(old, new, merkle.root(2, NODE), merkle.root(3, NODE), ())


def test_empty_tree_is_consistent_with_every_tree_and_needs_no_proof():
    merkle.check_consistency(0, 3, merkle.EMPTY_ROOT, merkle.root(3, NODE), ())
    for root, proof in ((HASHES[0], ()), (merkle.EMPTY_ROOT, (HASHES[0],))):
        with pytest.raises(ConsistencyError):
            merkle.check_consistency(0, 3, root, merkle.root(3, NODE), proof)
    with pytest.raises(ConsistencyError):
        merkle.check_consistency(0, 0, merkle.EMPTY_ROOT, HASHES[0], ())


def test_two_roots_of_one_size_are_a_fork():
    with pytest.raises(ConsistencyError):
        merkle.check_consistency(3, 3, merkle.root(3, NODE), merkle.root(4, NODE), ())


def test_empty_entry_hashes_as_rfc_6962_says():
    assert base64.b64encode(merkle.leaf_hash(b"")) == b"bjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0="
