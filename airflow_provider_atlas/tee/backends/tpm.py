"""The verifier of a plain TPM's quotes.

A TPM comes with no vendor's root that would say what machine it is in: its attestation key is the root. So the claims
say which key it was, and a policy that accepts a TPM names the keys that it knows (``ak_sha256``).
See: TCG Trusted Attestation Protocol, use cases; RFC 9334 §4 (Verifier).
"""

from collections.abc import Collection, Mapping
from datetime import datetime

from airflow_provider_atlas.encoding import sha256_hex
from airflow_provider_atlas.errors import MalformedError, SignatureError
from airflow_provider_atlas.tee.certificates import parse_chain, spki_of, verify_chain
from airflow_provider_atlas.tee.evidence import PEM_CERTIFICATE_CHAIN, Claims, Evidence, Fact
from airflow_provider_atlas.tee.pem import parse_pem
from airflow_provider_atlas.tee.tpm.attestation_key import AttestationKey
from airflow_provider_atlas.tee.tpm.evidence import TPM_QUOTE, TpmEvidence


class TpmVerifier:
    """An ``EvidenceVerifier`` for TPM 2.0: a quote with the PCR values it digests."""

    def verify(self, evidence: Evidence, *, development_roots: Collection[str], at: datetime) -> Claims:
        """Return the claims of a TPM quote that its attestation key signed.

        ``root_sha256`` is the SHA-256 of that key's SubjectPublicKeyInfo, ``development`` whether it is in
        ``development_roots``. Nothing else tells whose TPM it is: the fact ``ak_sha256`` must be appraised, or the fact
        ``ak_root_sha256``, which is there when the key came with certificates, valid at ``at``, up to that root.

        Raises MalformedError for bytes that are no TPM evidence, SignatureError for a quote that is not genuine.
        """
        if (evidence.tee, evidence.media_type) != ("tpm", TPM_QUOTE):
            raise MalformedError("expected evidence of tee 'tpm' with a TPM quote")
        parsed = TpmEvidence.parse(evidence.quote)
        parsed.signed.verify(parsed.key)
        facts = {**parsed.signed.facts(), "ak_sha256": parsed.key.sha256, **_certified(evidence, parsed.key, at)}
        return Claims(
            tee="tpm",
            report_data=parsed.signed.quote.extra_data,
            measurements=parsed.signed.measurements(),
            tcb_status=None,
            advisory_ids=(),
            debug=False,
            root_sha256=parsed.key.sha256,
            development=parsed.key.sha256 in development_roots,
            facts=facts,
        )


def _certified(evidence: Evidence, key: AttestationKey, at: datetime) -> Mapping[str, Fact]:
    """Return to which root certificates lead from ``key``, if there are any."""
    chains = [one.content for one in evidence.endorsements if one.media_type == PEM_CERTIFICATE_CHAIN]
    if not chains:
        return {}
    if len(chains) > 1:
        raise MalformedError("expected one chain of certificates with the TPM quote")
    ders = parse_pem(chains[0])
    certificates = parse_chain(ders, "the attestation key's chain")
    if spki_of(certificates[0]) != key.spki:
        raise SignatureError("expected a certificate of the attestation key that signed the TPM quote")
    verify_chain(certificates, at=at)
    return {"ak_root_sha256": sha256_hex(ders[-1])}
