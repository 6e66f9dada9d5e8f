"""The verifier of SEV-SNP reports, on ``cryptography`` alone. Why it is our own: ADR 0018.

Numbered as the checks below. A report is genuine when

1. its certificates lead to AMD's pinned root, or to an accepted development root, all valid at the moment asked for;
2. that root's revocation list, if there is one, is current and names none of them;
3. the leaf signed it, as the kind of key that the report says (VCEK or VLEK), for the product that it says;
4. the leaf was derived for the TCB that it reports, and is of the chip that it names;
5. a guest asked for it (the host can, too), and the host can neither debug that guest nor have it moved.

See: SEV-SNP Firmware ABI Specification (AMD 56860) §7.3; VCEK Certificate and KDS Interface Specification (AMD 57230).
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from airflow_provider_atlas.encoding import sha256_hex
from airflow_provider_atlas.errors import MalformedError, MissingError, SignatureError
from airflow_provider_atlas.tee.evidence import (
    PEM_CERTIFICATE_CHAIN,
    PKIX_CRL,
    SNP_REPORT,
    Claims,
    Endorsements,
    Evidence,
    Fact,
)
from airflow_provider_atlas.tee.sev_snp.amd import AMD_ROOT_KEYS
from airflow_provider_atlas.tee.sev_snp.chain import SnpChain
from airflow_provider_atlas.tee.sev_snp.endorsement_key import EndorsementKey
from airflow_provider_atlas.tee.sev_snp.report import SnpReport
from airflow_provider_atlas.tee.sev_snp.revocation import RevocationList
from airflow_provider_atlas.tee.sev_snp.tcb import Product, components

_MEASUREMENTS = (
    *("measurement", "host_data", "id_key_digest", "author_key_digest"),
    *("report_id", "family_id", "image_id"),
)
_HIGHEST_VMPL = 3


class SevSnpVerifier:
    """An ``EvidenceVerifier`` for AMD SEV-SNP: reports with the certificates that they came with."""

    def __init__(self, vendor_roots: Mapping[str, Product] = AMD_ROOT_KEYS) -> None:
        """Take the keys in ``vendor_roots`` for the vendor's own: see ``AMD_ROOT_KEYS``."""
        self._vendor_roots = vendor_roots

    def verify(self, evidence: Evidence, *, development_roots: Collection[str], at: datetime) -> Claims:
        """Return the claims of an SNP report that is genuine at the aware moment ``at``: see ``claims``.

        Raises as ``claims`` does, and MalformedError for evidence of another TEE or in another form.
        """
        if (evidence.tee, evidence.media_type) != ("sev-snp", SNP_REPORT):
            raise MalformedError("expected evidence of tee 'sev-snp' with a raw SNP report")
        return self.claims(evidence.quote, evidence.endorsements, development_roots=development_roots, at=at)

    def claims(
        self, report: bytes, endorsements: Sequence[Endorsements], *, development_roots: Collection[str], at: datetime
    ) -> Claims:
        """Return what ``report`` claims, once it is genuine at ``at``: for platforms that carry one within their own.

        The certificates must lead to AMD's root, or to one whose certificate's SHA-256 (DER, lower-case hex) is in
        ``development_roots``; the claims of the latter say so.

        Raises MalformedError for bytes that are no report, chain or list, MissingError when the chain is not there or
        not complete, SignatureError for all else: a signature, a root, a revocation, a date, a debug guest.
        """
        told = SnpReport.parse(report)
        chain = _signed_chain(_chain(endorsements))
        development = self._is_development(chain, development_roots)
        chain.check_times(at)
        revocations = _revocations(endorsements)
        if revocations is not None:
            revocations.check((chain.leaf.certificate, chain.ask), chain.ark, at)
        _check_signed(told, chain.leaf)
        _check_platform(told, chain.leaf)
        _check_guest(told)
        return Claims(
            tee="sev-snp",
            report_data=told.report_data,
            measurements={name: getattr(told, name).hex() for name in _MEASUREMENTS},
            tcb_status=None,
            advisory_ids=(),
            debug=told.debug,
            root_sha256=chain.ark.sha256,
            development=development,
            facts={**_guest(told), **_platform(told, chain.leaf), **_revoked(revocations)},
        )

    def _is_development(self, chain: SnpChain, development_roots: Collection[str]) -> bool:
        """1: whether the root is an accepted one of somebody else; refuse one that is neither that nor the vendor's."""
        product = self._vendor_roots.get(chain.ark.key_sha256)
        if product is None and chain.ark.sha256 not in development_roots:
            raise SignatureError(
                f"expected AMD's root or an accepted development root, not {chain.ark.sha256}", code="root-not-trusted"
            )
        if product not in (None, chain.leaf.product):
            raise SignatureError(
                f"expected the root of {chain.leaf.product}, not that of {product}", code="root-not-trusted"
            )
        return product is None


