"""Cosignatures: what one is over, what breaks it, and that another implementation spells the same bytes."""

from dataclasses import replace

import pytest
from tlog_scales import signing, tlog

from airflow_provider_atlas.errors import MalformedError, SignatureError
from airflow_provider_atlas.tlog.checkpoint import Checkpoint, verify_checkpoint
from airflow_provider_atlas.tlog.cosignature import (
    COSIGNER_KINDS,
    Cosignature,
    Cosigner,
    cosigned,
    verify_cosignature,
)
from airflow_provider_atlas.tlog.note import NoteSignature, SignedNote, VerifierKey, verify
from tests.support.logs import KEY, ORIGIN, SIGNING_KEY
from tests.support.witnesses import NOW, QUANTUM, W1, W2, cosigned_by, signed_checkpoint

NOTE = signed_checkpoint()
BOTH = pytest.mark.parametrize("witness", [W1, QUANTUM], ids=["Ed25519", "ML-DSA-44"])


def scales(note: SignedNote) -> tlog.Checkpoint:
    return tlog.Checkpoint.from_text(note.to_bytes().decode())


@BOTH
def test_a_cosignature_tells_when_it_was_made(witness: Cosigner):
    assert cosigned(cosigned_by(NOTE, witness), [witness.verifier_key]) == {witness.verifier_key: NOW}


@BOTH
def test_another_implementation_verifies_what_we_cosign(witness: Cosigner):
    key = signing.Vkey.from_string(str(witness.verifier_key))
    line = signing.NoteSignature.from_line(str(witness.cosign(NOTE.text, NOW)))
    assert key.match(line)
    key.get_verifier().verify_note(line, scales(NOTE))


def test_another_implementation_is_verified_by_us():
    signer = signing.MLDSA44CosignatureSigner(QUANTUM.name, QUANTUM.key)
    line = NoteSignature.parse(signer.sign(scales(NOTE)).serialize())
    assert verify_cosignature(line, QUANTUM.verifier_key, NOTE.text) >= NOW - 10**9
    assert signer.vkey.serialize() == str(QUANTUM.verifier_key)


def test_an_ed25519_cosignature_has_the_bytes_that_the_specification_tells():
    # The message of the specification's own example, signed by hand.
    checkpoint = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    line = W1.cosign(checkpoint, 1679315147)
    by_hand = W1.key.sign(b"cosignature/v1\ntime 1679315147\n" + checkpoint.encode())
    assert line.signature == (1679315147).to_bytes(8, "big") + by_hand


@BOTH
def test_a_key_of_a_witness_keeps_its_spelling(witness: Cosigner):
    text = str(witness.verifier_key)
    assert VerifierKey.parse(text, kinds=COSIGNER_KINDS) == witness.verifier_key
    with pytest.raises(MalformedError):
        VerifierKey.parse(text)  # where a log's key is asked for


@BOTH
def test_a_cosignature_of_another_checkpoint_is_refused(witness: Cosigner):
    other = cosigned_by(signed_checkpoint(size=8), witness)
    moved = SignedNote(text=NOTE.text, signatures=other.signatures[1:])
    with pytest.raises(SignatureError):
        cosigned(moved, [witness.verifier_key])


@BOTH
def test_a_cosignature_whose_time_was_changed_is_refused(witness: Cosigner):
    line = witness.cosign(NOTE.text, NOW)
    later = replace(line, signature=(NOW + 1).to_bytes(8, "big") + line.signature[8:])
    with pytest.raises(SignatureError):
        verify_cosignature(later, witness.verifier_key, NOTE.text)


@BOTH
@pytest.mark.parametrize("cut", [0, 8, 71, -1])
def test_a_cosignature_that_is_cut_short_is_refused(witness: Cosigner, cut: int):
    line = witness.cosign(NOTE.text, NOW)
    with pytest.raises(SignatureError):
        verify_cosignature(replace(line, signature=line.signature[:cut]), witness.verifier_key, NOTE.text)


