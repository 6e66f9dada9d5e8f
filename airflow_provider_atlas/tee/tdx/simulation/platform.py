"""The simulated platform: what a worker needs to issue quotes, and nothing that could make another platform.

A quote differs from the next in its report and one signature alone, so the platform keeps one quote as a pattern.
"""

import hashlib
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.asymmetric import ec

from airflow_provider_atlas.tee.tdx.certification import Certification, PckChain
from airflow_provider_atlas.tee.tdx.quote import TdxQuote
from airflow_provider_atlas.tee.tdx.report import TdReport
from airflow_provider_atlas.tee.tdx.simulation.guest import GUEST
from airflow_provider_atlas.tee.tdx.simulation.p256 import raw_public_key, raw_signature

QE_MRSIGNER = hashlib.sha256(b"airflow-provider-atlas simulated TDX: quoting enclave's signer").digest()
"""Who signed the simulated quoting enclave: not Intel."""

QE_PRODUCT = 2
"""Product number of the simulated quoting enclave, as of Intel's TD quoting enclave."""

QE_SVN = 6
"""SVN of the simulated quoting enclave."""

_AUTHENTICATION = bytes(range(32))
_CPU_SVN = bytes.fromhex("0303191b04ff00060000000000000000")
_ATTRIBUTES = bytes.fromhex("1500000000000000e700000000000000")  # INIT, MODE64BIT, PROVISIONKEY; not DEBUG


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedPlatform:
    """An attestation key, and a quote of it to copy."""

    attestation_key: ec.EllipticCurvePrivateKey
    pattern: TdxQuote

    @classmethod
    def create(cls, chain: PckChain, pck_key: ec.EllipticCurvePrivateKey) -> "SimulatedPlatform":
        """Return a platform with a new attestation key, certified by ``pck_key``, whose ``chain`` leads to a root."""
        key = ec.generate_private_key(ec.SECP256R1())
        attestation_key = raw_public_key(key)
        qe_report = _qe_report(hashlib.sha256(attestation_key + _AUTHENTICATION).digest())
        certification = Certification(
            qe_report=qe_report,
            signature=raw_signature(pck_key, qe_report),
            authentication=_AUTHENTICATION,
            chain=chain,
        )
        unsigned = TdxQuote(
            version=4,
            qe_svn=0,
            pce_svn=0,
            user_data=bytes(20),
            report=GUEST,
            signature=bytes(64),
            attestation_key=attestation_key,
            certification=certification,
        )
        return cls(attestation_key=key, pattern=_signed(unsigned, key))

    def quote(self, report: TdReport) -> TdxQuote:
        """Return a quote of ``report``."""
        return _signed(replace(self.pattern, report=report), self.attestation_key)


def _signed(quote: TdxQuote, key: ec.EllipticCurvePrivateKey) -> TdxQuote:
    return replace(quote, signature=raw_signature(key, quote.signed_bytes()))


def _qe_report(report_data: bytes) -> bytes:
    """Return an SGX enclave report (384 bytes) of the quoting enclave: SGX SDM, volume 3D, REPORT."""
    mrenclave = hashlib.sha256(b"airflow-provider-atlas simulated TDX: quoting enclave").digest()
    return b"".join(
        (
            _CPU_SVN,
            bytes(4 + 28),
            _ATTRIBUTES,
            mrenclave,
            bytes(32),
            QE_MRSIGNER,
            bytes(96),
            QE_PRODUCT.to_bytes(2, "little"),
            QE_SVN.to_bytes(2, "little"),
            bytes(60),
            report_data,
            bytes(32),
        )
    )
