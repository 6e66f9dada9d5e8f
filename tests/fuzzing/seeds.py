"""What fuzzing begins with: instances of the formats, as the vectors of this repository hold them."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from airflow_provider_atlas.bundle import AttestationBundle
from airflow_provider_atlas.tee.answer import Answer, Problem
from airflow_provider_atlas.tee.azure import hcl
from airflow_provider_atlas.tee.azure.evidence import AzureEvidence
from airflow_provider_atlas.tee.nitro.document import NitroDocument
from airflow_provider_atlas.tee.pem import parse_pem, to_pem
from airflow_provider_atlas.tee.sev_snp.certificate_table import CertificateTable
from airflow_provider_atlas.tee.tdx.quote import TdxQuote, trim
from airflow_provider_atlas.tee.tpm.evidence import TpmEvidence
from airflow_provider_atlas.tlog.hashedrekord import HashedRekord
from airflow_provider_atlas.tlog.rekor import request
from airflow_provider_atlas.tlog.witness import AddCheckpoint
from tests.support.coco_agent import snp_answer
from tests.support.real_quotes import azure_quote

VECTORS = Path(__file__).parents[1] / "vectors"


def _files(pattern: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted(VECTORS.glob(pattern))]


def _of_bundle(bundle: AttestationBundle) -> Iterator[tuple[str, bytes]]:
    yield "public-key", bundle.public_key.spki
    if bundle.certificate is not None:
        yield "certificate", bundle.certificate.der
    for role, envelope in bundle.envelopes.items():
        yield "link" if role == "link" else "statement", envelope.payload
        entry = bundle.log_entry(role)
        yield "hashedrekord", entry
        yield "rekor-request", request(HashedRekord.parse(entry))
    for receipt in bundle.receipts.values():
        yield "receipt", receipt.to_bytes()
        yield "signed-note", receipt.note.to_bytes()
        yield "checkpoint", receipt.note.to_bytes()
        yield "witness-request", AddCheckpoint(old=1, proof=receipt.hashes, note=receipt.note).to_bytes()
        yield "witness-lines", receipt.note.to_bytes().partition(b"\n\n")[2]


def _of_quote(data: bytes) -> Iterator[tuple[str, bytes]]:
    quote = TdxQuote.parse(trim(data))
    yield "tdx-quote", quote.to_bytes()
    yield "tdx-quote-buffer", data
    yield "evidence-file", data
    yield "evidence-file", quote.to_bytes().hex().encode()
    yield "endorsements-file", quote.certification.chain.to_bytes()
    yield "td-report", quote.report.to_bytes()
    yield "tdx-certification", quote.certification.to_bytes()
    yield "pck-chain", quote.certification.chain.to_bytes()


def _of_chain(data: bytes) -> Iterator[tuple[str, bytes]]:
    leaf, ask, ark = parse_pem(data)
    yield "snp-chain", data
    yield "snp-endorsement-key", leaf
    yield "kds-issuers", to_pem(ask, ark)
    yield "snp-certificate-table", CertificateTable(ark=ark, ask=ask, vcek=leaf).to_bytes()


_SPELLED = {
    "snp-report": "tee/snp_*.report",
    "endorsements-file": "tee/tdx_*.json",
    "event-log": "tee/*.ccel",
    "pipeline": "format-v1/archive/**/pipeline.json",
    "dcap-collateral": "tee/tdx_*.json",
}
"""The files that are an instance as they are, by the name of their parser."""


def _of_other_tees() -> Iterator[tuple[str, bytes]]:
    for content in _files("tee/azure_hcl_*.bin"):
        yield "azure-hcl-buffer", content
        yield "azure-hcl-report", hcl.trim(content)
        yield "azure-runtime-data", hcl.HclReport.parse(hcl.trim(content)).runtime.content
    for content in _files("tee/nitro.document"):
        yield "nitro-document", content
        yield "nitro-payload", NitroDocument.parse(content).payload
    for content in _files("tee/nvidia_h100.report"):
        yield "nvidia-report", content
    key, signed = azure_quote()
    yield "tpm-quote", signed.quote.to_bytes()
    yield "tpm-signature", signed.signature.to_bytes()
    yield "tpm-attestation-key", key.spki
    yield "tpm-evidence", TpmEvidence(key=key, signed=signed).to_bytes()
    report = hcl.HclReport.parse(hcl.trim(_files("tee/azure_hcl_snp.bin")[0]))
    azure = AzureEvidence(hardware=report.hardware, runtime=report.runtime, signed=signed)
    yield "azure-evidence", azure.to_bytes()
    for content in (bytes(1184), b"\3" + bytes(1183)):
        yield "coco-evidence", json.dumps(snp_answer(content)).encode()


def _pairs() -> Iterator[tuple[str, bytes]]:
    for content in _files("format-v1*/archive/**/*.bundle.json"):
        yield "attestation-bundle", content
        yield from _of_bundle(AttestationBundle.parse(content))
    for content in _files("tee/tdx_*.quote"):
        yield from _of_quote(content)
    for content in _files("tee/snp_milan*.pem")[:2] + _files("tee/snp_turin.pem"):
        yield from _of_chain(content)
    yield from (("event-log-area", content + b"\xff" * 64) for content in _files("tee/*.ccel"))
    yield "helper-answer", Answer(content=Problem(detail="no driver", again=True)).to_bytes()
    yield from _of_other_tees()
    yield from ((name, content) for name, pattern in _SPELLED.items() for content in _files(pattern))


def seeds() -> Mapping[str, frozenset[bytes]]:
    """Return the instances by the name of their parser in ``targets``."""
    found: dict[str, set[bytes]] = {}
    for name, content in _pairs():
        found.setdefault(name, set()).add(content)
    return {name: frozenset(contents) for name, contents in found.items()}
