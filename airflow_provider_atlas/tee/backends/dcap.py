"""The verifier of TDX quotes: ``dcap-qvl`` checks every signature, this module decides which root it may lead to.

``dcap-qvl`` refuses debug guests and enclaves, migratable guests, revoked platforms and expired collateral. What it
does not refuse, and this module does: bytes after the quote, a second chain in the collateral, and TCB levels signed
by anything but a TCB signing key.
See: Intel TDX DCAP Quoting Library API; RFC 9334 §4 (Verifier).
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import cast

from airflow_provider_atlas.encoding import Fields, parse_json, sha256_hex
from airflow_provider_atlas.errors import MalformedError, MissingError, SignatureError
from airflow_provider_atlas.tee import ccel
from airflow_provider_atlas.tee.evidence import DCAP_COLLATERAL, EVENT_LOG, TDX_QUOTE, Claims, Evidence, Fact
from airflow_provider_atlas.tee.tdx.certification import PckChain
from airflow_provider_atlas.tee.tdx.collateral import Collateral
from airflow_provider_atlas.tee.tdx.intel import INTEL_ROOT_SHA256
from airflow_provider_atlas.tee.tdx.quote import TdxQuote
from airflow_provider_atlas.tee.tdx.report import TdReport
from airflow_provider_atlas.x509 import certificate_of, revocation_list_of

_TCB_SIGNING = "SGX TCB Signing"
_CODES = MappingProxyType(
    {
        "No matching TCB level": "tcb-not-supported",
        "TCB status is invalid": "tcb-revoked",
        "revoked": "revoked",
        "expired": "expired",
        "Expired": "expired",
        "hash mismatch": "attestation-key-substituted",
        "CertNotValidYet": "not-yet-valid",
        "issue date is in the future": "not-yet-valid",
        "Debug": "debug",
        "debug": "debug",
        "SEPT_VE_DISABLE": "sept-ve-enabled",
        "Fmspc mismatch": "collateral-of-another-platform",
        "UnknownIssuer": "root-not-trusted",
        "signature": "signature",
        "Signature": "signature",
    }
)
"""What ``dcap-qvl`` says (0.7), in part, and the reason code for it; the first that fits."""


class DcapVerifier:
    """An ``EvidenceVerifier`` for Intel TDX: quotes with the DCAP collateral that they came with."""

    def verify(self, evidence: Evidence, *, development_roots: Collection[str], at: datetime) -> Claims:
        """Return the claims of a TDX quote that is genuine at the aware moment ``at``.

        The quote, its platform's certificates and the collateral must all lead to one root: Intel's, or one whose
        certificate's SHA-256 (DER, lower-case hex) is in ``development_roots``. The claims of the latter say so.

        Raises MalformedError for bytes that are no quote or no collateral, MissingError when the evidence came
        without collateral, SignatureError for all else: a signature, a root, a revocation, a date, a debug guest.
        """
        quote = _quote(evidence)
        collateral = _collateral(evidence)
        root = _root(quote.certification.chain, development_roots)
        _check_closed(quote.report)
        _check_signers(collateral)
        told = _verified(evidence.quote, collateral, root, at)
        _check_issuers(collateral, quote.certification.chain)
        return _claims(quote, told, collateral, _event_log(evidence, quote.report))


def _quote(evidence: Evidence) -> TdxQuote:
    if (evidence.tee, evidence.media_type) != ("tdx", TDX_QUOTE):
        raise MalformedError("expected evidence of tee 'tdx' with a raw TDX quote")
    return TdxQuote.parse(evidence.quote)


def _collateral(evidence: Evidence) -> Collateral:
    found = [one.content for one in evidence.endorsements if one.media_type == DCAP_COLLATERAL]
    if not found:
        raise MissingError("expected DCAP collateral with the quote: nothing else tells its TCB level")
    if len(found) > 1:
        raise MalformedError("expected one DCAP collateral with the quote")
    return Collateral.parse(found[0])


def _root(chain: PckChain, development_roots: Collection[str]) -> bytes:
    """Return the root that the quote itself names, when it is one that may be trusted."""
    if chain.root_sha256 != INTEL_ROOT_SHA256 and chain.root_sha256 not in development_roots:
        raise SignatureError(
            f"expected Intel's root or an accepted development root, not {chain.root_sha256}", code="root-not-trusted"
        )
    return chain.root


def _check_closed(report: TdReport) -> None:
    if report.debug:
        raise SignatureError("expected a guest that its host cannot debug", code="debug")
    if report.migratable:
        raise SignatureError("expected a guest that cannot migrate to another platform", code="migratable")
    if report.served:
        # dcap-qvl (0.7) looks at those of the launch alone, and a service guest can be bound later.
        raise SignatureError("expected a guest that no service guest is bound to: it could migrate it", code="served")


def _check_signers(collateral: Collateral) -> None:
    """Refuse TCB levels that a platform's own key signed.

    To ``dcap-qvl`` any certificate under the root may sign them. But PCK keys have been extracted (WireTap, TEE.fail
    2025), and their owner could so declare a broken platform up to date.
    """
    from cryptography import x509

    what = "the collateral's signer to be an X.509 certificate"
    for certificate in collateral.signers():
        try:
            subject = certificate_of(certificate, what).subject
        except (ValueError, TypeError) as error:  # its parts are read when they are asked for, and refused so or so
            raise MalformedError(f"expected {what}") from error
        if not any(_TCB_SIGNING in str(name.value) for name in subject.get_attributes_for_oid(x509.OID_COMMON_NAME)):
            raise SignatureError(f"expected the collateral to be signed by a {_TCB_SIGNING!r} certificate")


def _check_issuers(collateral: Collateral, chain: PckChain) -> None:
    """Refuse other issuers in the collateral than those that the quote's own certificates have led to.

    ``dcap-qvl`` takes them from the quote and its root, and never reads these, so nothing else would notice a change.
    """
    if collateral.issuers() != {(chain.ca, chain.root), (chain.root,)}:
        raise SignatureError("expected the collateral to name the issuers that the quote's own certificates name")


def _verified(quote: bytes, collateral: Collateral, root: bytes, at: datetime) -> Fields:
    """Return what ``dcap-qvl`` claims of the quote, once every signature has led to ``root``."""
    import dcap_qvl

    now = int(at.timestamp())
    try:
        endorsed = dcap_qvl.QuoteCollateralV3.from_json(collateral.to_bytes().decode("ascii"))
    except ValueError as error:
        raise MalformedError(f"expected DCAP collateral: {error}") from error
    try:
        # Its own policies refuse most real servers (dynamic platforms); ours is appraised on the claims.
        policy = dcap_qvl.QuotePolicy.claims_only(now)
        claims = dcap_qvl.QuoteVerifier(root).verify_with_policy(quote, endorsed, now, policy)
    except (ValueError, OverflowError) as error:
        reason = _reason(quote, endorsed, root, now, error)
        code = next((code for words, code in _CODES.items() if words in reason), "")
        raise SignatureError(f"expected a genuine quote: {reason}", code=code) from error
    return Fields(parse_json(claims.to_json().encode("utf-8")), "the claims of dcap-qvl")


def _reason(quote: bytes, endorsed: object, root: bytes, now: int, error: Exception) -> str:
    """Return why ``dcap-qvl`` refuses, in its words: only this entry point also tells the causes (0.7)."""
    import dcap_qvl

    try:
        dcap_qvl.verify_with_root_ca(quote, endorsed, root, now)
    except (ValueError, OverflowError) as detailed:
        error = detailed
    return " ".join(str(error).partition("Stack backtrace")[0].split())[:400]


def _event_log(evidence: Evidence, report: TdReport) -> Mapping[str, Fact]:
    """Return what the boot's event log tells, if one came with the quote: as much of it as the registers bear out."""
    found = [one.content for one in evidence.endorsements if one.media_type == EVENT_LOG]
    if len(found) > 1:
        raise MalformedError("expected one event log with the quote")
    return ccel.facts(ccel.EventLog.parse(found[0]), report.measurements()) if found else {}


