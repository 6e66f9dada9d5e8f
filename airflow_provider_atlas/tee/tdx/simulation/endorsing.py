"""The collateral that the simulated vendor publishes: TCB levels, the quoting enclave's identity, revocation lists.

See: Intel SGX and TDX Provisioning Certification Service API, version 4: TCB info (version 3), enclave identity (2).
"""

import json
from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from airflow_provider_atlas.encoding import Json, JsonObject
from airflow_provider_atlas.tee.pem import to_pem
from airflow_provider_atlas.tee.tdx.collateral import Collateral
from airflow_provider_atlas.tee.tdx.simulation.authority import CPU_SVN, FMSPC, PCE_SVN, Authority, Holder
from airflow_provider_atlas.tee.tdx.simulation.guest import TEE_TCB_SVN
from airflow_provider_atlas.tee.tdx.simulation.p256 import raw_signature
from airflow_provider_atlas.tee.tdx.simulation.platform import QE_MRSIGNER, QE_PRODUCT, QE_SVN

_EVALUATION = 1
_MODULE: JsonObject = {"mrsigner": "00" * 48, "attributes": "00" * 8, "attributesMask": "FF" * 8}


def endorse(authority: Authority, *, revoked: Collection[Holder] = ()) -> Collateral:
    """Return the collateral of ``authority``'s platform, whose revocation lists name the certificates ``revoked``."""
    signers = to_pem(authority.tcb.der, authority.root.der).decode("ascii")
    tcb_info, qe_identity = _text(_tcb_info(authority)), _text(_qe_identity(authority))
    return Collateral(
        pck_crl_issuer_chain=to_pem(authority.ca.der, authority.root.der).decode("ascii"),
        root_ca_crl=_revocation_list(authority, authority.root, revoked).hex(),
        pck_crl=_revocation_list(authority, authority.ca, revoked).hex(),
        tcb_info_issuer_chain=signers,
        tcb_info=tcb_info,
        tcb_info_signature=raw_signature(authority.tcb.key, tcb_info.encode("ascii")).hex(),
        qe_identity_issuer_chain=signers,
        qe_identity=qe_identity,
        qe_identity_signature=raw_signature(authority.tcb.key, qe_identity.encode("ascii")).hex(),
    )


def _tcb_info(authority: Authority) -> JsonObject:
    module = {**_MODULE, "id": f"TDX_{TEE_TCB_SVN[1]:02X}", "tcbLevels": [_level("UpToDate", {"isvsvn": 1})]}
    return {
        "id": "TDX",
        "version": 3,
        **_window(authority),
        "fmspc": FMSPC.hex(),
        "pceId": "0000",
        "tcbType": 0,
        "tdxModule": _MODULE,
        "tdxModuleIdentities": [module],
        "tcbLevels": [
            _level("UpToDate", _svns(CPU_SVN, TEE_TCB_SVN, PCE_SVN)),
            _level("OutOfDate", _svns([0] * 16, [0] * 16, 0), "SIMULATED-SA-00001"),
        ],
    }


def _qe_identity(authority: Authority) -> JsonObject:
    return {
        "id": "TD_QE",
        "version": 2,
        **_window(authority),
        "miscselect": "00000000",
        "miscselectMask": "FFFFFFFF",
        "attributes": "11000000000000000000000000000000",
        "attributesMask": "FBFFFFFFFFFFFFFF0000000000000000",
        "mrsigner": QE_MRSIGNER.hex().upper(),
        "isvprodid": QE_PRODUCT,
        "tcbLevels": [_level("UpToDate", {"isvsvn": QE_SVN})],
    }


def _window(authority: Authority) -> JsonObject:
    return {
        "issueDate": _time(authority.issued),
        "nextUpdate": _time(authority.expires),
        "tcbEvaluationDataNumber": _EVALUATION,
    }


def _level(status: str, tcb: JsonObject, *advisories: str) -> JsonObject:
    return {"tcb": tcb, "tcbDate": "2026-01-01T00:00:00Z", "tcbStatus": status, "advisoryIDs": advisories}


def _svns(sgx: Sequence[int], tdx: Sequence[int], pce: int) -> JsonObject:
    return {
        "sgxtcbcomponents": [{"svn": svn} for svn in sgx],
        "pcesvn": pce,
        "tdxtcbcomponents": [{"svn": svn} for svn in tdx],
    }


def _revocation_list(authority: Authority, issuer: Holder, revoked: Collection[Holder]) -> bytes:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(authority.issued)
        .next_update(authority.expires)
        .add_extension(x509.CRLNumber(1), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), critical=False)
    )
    for holder in revoked:
        if holder.certificate.issuer == issuer.certificate.subject:
            builder = builder.add_revoked_certificate(_revocation(holder, authority.issued))
    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.DER)


def _revocation(holder: Holder, at: datetime) -> x509.RevokedCertificate:
    builder = x509.RevokedCertificateBuilder().serial_number(holder.certificate.serial_number).revocation_date(at)
    return builder.build()


def _text(value: Json) -> str:
    return json.dumps(value, separators=(",", ":"))


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
