"""Attacks on TPM quotes, each by its name. One thing is wrong with each; everything else is genuine."""

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from airflow_provider_atlas.encoding import b64encode
from airflow_provider_atlas.errors import MalformedError, SignatureError
from airflow_provider_atlas.tee.binding import is_committed
from airflow_provider_atlas.tee.evidence import PEM_CERTIFICATE_CHAIN, Endorsements
from airflow_provider_atlas.tee.pem import to_pem
from tests.support import certificates
from tests.support.simulated_tpm import COMMITMENT, PCRS, SimulatedTpm, changed, quote_of


@pytest.fixture(scope="module")
def tpm() -> SimulatedTpm:
    return SimulatedTpm.ecc()


@pytest.fixture(scope="module")
def stranger() -> SimulatedTpm:
    return SimulatedTpm.ecc()


def test_nothing_is_wrong_with_what_the_attacks_start_from(tpm: SimulatedTpm):
    assert tpm.verify(tpm.show(tpm.signed())).report_data == COMMITMENT


def test_a_quote_for_another_nonce_does_not_commit_to_ours(tpm: SimulatedTpm):
    claims = tpm.verify(tpm.show(tpm.signed(extra_data=bytes(32))))
    assert not is_committed(bytes(range(64)), claims.report_data)


def test_another_nonce_under_a_genuine_signature_is_refused(tpm: SimulatedTpm):
    genuine = tpm.signed(extra_data=bytes(32))
    with pytest.raises(SignatureError, match="attestation key signed"):
        tpm.verify(tpm.show(replace(genuine, quote=replace(genuine.quote, extra_data=COMMITMENT))))


@pytest.mark.parametrize("extra_data", [b"", COMMITMENT[:31], COMMITMENT + b"\0", bytes(range(64))])
def test_a_commitment_of_another_length_is_refused(tpm: SimulatedTpm, extra_data: bytes):
    with pytest.raises(SignatureError, match="commits to 32 bytes"):
        tpm.verify(tpm.show(tpm.signed(extra_data=extra_data)))


def test_a_quote_by_another_key_under_the_known_ones_name_is_refused(tpm: SimulatedTpm, stranger: SimulatedTpm):
    with pytest.raises(SignatureError, match="attestation key signed"):
        tpm.verify(tpm.show(stranger.signed()))


def test_another_key_does_not_pass_for_the_known_one(tpm: SimulatedTpm, stranger: SimulatedTpm):
    claims = tpm.verify(stranger.show(stranger.signed()))
    assert claims.facts["ak_sha256"] == claims.root_sha256 == stranger.ak_sha256
    assert not claims.development


def test_another_value_of_a_register_is_refused(tpm: SimulatedTpm):
    with pytest.raises(SignatureError, match="PCR values"):
        tpm.verify(tpm.show(replace(tpm.signed(), pcrs={**PCRS, 7: bytes(32)})))


def test_values_that_changed_places_are_refused(tpm: SimulatedTpm):
    with pytest.raises(SignatureError, match="PCR values"):
        tpm.verify(tpm.show(replace(tpm.signed(), pcrs={**PCRS, 0: PCRS[4], 4: PCRS[0]})))


@pytest.mark.parametrize("pcrs", [{0: PCRS[0]}, {**PCRS, 8: bytes(32)}, {}], ids=["fewer", "more", "none"])
def test_registers_that_the_quote_does_not_select_are_refused(tpm: SimulatedTpm, pcrs: dict[int, bytes]):
    with pytest.raises(MalformedError, match="selects"):
        tpm.verify(tpm.show(replace(tpm.signed(), pcrs=pcrs)))


def test_a_digest_that_no_registers_have_is_refused(tpm: SimulatedTpm):
    with pytest.raises(SignatureError, match="PCR values"):
        tpm.verify(tpm.show(tpm.signed(pcr_digest=bytes(32))))


def test_what_a_tpm_signs_for_anybody_is_no_quote(tpm: SimulatedTpm):
    # A key that is not restricted signs any digest. It never signs the magic number, unless somebody lets it.
    message = b"\0" * 4 + quote_of(PCRS).to_bytes()[4:]
    shown = changed(
        tpm.show(tpm.signed()), message=b64encode(message), signature=b64encode(tpm.sign(message).to_bytes())
    )
    with pytest.raises(MalformedError, match="magic number"):
        tpm.verify(shown)


@pytest.mark.parametrize("tail", [b"\0", b"more"])
def test_trailing_bytes_in_the_quote_are_refused(tpm: SimulatedTpm, tail: bytes):
    message = quote_of(PCRS).to_bytes() + tail
    shown = changed(
        tpm.show(tpm.signed()), message=b64encode(message), signature=b64encode(tpm.sign(message).to_bytes())
    )
    with pytest.raises(MalformedError, match="bytes, not"):
        tpm.verify(shown)


