"""What fuzzing begins with: instances of the formats, as the vectors of this repository hold them."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from airflow_provider_atlas.bundle import AttestationBundle
from airflow_provider_atlas.tee.tdx.quote import TdxQuote, trim
from airflow_provider_atlas.tlog.hashedrekord import HashedRekord
from airflow_provider_atlas.tlog.rekor import request
from airflow_provider_atlas.tlog.witness import AddCheckpoint

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
    yield "td-report", quote.report.to_bytes()
    yield "tdx-certification", quote.certification.to_bytes()
    yield "pck-chain", quote.certification.chain.to_bytes()


def _pairs() -> Iterator[tuple[str, bytes]]:
    for content in _files("format-v1*/archive/**/*.bundle.json"):
        yield "attestation-bundle", content
        yield from _of_bundle(AttestationBundle.parse(content))
    for content in _files("tee/tdx_*.quote"):
        yield from _of_quote(content)
    for name, pattern in (("pipeline", "format-v1/archive/**/pipeline.json"), ("dcap-collateral", "tee/tdx_*.json")):
        for content in _files(pattern):
            yield name, content


def seeds() -> Mapping[str, frozenset[bytes]]:
    """Return the instances by the name of their parser in ``targets``."""
    found: dict[str, set[bytes]] = {}
    for name, content in _pairs():
        found.setdefault(name, set()).add(content)
    return {name: frozenset(contents) for name, contents in found.items()}