def _claims(quote: TdxQuote, told: Fields, collateral: Collateral, booted: Mapping[str, Fact]) -> Claims:
    chain, report = quote.certification.chain, quote.report
    tcb, platform = told.fields("tcb"), told.fields("platform")
    return Claims(
        tee="tdx",
        report_data=report.report_data,
        measurements=report.measurements(),
        tcb_status=tcb.text("status"),
        advisory_ids=[str(advisory) for advisory in tcb.items("advisory_ids")],
        debug=report.debug,
        root_sha256=chain.root_sha256,
        development=chain.root_sha256 != INTEL_ROOT_SHA256,
        facts={
            "quote_version": quote.version,
            "migratable": report.migratable,
            "tee_tcb_svn": report.tee_tcb_svn.hex(),
            "mrsignerseam": report.mrsignerseam.hex(),
            "td_attributes": report.td_attributes.hex(),
            "xfam": report.xfam.hex(),
            **_instance(report),
            "tcb_evaluation_data_number": tcb.integer("eval_data_number"),
            "tcb_date": platform.fields("tcb_level").text("tcbDate"),
            "collateral_issued": _issued(collateral),
            "collateral_expires": told.integer("earliest_expiration_date"),
            **_platform(platform.fields("pck")),
            **booted,
        },
    )


@lru_cache(maxsize=256)
def _issued(collateral: Collateral) -> int:
    """Return when the oldest of what may go stale was issued: TCB levels, the enclave's identity, revoked platforms.

    ``dcap-qvl`` tells the latest of these, by which a fresh list would make an old one look fresh; and the earliest of
    all, which is that of certificates that last for decades.
    """
    signed = [
        Fields(parse_json(text.encode()), "the collateral") for text in (collateral.tcb_info, collateral.qe_identity)
    ]
    try:
        dates = [datetime.fromisoformat(fields.text("issueDate")) for fields in signed]
        dates.append(revocation_list_of(bytes.fromhex(collateral.pck_crl)).last_update_utc)
        return min(int(date.timestamp()) for date in dates)
    except ValueError as error:
        raise MalformedError("expected collateral that says when it was issued") from error


def _instance(report: TdReport) -> Mapping[str, Fact]:
    extended = report.td15.extended if report.td15 else None
    return {"td_id": extended.td_id.hex(), "vmid": extended.vmid[0]} if extended else {}


def _platform(pck: Fields) -> Mapping[str, Fact]:
    # The PPID and the instance name one machine for ever, so only their hashes may be published.
    told: dict[str, Fact] = {
        "fmspc": _octets(pck, "fmspc").hex(),
        "pce_svn": pck.integer("pce_svn"),
        "cpu_svn": _octets(pck, "cpu_svn").hex(),
        "ppid_sha256": sha256_hex(_octets(pck, "ppid")),
    }
    instance = pck.any("platform_instance_id")
    if instance is not None:
        told["platform_instance_id_sha256"] = sha256_hex(bytes(cast("list[int]", instance)))
    flags = {"smt": "smt_enabled", "dynamic_platform": "dynamic_platform", "cached_keys": "cached_keys"}
    words = {name: pck.any(member) for name, member in flags.items()}
    # Platforms of one socket have no such flags: what their certificates do not say is not claimed.
    return told | {name: word == "True" for name, word in words.items() if word in ("True", "False")}


def _octets(fields: Fields, name: str) -> bytes:
    return bytes(cast("list[int]", fields.items(name)))