def test_trailing_bytes_in_the_signature_are_refused(tpm: SimulatedTpm):
    shown = changed(tpm.show(tpm.signed()), signature=b64encode(tpm.signed().signature.to_bytes() + b"\0"))
    with pytest.raises(MalformedError, match="bytes, not"):
        tpm.verify(shown)


def test_an_unknown_member_is_refused(tpm: SimulatedTpm):
    with pytest.raises(MalformedError, match="unknown members"):
        tpm.verify(changed(tpm.show(tpm.signed()), more=1))


def test_another_spelling_of_the_key_is_refused():
    tpm = SimulatedTpm.rsa()
    # The same numbers, with an AlgorithmIdentifier that lacks its NULL: two digests of one key.
    spelled = bytearray(tpm.spki)
    null = spelled.index(bytes.fromhex("0500"))
    del spelled[null : null + 2]
    spelled[spelled.index(b"\x30\x0d") + 1] = 0x0B
    spelled[2:4] = (int.from_bytes(spelled[2:4], "big") - 2).to_bytes(2, "big")
    with pytest.raises(MalformedError, match="attestation key"):
        tpm.verify(changed(tpm.show(tpm.signed()), ak=b64encode(bytes(spelled))))


def certified(tpm: SimulatedTpm, holder: certificates.Holder):
    return tpm.show(tpm.signed(), Endorsements(media_type=PEM_CERTIFICATE_CHAIN, content=to_pem(*holder.chain)))


def test_a_certificate_of_another_key_is_refused(tpm: SimulatedTpm, stranger: SimulatedTpm):
    with pytest.raises(SignatureError, match="certificate of the attestation key"):
        tpm.verify(certified(tpm, certificates.root().issue("AK", stranger.key)))


def test_a_certificate_that_its_issuer_did_not_sign_is_refused(tpm: SimulatedTpm):
    mine, theirs = certificates.root("Root"), certificates.root("Root")
    leaf = theirs.issue("AK", tpm.key)
    with pytest.raises(SignatureError, match="to have issued"):
        tpm.verify(certified(tpm, replace(leaf, above=(mine,))))


@pytest.mark.parametrize(
    ("profile", "why"),
    [
        ({"ca": False}, "to be an authority"),
        ({"ca": True, "cert_sign": False}, "allowed to sign certificates"),
        ({"ca": True, "ends": certificates.ISSUED + timedelta(days=1)}, "to be valid at"),
        ({"ca": True, "begins": certificates.EXPIRES - timedelta(days=1)}, "to be valid at"),
        ({"ca": True, "critical": "1.3.6.1.4.1.99999.1"}, "no critical extension"),
    ],
    ids=["no authority", "may not sign", "expired", "not yet valid", "not understood"],
)
def test_an_issuer_that_is_none_is_refused(tpm: SimulatedTpm, profile: dict[str, object], why: str):
    with pytest.raises(SignatureError, match=why):
        tpm.verify(certified(tpm, certificates.root().issue("CA", **profile).issue("AK", tpm.key)))


def test_an_authority_below_one_that_may_have_none_is_refused(tpm: SimulatedTpm):
    deep = certificates.root(path_length=0).issue("CA", ca=True).issue("AK", tpm.key)
    with pytest.raises(SignatureError, match="at most 0 authorities"):
        tpm.verify(certified(tpm, deep))
    flat = certificates.root(path_length=0).issue("AK", tpm.key)
    assert tpm.verify(certified(tpm, flat)).facts["ak_root_sha256"]


def test_two_chains_are_refused(tpm: SimulatedTpm):
    shown = certified(tpm, certificates.root().issue("AK", tpm.key))
    with pytest.raises(MalformedError, match="one chain"):
        tpm.verify(replace(shown, endorsements=(*shown.endorsements, *shown.endorsements)))


def test_evidence_that_calls_itself_another_tee_is_refused(tpm: SimulatedTpm):
    shown = tpm.show(tpm.signed())
    for changed_evidence in (replace(shown, tee="tdx"), replace(shown, media_type="application/json")):
        with pytest.raises(MalformedError, match="tee 'tpm'"):
            tpm.verify(changed_evidence)


def test_a_key_off_its_curve_is_refused(tpm: SimulatedTpm):
    point = bytearray(tpm.spki)
    point[-1] ^= 1
    assert isinstance(tpm.key.curve, ec.SECP256R1)
    with pytest.raises(MalformedError, match="attestation key"):
        tpm.verify(changed(tpm.show(tpm.signed()), ak=b64encode(bytes(point))))
