import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from airflow_provider_atlas import merkle
from airflow_provider_atlas.errors import InclusionError, MalformedError, SignatureError
from airflow_provider_atlas.tlog.checkpoint import Checkpoint
from airflow_provider_atlas.tlog.note import VerifierKey, sign
from airflow_provider_atlas.tlog.receipt import Receipt
from airflow_provider_atlas.tlog.trust import TrustedLog
from tests.support.logs import KEY, ORIGIN, SIGNING_KEY, entries

ENTRIES = entries(0, 5)
NODE = merkle.nodes_of([merkle.leaf_hash(entry) for entry in ENTRIES])
CHECKPOINT = Checkpoint(origin=ORIGIN, size=5, root=merkle.root(5, NODE))
NOTE = sign(CHECKPOINT.to_text(), ORIGIN, SIGNING_KEY)


def receipt(index: int = 2, extra: bytes = b"") -> Receipt:
    return Receipt(index=index, hashes=merkle.inclusion_proof(index, 5, NODE), note=NOTE, extra=extra)


@pytest.mark.parametrize("index", range(5))
def test_receipt_leads_from_its_entry_to_the_checkpoint(index):
    parsed = Receipt.parse(receipt(index).to_bytes())
    assert parsed == receipt(index)
    assert parsed.checkpoint == CHECKPOINT
    assert TrustedLog(origin=ORIGIN, key=KEY).check(parsed, ENTRIES[index]) == CHECKPOINT


def test_extra_data_is_kept_and_proves_nothing():
    parsed = Receipt.parse(receipt(extra=b"anything").to_bytes())
    assert parsed.extra == b"anything"
    assert parsed.check(ENTRIES[2], ORIGIN, [KEY]) == CHECKPOINT


def test_receipt_of_another_entry_is_refused():
    with pytest.raises(InclusionError):
        receipt(2).check(ENTRIES[3], ORIGIN, [KEY])


def test_receipt_of_another_index_is_refused():
    with pytest.raises(InclusionError):
        Receipt(index=3, hashes=receipt(2).hashes, note=NOTE).check(ENTRIES[2], ORIGIN, [KEY])


def test_receipt_of_another_log_is_refused():
    with pytest.raises(SignatureError):
        receipt().check(ENTRIES[2], "log.example/other", [KEY])


def test_receipt_signed_by_another_key_is_refused():
    stranger = VerifierKey.of(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"s" * 32))
    with pytest.raises(SignatureError):
        receipt().check(ENTRIES[2], ORIGIN, [stranger])


def test_receipt_whose_checkpoint_was_changed_is_refused():
    changed = Receipt.parse(receipt().to_bytes().replace(b"\n5\n", b"\n6\n"))
    with pytest.raises(SignatureError):
        changed.check(ENTRIES[2], ORIGIN, [KEY])


GOOD = receipt().to_bytes()
HASH = GOOD.split(b"\n")[2]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n\n",
        GOOD[:-1],
        GOOD.replace(b"@v1", b"@v2"),
        GOOD.replace(b"c2sp.org/tlog-proof@v1\n", b""),
        GOOD.replace(b"index 2", b"index 02"),
        GOOD.replace(b"index 2", b"index -2"),
        GOOD.replace(b"index 2", b"index 9223372036854775808"),
        GOOD.replace(b"index 2", b"Index 2"),
        GOOD.replace(b"index 2\n", b""),
        GOOD.replace(b"index 2", b"extra \nindex 2"),
        GOOD.replace(b"index 2", b"extra YQ\nindex 2"),
        GOOD.replace(b"index 2", b"extra YQ==\nextra YQ==\nindex 2"),
        GOOD.replace(b"index 2", b"index 2\nextra YQ=="),
        GOOD.replace(HASH, HASH[:-1]),
        GOOD.replace(HASH, b"AAAA"),
        GOOD.replace(HASH, b"\xff" + HASH),
        GOOD.replace(HASH, b"\n".join([HASH] * 65)),
        GOOD.replace(HASH + b"\n", HASH + b"\n\n"),
        GOOD.replace(b"\n5\n", b"\nfive\n"),
        GOOD.replace(b"\n", b"\r\n"),
        GOOD + b"x" * 1_000_001,
        b"c2sp.org/tlog-proof@v1\n" + b"x" * 1_000_000 + b"\n\n",
    ],
)
def test_everything_but_the_one_spelling_of_a_receipt_is_malformed(data):
    with pytest.raises(MalformedError):
        Receipt.parse(data)
