"""What fuzzing begins with: instances of the formats, as the vectors of this repository hold them."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from airflow_provider_atlas.bundle import AttestationBundle, log_entry
from airflow_provider_atlas.tee.azure import hcl
from airflow_provider_atlas.tee.azure.evidence import AzureEvidence
from airflow_provider_atlas.tee.nitro.document import NitroDocument
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
    for role, envelope in bundle.envelopes.items():
        yield "link" if role == "link" else "statement", envelope.payload
        entry = log_entry(envelope, bundle.public_key)
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
    yield "td-report", quote.report.to_bytes()
    yield "tdx-certification", quote.certification.to_bytes()
    yield "pck-chain", quote.certification.chain.to_bytes()


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
    for content in _files("format-v1/archive/**/*.bundle.json"):
        yield "attestation-bundle", content
        yield from _of_bundle(AttestationBundle.parse(content))
    for content in _files("tee/tdx_*.quote"):
        yield from _of_quote(content)
    yield from _of_other_tees()
    for name, pattern in (("pipeline", "format-v1/archive/**/pipeline.json"), ("dcap-collateral", "tee/tdx_*.json")):
        for content in _files(pattern):
            yield name, content


def seeds() -> Mapping[str, frozenset[bytes]]:
    """Return the instances by the name of their parser in ``targets``."""
    found: dict[str, set[bytes]] = {}
    for name, content in _pairs():
        found.setdefault(name, set()).add(content)
    return {name: frozenset(contents) for name, contents in found.items()}
