"""The simulated SEV-SNP platform: reports that are genuine in form and prove nothing, for demonstrations and tests.

Its root is its own, as that of the simulated TDX platform (``simulated``) is. Its folder::

    sev-snp-v1/vcek-key.der     PKCS#8: whoever reads it can issue reports of this platform, so the mode is 0600
    sev-snp-v1/pattern.report   a report of it
    sev-snp-v1/chain.pem        the certificates up to the root, for ten years
    sev-snp-v1/revoked.crl      what the root revoked: nothing

The other private keys are forgotten once these exist, so under one root there is one platform for ever.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from airflow_provider_atlas.errors import AttesterError, MalformedError, MissingError
from airflow_provider_atlas.intoto.scai import SIMULATED_PROVIDER
from airflow_provider_atlas.tee.backends.simulator_folder import platform_folder
from airflow_provider_atlas.tee.evidence import PEM_CERTIFICATE_CHAIN, PKIX_CRL, SNP_REPORT, Endorsements, Evidence
from airflow_provider_atlas.tee.sev_snp.certificate_table import CertificateTable
from airflow_provider_atlas.tee.sev_snp.chain import SnpChain
from airflow_provider_atlas.tee.sev_snp.report import SnpReport
from airflow_provider_atlas.tee.sev_snp.simulation.platform import SimulatedSnpPlatform

_PLATFORM = "sev-snp-v1"
_KEY = "vcek-key.der"
_PATTERN = "pattern.report"
_CHAIN = "chain.pem"
_REVOKED = "revoked.crl"

_logger = logging.getLogger(__name__)


class SimulatedSnpAttester:
    """An ``Attester`` whose SNP platform is software, a Genoa, in a folder that any number of processes may share."""

    def __init__(self, folder: Path) -> None:
        """Load the platform in ``folder``, made on first use, and warn that it proves nothing.

        Raises AttesterError when the folder cannot be used, or holds something else.
        """
        _logger.warning("simulated TEE in use: its reports are signed by software and prove nothing about any hardware")
        try:
            self._load(platform_folder(folder, _PLATFORM, _new_platform))
        except (OSError, ValueError, MalformedError, MissingError) as error:
            raise AttesterError(f"expected a simulated SNP platform in {folder}: {error}") from error

    @property
    def root_der(self) -> bytes:
        """The root certificate, as DER."""
        return self._chain.ark.der

    @property
    def root_sha256(self) -> str:
        """The SHA-256 of the root certificate (DER), in lower-case hex: what a policy must name to accept it."""
        return self._chain.ark.sha256

    @property
    def measurements(self) -> Mapping[str, str]:
        """The fixed measurements of the simulated guest, in lower-case hex, by name."""
        report = self._platform.pattern
        return {"measurement": report.measurement.hex(), "host_data": report.host_data.hex()}

    @property
    def certificate_table(self) -> bytes:
        """The certificates of this platform, in the table in which a host hands them to its guests."""
        leaf = self._chain.leaf.certificate.der
        return CertificateTable(ark=self._chain.ark.der, ask=self._chain.ask.der, vcek=leaf).to_bytes()

    def report(self, report_data: bytes, *, vmpl: int = 0) -> bytes:
        """Return the report that a guest at ``vmpl`` gets for ``report_data``, 64 bytes."""
        told = replace(self._platform.pattern, report_data=report_data, vmpl=vmpl)
        return self._platform.report(told).to_bytes()

    def attest(self, report_data: bytes) -> Evidence:
        """Return a report that commits to ``report_data``, with its certificates and revocation list.

        Raises AttesterError unless ``report_data`` has 64 bytes.
        """
        if len(report_data) != 64:
            raise AttesterError(f"expected 64 bytes of report data, not {len(report_data)}")
        return Evidence(
            tee="sev-snp",
            provider=SIMULATED_PROVIDER,
            media_type=SNP_REPORT,
            quote=self.report(report_data),
            endorsements=self._endorsements,
        )

    def _load(self, folder: Path) -> None:
        key = load_der_private_key((folder / _KEY).read_bytes(), password=None)
        pattern = SnpReport.parse((folder / _PATTERN).read_bytes())
        chain, revoked = (folder / _CHAIN).read_bytes(), (folder / _REVOKED).read_bytes()
        self._chain = SnpChain.parse(chain)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != self._chain.leaf.key:
            raise MalformedError("expected its certificates to be of its key")
        self._platform = SimulatedSnpPlatform(key=key, pattern=pattern)
        self._endorsements = (
            Endorsements(media_type=PEM_CERTIFICATE_CHAIN, content=chain),
            Endorsements(media_type=PKIX_CRL, content=revoked),
        )


def _new_platform(issued: datetime, expires: datetime) -> Mapping[str, bytes]:
    from airflow_provider_atlas.tee.sev_snp.simulation.authority import Authority

    authority = Authority.create("Genoa", issued=issued, expires=expires)
    platform = SimulatedSnpPlatform.create(authority)
    return {
        _KEY: platform.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
        _PATTERN: platform.pattern.to_bytes(),
        _CHAIN: authority.chain(),
        _REVOKED: authority.revocation_list(),
    }