def test_the_latest_of_several_lines_of_one_witness_counts():
    note = cosigned_by(cosigned_by(NOTE, W1, at=NOW), W1, at=NOW - 5)
    assert cosigned(note, [W1.verifier_key]) == {W1.verifier_key: NOW}


def test_a_stranger_is_ignored_and_a_known_witness_with_a_wrong_line_is_not():
    forged = NoteSignature(name=W2.name, key_id=W2.verifier_key.key_id, signature=bytes(72))
    note = cosigned_by(NOTE, W1)
    note = SignedNote(text=note.text, signatures=(*note.signatures, forged))
    assert set(cosigned(note, [W1.verifier_key])) == {W1.verifier_key}
    with pytest.raises(SignatureError):
        cosigned(note, [W1.verifier_key, W2.verifier_key])


def test_one_key_under_another_name_is_another_witness():
    renamed = Cosigner(name="w9.example", key=W1.key)
    assert cosigned(cosigned_by(NOTE, renamed), [W1.verifier_key]) == {}


def test_ml_dsa_commits_to_the_name_even_when_the_line_is_relabelled():
    renamed = Cosigner(name="w9.example", key=QUANTUM.key)
    line = renamed.cosign(NOTE.text, NOW)
    relabelled = NoteSignature(name=QUANTUM.name, key_id=QUANTUM.verifier_key.key_id, signature=line.signature)
    with pytest.raises(SignatureError):
        verify_cosignature(relabelled, QUANTUM.verifier_key, NOTE.text)


def test_extension_lines_are_under_an_ed25519_cosignature_and_not_under_ml_dsa():
    extended = signed_checkpoint(extensions=("an extension",))
    for witness, refused in ((W1, True), (QUANTUM, False)):
        line = witness.cosign(extended.text, NOW)
        if refused:
            with pytest.raises(SignatureError):
                verify_cosignature(line, witness.verifier_key, NOTE.text)
        else:
            assert verify_cosignature(line, witness.verifier_key, NOTE.text) == NOW


@BOTH
def test_a_witness_is_no_log(witness: Cosigner):
    with pytest.raises(SignatureError):
        verify_checkpoint(cosigned_by(NOTE, witness), ORIGIN, [replace(witness.verifier_key, name=ORIGIN)])
    line = NoteSignature(
        name=witness.name, key_id=witness.verifier_key.key_id, signature=witness.key.sign(NOTE.text.encode())
    )
    with pytest.raises(SignatureError):
        verify(SignedNote(text=NOTE.text, signatures=(line,)), [witness.verifier_key])


def test_a_logs_own_signature_is_no_cosignature():
    as_witness = Cosigner(name=ORIGIN, key=SIGNING_KEY).verifier_key
    line = replace(NOTE.signatures[0], key_id=as_witness.key_id)
    with pytest.raises(SignatureError):
        verify_cosignature(line, as_witness, NOTE.text)
    assert as_witness != KEY


@pytest.mark.parametrize("timestamp", [-1, 2**63])
def test_no_time_beyond_the_limits_is_cosigned(timestamp: int):
    with pytest.raises(MalformedError):
        W1.cosign(NOTE.text, timestamp)


def test_a_time_beyond_the_limits_is_malformed():
    with pytest.raises(MalformedError):
        Cosignature.parse((2**63).to_bytes(8, "big") + bytes(64), W1.verifier_key.kind)


def test_what_is_no_checkpoint_is_not_cosigned():
    with pytest.raises(MalformedError):
        W1.cosign("a text\n", NOW)


def test_an_origin_that_ml_dsa_cannot_spell_is_not_cosigned():
    text = Checkpoint(origin="x" * 256, size=0, root=bytes(32)).to_text()
    with pytest.raises(MalformedError):
        QUANTUM.cosign(text, NOW)
