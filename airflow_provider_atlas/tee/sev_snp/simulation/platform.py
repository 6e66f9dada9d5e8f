"""The simulated platform: what a worker needs to issue reports, and nothing that could make another platform."""

from dataclasses import dataclass, replace

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from airflow_provider_atlas.tee.sev_snp.report import SnpReport
from airflow_provider_atlas.tee.sev_snp.simulation.authority import Authority
from airflow_provider_atlas.tee.sev_snp.simulation.guest import guest_of

_VLEK = 1 << 2  # in the flags


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedSnpPlatform:
    """A VCEK or VLEK, and a report by it to copy: reports differ in what the guest says and in the signature alone."""

    key: ec.EllipticCurvePrivateKey
    pattern: SnpReport

    @classmethod
    def create(cls, authority: Authority, *, version: int = 3, vlek: bool = False) -> "SimulatedSnpPlatform":
        """Return the platform of ``authority``, whose reports are of ``version`` (2, 3 or 5).

        With a ``vlek`` the chip is masked, as clouds do.
        """
        guest = guest_of(authority.product, version=version)
        said = replace(guest, flags=_VLEK) if vlek else replace(guest, chip_id=authority.chip_id)
        return cls(key=authority.leaf.key, pattern=signed(said, authority.leaf.key))

    def report(self, report: SnpReport) -> SnpReport:
        """Return ``report``, signed."""
        return signed(report, self.key)


def signed(report: SnpReport, key: ec.EllipticCurvePrivateKey) -> SnpReport:
    """Return ``report`` with the signature of ``key``."""
    r, s = decode_dss_signature(key.sign(report.signed_bytes(), ec.ECDSA(hashes.SHA384())))
    return replace(report, signature_r=r, signature_s=s)
