"""What Linux's configfs-tsm gives, as evidence. Who signed it is read from the quote, and never believed of a path.

Any folder can be mounted where the kernel's own should be. So evidence whose certificates lead to another root than the
vendor's is ``simulated``, by the quote itself; a verifier holds that word against the root again.
See: Linux, Documentation/ABI/testing/configfs-tsm-report.
"""

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.intoto.scai import SIMULATED_PROVIDER
from airflow_provider_atlas.tee.evidence import (
    ARM_CCA,
    PEM_CERTIFICATE_CHAIN,
    SNP_REPORT,
    TDX_QUOTE,
    Endorsements,
    Evidence,
)
from airflow_provider_atlas.tee.sev_snp.amd import AMD_ROOT_KEYS
from airflow_provider_atlas.tee.sev_snp.certificate_table import CertificateTable
from airflow_provider_atlas.tee.sev_snp.report import SnpReport
from airflow_provider_atlas.tee.tdx.intel import INTEL_ROOT_SHA256
from airflow_provider_atlas.tee.tdx.quote import TdxQuote, trim

PROVIDER = "tsm"
"""The provider of evidence that came through configfs-tsm, up to a vendor's own root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TsmReport:
    """What the kernel gave for 64 bytes: ``provider`` is the driver (``tdx_guest``); ``auxblob`` may be empty."""

    provider: str
    outblob: bytes
    auxblob: bytes = b""


def evidence_of(report: TsmReport, report_data: bytes) -> Evidence:
    """Return the evidence in ``report``, which was asked for with ``report_data``.

    Raises MalformedError when it cannot be read, was asked for with something else, or is of an unknown driver. What an
    Arm CCA guest gives is passed on unread.
    """
    read = _READERS.get(report.provider)
    if read is None:
        raise MalformedError(f"expected a report of {', '.join(sorted(_READERS))}, not of {report.provider[:64]!r}")
    return read(report, report_data)


def _tdx(report: TsmReport, report_data: bytes) -> Evidence:
    raw = trim(report.outblob)
    quote = TdxQuote.parse(raw)
    _check(quote.report.report_data, report_data)
    genuine = quote.certification.chain.root_sha256 == INTEL_ROOT_SHA256
    provider = PROVIDER if genuine else SIMULATED_PROVIDER
    return Evidence(tee="tdx", provider=provider, media_type=TDX_QUOTE, quote=raw)


def _snp(report: TsmReport, report_data: bytes) -> Evidence:
    from airflow_provider_atlas.tee.sev_snp.certificate import AmdCertificate

    read = SnpReport.parse(report.outblob)
    _check(read.report_data, report_data)
    table = CertificateTable.parse(report.auxblob)
    chain = table.chain(read.signing_key)
    # A host may hand out less than a whole chain, or nothing. Then what lacks is fetched, and is AMD's or is refused.
    genuine = chain is None or table.ark is None or AmdCertificate.parse(table.ark).key_sha256 in AMD_ROOT_KEYS
    return Evidence(
        tee="sev-snp",
        provider=PROVIDER if genuine else SIMULATED_PROVIDER,
        media_type=SNP_REPORT,
        quote=report.outblob,
        endorsements=(Endorsements(media_type=PEM_CERTIFICATE_CHAIN, content=chain),) if chain else (),
    )


def _cca(report: TsmReport, _: bytes) -> Evidence:
    return Evidence(tee="arm-cca", provider=PROVIDER, media_type=ARM_CCA, quote=report.outblob)


def _check(claimed: bytes, report_data: bytes) -> None:
    if not hmac.compare_digest(claimed, report_data):
        raise MalformedError("expected a report on what was asked; it commits to something else")


_READERS: Mapping[str, Callable[[TsmReport, bytes], Evidence]] = {
    "tdx_guest": _tdx,
    "sev_guest": _snp,
    "arm_cca_guest": _cca,
}
