"""The attester ``tpm:``: quotes of a plain TPM 2.0, by a key that its owner made and a policy names."""

import hashlib
from pathlib import Path

from airflow_provider_atlas.errors import AttesterError, MalformedError
from airflow_provider_atlas.tee.backends.tpm2_tools import Tpm
from airflow_provider_atlas.tee.backends.tpm_address import TpmAddress
from airflow_provider_atlas.tee.certificates import parse_chain
from airflow_provider_atlas.tee.evidence import PEM_CERTIFICATE_CHAIN, Endorsements, Evidence
from airflow_provider_atlas.tee.pem import parse_pem
from airflow_provider_atlas.tee.tpm.evidence import TPM_QUOTE, TpmEvidence


class TpmAttester:
    """An ``Attester`` that quotes the PCRs of a TPM."""

    def __init__(self, text: str) -> None:
        """Find the TPM and its attestation key at the address ``text`` (``TpmAddress``), and the key's certificates.

        Raises ConfigError for another address, AttesterError when the TPM or its key cannot be used.
        """
        address = TpmAddress.parse(text, options=("certificates",))
        self._tpm = Tpm(address)
        self._provider = provider_of(address)
        self._endorsements = _certificates(address.option("certificates"))
        self._key = self._tpm.attestation_key()

    @property
    def ak_sha256(self) -> str:
        """The SHA-256 of the attestation key (SubjectPublicKeyInfo), in lower-case hex: what a policy pins."""
        return self._key.sha256

    def attest(self, report_data: bytes) -> Evidence:
        """Return a quote that commits to the SHA-256 of ``report_data``.

        Raises AttesterError unless ``report_data`` has 64 bytes, and when the TPM gives no quote.
        """
        signed = self._tpm.quote(commitment(report_data))
        return Evidence(
            tee="tpm",
            provider=self._provider,
            media_type=TPM_QUOTE,
            quote=TpmEvidence(key=self._key, signed=signed).to_bytes(),
            endorsements=self._endorsements,
        )


def commitment(report_data: bytes) -> bytes:
    """Return what a quote commits to for ``report_data``. Raises AttesterError unless that has 64 bytes."""
    if len(report_data) != 64:
        raise AttesterError(f"expected 64 bytes of report data, not {len(report_data)}")
    return hashlib.sha256(report_data).digest()


def provider_of(address: TpmAddress) -> str:
    """Return who gives the evidence: an emulator is a simulator."""
    return "tpm" if address.device else "simulated"


def _certificates(path: str | None) -> tuple[Endorsements, ...]:
    if path is None:
        return ()
    try:
        content = Path(path).read_bytes()
        parse_chain(parse_pem(content), "it")
    except (OSError, MalformedError) as error:
        raise AttesterError(f"cannot use the attestation key's certificates in {path}: {error}") from error
    return (Endorsements(media_type=PEM_CERTIFICATE_CHAIN, content=content),)
