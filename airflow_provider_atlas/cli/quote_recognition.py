"""What raw evidence of a TEE says: one JSON object. Nothing is verified here."""

from airflow_provider_atlas.encoding import JsonObject, sha256_hex
from airflow_provider_atlas.tee.sev_snp.report import SNP_REPORT_SIZE, SNP_REPORT_VERSIONS, SnpReport
from airflow_provider_atlas.tee.tdx.quote import TdxQuote, trim

_TDX_VERSIONS = (b"\x04\x00", b"\x05\x00")


def describe_quote(content: bytes) -> JsonObject | None:
    """Return what ``content`` says, None for what begins neither as a TDX quote nor as an SNP report.

    Raises MalformedError when it is not wholly what it begins as.
    """
    if len(content) == SNP_REPORT_SIZE and int.from_bytes(content[:4], "little") in SNP_REPORT_VERSIONS:
        return _snp_report(SnpReport.parse(content))
    if content[:2] in _TDX_VERSIONS:
        return _tdx_quote(TdxQuote.parse(trim(content)))
    return None


def _snp_report(report: SnpReport) -> JsonObject:
    return {
        "what": "SNP report",
        "version": report.version,
        "size": SNP_REPORT_SIZE,
        "sha256": sha256_hex(report.to_bytes()),
        "report_data": report.report_data.hex(),
        "measurements": {name: getattr(report, name).hex() for name in ("measurement", "host_data", "id_key_digest")},
        "policy": f"{report.policy:#x}",
        "vmpl": report.vmpl,
        "reported_tcb": report.reported_tcb.hex(),
        "signing_key": report.signing_key,
        "debug": report.debug,
    }


def _tdx_quote(quote: TdxQuote) -> JsonObject:
    report = quote.report
    content = quote.to_bytes()
    return {
        "what": "TDX quote",
        "version": quote.version,
        "size": len(content),
        "sha256": sha256_hex(content),
        "report_data": report.report_data.hex(),
        "measurements": dict(report.measurements()),
        "td_attributes": report.td_attributes.hex(),
        "tee_tcb_svn": report.tee_tcb_svn.hex(),
        "debug": report.debug,
        "root_sha256": quote.certification.chain.root_sha256,
    }
