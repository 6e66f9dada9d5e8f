"""What is fuzzed: each parser that reads a stranger's bytes, and whether what it reads has one spelling.

A parser returns or raises MalformedError, nothing else. Of a format with one spelling, what was read is written again
as the same bytes: otherwise two readers could disagree about one file.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from airflow_provider_atlas.artifacts.manifest import Manifest
from airflow_provider_atlas.bundle import AttestationBundle
from airflow_provider_atlas.errors import MalformedError, MissingError
from airflow_provider_atlas.intoto.link import Link
from airflow_provider_atlas.intoto.pipeline import Pipeline
from airflow_provider_atlas.intoto.statement import Statement
from airflow_provider_atlas.signing.certificate import Certificate
from airflow_provider_atlas.signing.keys import PublicKey
from airflow_provider_atlas.sigstore.bundle import SigstoreBundle
from airflow_provider_atlas.sigstore.trusted_root import TrustedRoot
from airflow_provider_atlas.tee import ccel
from airflow_provider_atlas.tee.answer import Answer
from airflow_provider_atlas.tee.azure import hcl
from airflow_provider_atlas.tee.azure.evidence import AzureEvidence
from airflow_provider_atlas.tee.azure.hcl import HclReport
from airflow_provider_atlas.tee.azure.runtime_data import RuntimeData
from airflow_provider_atlas.tee.coco.evidence import parse_evidence
from airflow_provider_atlas.tee.nitro.document import NitroDocument, NitroPayload
from airflow_provider_atlas.tee.nvidia.report import GpuReport
from airflow_provider_atlas.tee.sev_snp import kds
from airflow_provider_atlas.tee.sev_snp.certificate import AmdCertificate
from airflow_provider_atlas.tee.sev_snp.certificate_table import CertificateTable
from airflow_provider_atlas.tee.sev_snp.chain import SnpChain
from airflow_provider_atlas.tee.sev_snp.endorsement_key import EndorsementKey
from airflow_provider_atlas.tee.sev_snp.report import SnpReport
from airflow_provider_atlas.tee.sev_snp.revocation import RevocationList
from airflow_provider_atlas.tee.tdx import pcs
from airflow_provider_atlas.tee.tdx.certification import Certification, PckChain
from airflow_provider_atlas.tee.tdx.collateral import Collateral
from airflow_provider_atlas.tee.tdx.quote import TdxQuote, trim
from airflow_provider_atlas.tee.tdx.report import TdReport
from airflow_provider_atlas.tee.tpm.attestation_key import AttestationKey
from airflow_provider_atlas.tee.tpm.evidence import TpmEvidence
from airflow_provider_atlas.tee.tpm.structures import TpmQuote, TpmSignature
from airflow_provider_atlas.tlog.checkpoint import SignedCheckpoint
from airflow_provider_atlas.tlog.hashedrekord import HashedRekord
from airflow_provider_atlas.tlog.note import SignedNote
from airflow_provider_atlas.tlog.policy import WitnessPolicy
from airflow_provider_atlas.tlog.receipt import Receipt
from airflow_provider_atlas.tlog.rekor import LogEntry, parse_request
from airflow_provider_atlas.tlog.tile import bundle, parse_bundle
from airflow_provider_atlas.tlog.witness import AddCheckpoint, parse_lines
from airflow_provider_atlas.verify.evidence_file import Presented, endorsements_in

CORPUS = Path(__file__).parent / "corpus"


@dataclass(frozen=True, kw_only=True)
class Target:
    """A parser, and how what it read is written; None where a format has several spellings."""

    parse: Callable[[bytes], Any]
    write: Callable[[Any], bytes] | None = None

    def check(self, data: bytes) -> None:
        """Raise unless ``data`` is read, and written again as it was, or is malformed."""
        try:
            read = self.parse(data)
        except MalformedError:
            return
        if self.write is not None and self.write(read) != data:
            raise AssertionError("read, and written otherwise")


def _spelled(form: Any) -> Target:
    return Target(parse=form.parse, write=lambda read: read.to_bytes())


def _entries(data: bytes) -> list[bytes]:
    if not data:
        raise MalformedError("expected a count, and a bundle of so many entries")
    return parse_bundle(data[1:], data[0])


def _told(data: bytes) -> object:
    issuers, _, body = data.partition(b"\0")
    told = pcs.Told(issuers=issuers, body=body)
    return pcs.collateral_of(pck_crl=told, tcb_info=told, qe_identity=told, root_crl=body)


def _chain(data: bytes) -> SnpChain:
    try:
        return SnpChain.parse(data)
    except MissingError as error:
        raise MalformedError("expected a whole chain") from error


def _endorsement_key(data: bytes) -> EndorsementKey:
    return EndorsementKey.parse(AmdCertificate.parse(data))


TARGETS: dict[str, Target] = {
    "attestation-bundle": Target(parse=AttestationBundle.parse, write=lambda read: read.to_bytes()),
    "statement": _spelled(Statement),
    "link": _spelled(Link),
    "pipeline": Target(parse=Pipeline.parse, write=lambda read: read.to_bytes()),
    "directory-manifest": _spelled(Manifest),
    "public-key": Target(parse=PublicKey.parse, write=lambda read: read.spki),
    "certificate": Target(parse=Certificate.parse, write=lambda read: read.parsed.public_bytes(Encoding.DER)),
    "sigstore-bundle": _spelled(SigstoreBundle),
    "sigstore-trusted-root": _spelled(TrustedRoot),
    "signed-note": _spelled(SignedNote),
    "checkpoint": Target(parse=SignedCheckpoint.parse, write=lambda read: read.note.to_bytes()),
    "receipt": _spelled(Receipt),
    "entry-bundle": Target(parse=_entries, write=lambda read: bytes([len(read)]) + bundle(read)),
    "hashedrekord": _spelled(HashedRekord),
    "rekor-request": Target(parse=parse_request),
    "rekor-entry": Target(parse=LogEntry.parse),
    "witness-request": _spelled(AddCheckpoint),
    "witness-lines": Target(parse=parse_lines),
    "witness-policy": Target(parse=WitnessPolicy.parse),
    "tdx-quote": Target(parse=TdxQuote.parse, write=lambda read: read.to_bytes()),
    "tdx-quote-buffer": Target(parse=trim),
    "td-report": _spelled(TdReport),
    "tdx-certification": _spelled(Certification),
    "pck-chain": _spelled(PckChain),
    "dcap-collateral": Target(parse=Collateral.parse),
    "event-log": _spelled(ccel.EventLog),
    "event-log-area": Target(parse=ccel.trim),
    "helper-answer": _spelled(Answer),
    "pcs-answers": Target(parse=_told),
    "snp-report": _spelled(SnpReport),
    "snp-chain": Target(parse=_chain, write=lambda read: read.to_bytes()),
    "snp-endorsement-key": Target(parse=_endorsement_key, write=lambda read: read.certificate.der),
    "snp-revocation-list": Target(parse=RevocationList.parse),
    "snp-certificate-table": Target(parse=CertificateTable.parse),
    "kds-issuers": Target(parse=kds.issuers_of),
    "evidence-file": Target(parse=Presented.parse),
    "endorsements-file": Target(parse=endorsements_in),
    "tpm-quote": _spelled(TpmQuote),
    "tpm-signature": _spelled(TpmSignature),
    "tpm-attestation-key": Target(parse=AttestationKey.parse, write=lambda read: read.spki),
    "tpm-evidence": _spelled(TpmEvidence),
    "azure-hcl-report": _spelled(HclReport),
    "azure-hcl-buffer": Target(parse=hcl.trim),
    "azure-runtime-data": Target(parse=RuntimeData.parse, write=lambda read: read.content),
    "azure-evidence": _spelled(AzureEvidence),
    "nitro-document": _spelled(NitroDocument),
    "nitro-payload": Target(parse=NitroPayload.parse),
    "nvidia-report": _spelled(GpuReport),
    "coco-evidence": Target(parse=parse_evidence),
}
"""Every parser that a stranger's bytes reach, by the name of its corpus."""
