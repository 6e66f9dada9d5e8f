"""What the quote of a batch commits to. The first test is the protocol: when it fails, no such quote binds any more."""

import hashlib

from airflow_provider_atlas.tee.batch import fold


def test_the_report_data_is_the_sha512_of_the_domain_the_size_and_the_root_of_rfc_6962():
    leaves = [bytes([number]) * 64 for number in range(3)]
    a, b, c = (hashlib.sha256(b"\x00" + leaf).digest() for leaf in leaves)
    left = hashlib.sha256(b"\x01" + a + b).digest()
    root = hashlib.sha256(b"\x01" + left + c).digest()
    report_data, proofs = fold(leaves)
    assert report_data == hashlib.sha512(b"atlas-tee-batch-v1\0" + b"\0\0\0\0\0\0\0\x03" + root).digest()
    assert [proof.hashes for proof in proofs] == [(b, c), (a, c), (left,)]
    assert [(proof.index, proof.size) for proof in proofs] == [(0, 3), (1, 3), (2, 3)]
