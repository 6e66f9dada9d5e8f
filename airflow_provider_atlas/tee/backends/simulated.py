"""The simulated TDX platform: quotes that are genuine in form and prove nothing, for demonstrations and tests.

Its root is its own. No verifier accepts it but one whose policy names the root's SHA-256 as a development root, and
then the claims say ``development``. Its folder::

    tdx-v1/attestation-key.der   PKCS#8: whoever reads it can issue quotes of this platform, so the mode is 0600
    tdx-v1/pattern.quote         a quote of it, with the certificates up to the root
    tdx-v1/collateral.json       its TCB levels and revocation lists, for ten years

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

from airflow_provider_atlas.errors import AttesterError, MalformedError
from airflow_provider_atlas.intoto.scai import SIMULATED_PROVIDER
from airflow_provider_atlas.tee.backends.simulator_folder import platform_folder
from airflow_provider_atlas.tee.evidence import DCAP_COLLATERAL, TDX_QUOTE, Endorsements, Evidence
from airflow_provider_atlas.tee.tdx.quote import TdxQuote
from airflow_provider_atlas.tee.tdx.report import TdReport
from airflow_provider_atlas.tee.tdx.simulation.p256 import raw_public_key
from airflow_provider_atlas.tee.tdx.simulation.platform import SimulatedPlatform

_PLATFORM = "tdx-v1"
_KEY = "attestation-key.der"
_PATTERN = "pattern.quote"
_COLLATERAL = "collateral.json"

_logger = logging.getLogger(__name__)


class SimulatedAttester:
    """An ``Attester`` whose TDX platform is software, kept in a folder that any number of processes may share."""

    def __init__(self, folder: Path) -> None:
        """Load the platform in ``folder``, made on first use, and warn that it proves nothing.

        Raises AttesterError when the folder cannot be used, or holds something else.
        """
        _logger.warning("simulated TEE in use: its quotes are signed by software and prove nothing about any hardware")
        try:
            self._platform, collateral = _load(platform_folder(folder, _PLATFORM, _new_platform))
        except (OSError, ValueError, MalformedError) as error:
            raise AttesterError(f"expected a simulated TDX platform in {folder}: {error}") from error
        self._folder = folder
        self._endorsements = (Endorsements(media_type=DCAP_COLLATERAL, content=collateral),)

    @property
    def root_der(self) -> bytes:
        """The root certificate, as DER."""
        return self._platform.pattern.certification.chain.root

    @property
    def root_sha256(self) -> str:
        """The SHA-256 of the root certificate (DER), in lower-case hex: what a policy must name to accept it."""
        return self._platform.pattern.certification.chain.root_sha256

    @property
    def collateral(self) -> Path:
        """The file with its collateral."""
        return self._folder / _PLATFORM / _COLLATERAL

    @property
    def measurements(self) -> Mapping[str, str]:
        """The fixed measurements of the simulated guest, in lower-case hex, by the register's name."""
        return self._platform.pattern.report.measurements()

    def attest(self, report_data: bytes) -> Evidence:
        """Return a quote that commits to ``report_data``, with its collateral.

        Raises AttesterError unless ``report_data`` has 64 bytes.
        """
        if len(report_data) != 64:
            raise AttesterError(f"expected 64 bytes of report data, not {len(report_data)}")
        quote = self.quote(replace(self._platform.pattern.report, report_data=report_data))
        return Evidence(
            tee="tdx",
            provider=SIMULATED_PROVIDER,
            media_type=TDX_QUOTE,
            quote=quote,
            endorsements=self._endorsements,
        )

    def quote(self, report: TdReport) -> bytes:
        """Return a quote of whatever ``report`` says, which need not be the simulated guest's own."""
        return self._platform.quote(report).to_bytes()


def _load(folder: Path) -> tuple[SimulatedPlatform, bytes]:
    key = load_der_private_key((folder / _KEY).read_bytes(), password=None)
    pattern = TdxQuote.parse((folder / _PATTERN).read_bytes())
    if not isinstance(key, ec.EllipticCurvePrivateKey) or raw_public_key(key) != pattern.attestation_key:
        raise MalformedError("expected its quote to be of its attestation key")
    return SimulatedPlatform(attestation_key=key, pattern=pattern), (folder / _COLLATERAL).read_bytes()


def _new_platform(issued: datetime, expires: datetime) -> Mapping[str, bytes]:
    from airflow_provider_atlas.tee.tdx.simulation.authority import Authority
    from airflow_provider_atlas.tee.tdx.simulation.endorsing import endorse

    authority = Authority.create(issued=issued, expires=expires)
    platform = SimulatedPlatform.create(authority.chain(), authority.pck.key)
    key = platform.attestation_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return {_KEY: key, _PATTERN: platform.pattern.to_bytes(), _COLLATERAL: endorse(authority).to_bytes()}
