"""The attester ``azure-vtpm:``: an Azure confidential VM, through the TPM that its paravisor lends it.

After the scheme comes what ``tpm_address`` reads; the key is 0x81000003 and the registers are 0 to 23 unless told
otherwise. Without the certificates of the processor nobody can judge the evidence; Azure has them on a link-local
address, and nothing is asked unless the setting says so::

    azure-vtpm:?thim=imds                 from http://169.254.169.254/metadata/THIM/amd/certification
    azure-vtpm:?thim=http://host/path     from somebody who answers as that does

See: https://learn.microsoft.com/azure/security/fundamentals/trusted-hardware-identity-management.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from airflow_provider_atlas.encoding import Fields, parse_json
from airflow_provider_atlas.errors import AttesterError, ConfigError, MalformedError
from airflow_provider_atlas.tee.azure.evidence import AZURE_VTPM, AzureEvidence
from airflow_provider_atlas.tee.azure.hcl import HCL_INDEX, SNP_REPORT_TYPE, HclReport, trim
from airflow_provider_atlas.tee.azure.runtime_data import RuntimeData
from airflow_provider_atlas.tee.backends.local_service import get
from airflow_provider_atlas.tee.backends.tpm2_tools import Tpm
from airflow_provider_atlas.tee.backends.tpm_address import TpmAddress
from airflow_provider_atlas.tee.backends.tpm_attester import commitment, provider_of
from airflow_provider_atlas.tee.evidence import PEM_CERTIFICATE_CHAIN, Endorsements, Evidence
from airflow_provider_atlas.tee.pem import read_pem, to_pem

IMDS_THIM = "http://169.254.169.254/metadata/THIM/amd/certification"
"""Where Azure's instance metadata service has the certificates of the processor that a guest runs on."""

_AK = 0x81000003
_PCRS = tuple(range(24))


class AzureVtpmAttester:
    """An ``Attester`` on an Azure confidential VM of AMD SEV-SNP."""

    def __init__(self, text: str) -> None:
        """Read the paravisor's report from the TPM at the address ``text``, and fetch the certificates if told where.

        Raises ConfigError for another address, AttesterError when there is no such TPM, no report in it or one that
        names another key, or the certificates are not to be had.
        """
        address = TpmAddress.parse(text, ak=_AK, pcrs=_PCRS, options=("thim",))
        certificates = _url(address.option("thim"))
        self._tpm = Tpm(address)
        self._provider = provider_of(address)
        self._platform = _platform(self._tpm)
        self._endorsements = _endorsements(certificates)

    def attest(self, report_data: bytes) -> Evidence:
        """Return a quote of the TPM that commits to the SHA-256 of ``report_data``, and what leads to it.

        Raises AttesterError unless ``report_data`` has 64 bytes, and when the TPM gives no quote.
        """
        signed = self._tpm.quote(commitment(report_data))
        evidence = AzureEvidence(hardware=self._platform.hardware, runtime=self._platform.runtime, signed=signed)
        return Evidence(
            tee="azure-snp",
            provider=self._provider,
            media_type=AZURE_VTPM,
            quote=evidence.to_bytes(),
            endorsements=self._endorsements,
        )


@dataclass(frozen=True, kw_only=True)
class _Platform:
    hardware: bytes
    runtime: RuntimeData


def _platform(tpm: Tpm) -> _Platform:
    try:
        report = HclReport.parse(trim(tpm.read_nv(HCL_INDEX)))
        if report.runtime.attestation_key() != tpm.attestation_key():
            raise AttesterError("expected the paravisor's report to name the key that the TPM quotes with")
    except MalformedError as error:
        raise AttesterError(f"cannot use the paravisor's report, so this may be no confidential VM: {error}") from error
    if report.report_type != SNP_REPORT_TYPE:
        # Its TDREPORT is for its own processor, and the quote that Azure makes of one leaves SEPT_VE_DISABLE unset.
        raise AttesterError("expected an Azure VM with AMD SEV-SNP: the evidence of those with TDX cannot be judged")
    return _Platform(hardware=report.hardware, runtime=report.runtime)


def _url(thim: str | None) -> str | None:
    url = IMDS_THIM if thim == "imds" else thim
    if url is not None and not url.startswith(("http://", "https://")):
        raise ConfigError(f"expected thim to be imds or a URL, not {thim!r}")
    return url


def _endorsements(url: str | None) -> Sequence[Endorsements]:
    if url is None:
        return ()
    answer = get(url, {"Metadata": "true"}, "the certificates of the processor")
    try:
        fields = Fields(parse_json(answer), "the certificates")
        leaf, issuers = (read_pem(fields.text(name).encode()) for name in ("vcekCert", "certificateChain"))
    except MalformedError as error:
        raise AttesterError(f"cannot use the certificates of {url}: {error}") from error
    if len(leaf) != 1 or not issuers:
        raise AttesterError(f"expected {url} to have the certificates of the processor and of its issuers")
    return (Endorsements(media_type=PEM_CERTIFICATE_CHAIN, content=to_pem(*leaf, *issuers)),)