def _chain(endorsements: Sequence[Endorsements]) -> bytes:
    found = [one.content for one in endorsements if one.media_type == PEM_CERTIFICATE_CHAIN]
    if not found:
        raise MissingError("expected a certificate chain with the SNP report: AMD's KDS has it")
    if len(found) > 1:
        raise MalformedError("expected one certificate chain with the SNP report")
    return found[0]


@lru_cache(maxsize=256)
def _signed_chain(pem: bytes) -> SnpChain:
    """1: the chain, once its signatures are checked. A whole run often comes from one chip, and so with one chain."""
    chain = SnpChain.parse(pem)
    chain.check_signatures()
    return chain


def _revocations(endorsements: Sequence[Endorsements]) -> RevocationList | None:
    """2: the revocation list, None when there is none. Whether that will do is for a policy to say."""
    found = [one.content for one in endorsements if one.media_type == PKIX_CRL]
    if len(found) > 1:
        raise MalformedError("expected at most one revocation list with the SNP report")
    return RevocationList.parse(found[0]) if found else None


def _check_signed(report: SnpReport, leaf: EndorsementKey) -> None:
    """3: by this key, which is what the report says that it is."""
    if report.signing_key != leaf.kind:
        raise SignatureError(f"expected a report that a {leaf.kind} signed, not {report.signing_key}")
    if report.version >= 3 and report.product != leaf.product:
        raise SignatureError(f"expected a report of {leaf.product}, and its CPUID is of {report.product or 'another'}")
    try:
        signature = encode_dss_signature(report.signature_r, report.signature_s)
        leaf.key.verify(signature, report.signed_bytes(), ec.ECDSA(hashes.SHA384()))
    except InvalidSignature as error:
        raise SignatureError(f"expected the {leaf.kind} to have signed the SNP report", code="signature") from error


def _check_platform(report: SnpReport, leaf: EndorsementKey) -> None:
    """4: another chip's key, or this chip's at another TCB, says nothing of this report."""
    if report.reported_tcb != leaf.tcb:
        raise SignatureError(
            f"expected a {leaf.kind} for the reported TCB {report.reported_tcb.hex()}, not for {leaf.tcb.hex()}",
            code="collateral-of-another-platform",
        )
    if leaf.chip_id is not None and not report.chip_id_masked and report.chip_id != leaf.chip_id:
        raise SignatureError(
            "expected the VCEK of the chip that the SNP report names", code="collateral-of-another-platform"
        )


def _check_guest(report: SnpReport) -> None:
    """5: whatever a policy says."""
    if report.vmpl > _HIGHEST_VMPL:
        raise SignatureError("expected a report that a guest asked for, and not its host")
    if report.debug:
        raise SignatureError("expected a guest that its host cannot debug", code="debug")
    if report.migratable:
        raise SignatureError("expected a guest that cannot migrate to another platform", code="migratable")


def _guest(report: SnpReport) -> Mapping[str, Fact]:
    return {
        "report_version": report.version,
        "guest_svn": report.guest_svn,
        "policy": report.policy,
        "vmpl": report.vmpl,
        "debug": report.debug,
        "migratable": report.migratable,
        "author_key_en": report.author_key_en,
    }


def _platform(report: SnpReport, leaf: EndorsementKey) -> Mapping[str, Fact]:
    facts: dict[str, Fact] = {
        "product": leaf.product,
        "platform_info": report.platform_info,
        "flags": report.flags,
        "signing_key": leaf.kind,
        "chip_id_masked": report.chip_id_masked,
        "launch_mit_vector": report.launch_mit_vector,
        "current_mit_vector": report.current_mit_vector,
    }
    for name in ("reported_tcb", "committed_tcb", "current_tcb", "launch_tcb"):
        tcb = components(getattr(report, name), leaf.product)
        facts.update({f"{name}.{component}": svn for component, svn in tcb.items()})
    if not report.chip_id_masked:  # it names one machine for ever, so only its hash may be published
        facts["chip_id_sha256"] = sha256_hex(report.chip_id)
    if leaf.csp_id is not None:
        facts["csp_id"] = leaf.csp_id
    return facts


def _revoked(revocations: RevocationList | None) -> Mapping[str, Fact]:
    if revocations is None:
        return {"crl": "absent"}
    facts: dict[str, Fact] = {"crl": "checked", "crl_issued": int(revocations.issued.timestamp())}
    return facts if revocations.number is None else {**facts, "crl_number": revocations.number}
