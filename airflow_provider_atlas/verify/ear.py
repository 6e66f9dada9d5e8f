"""EAR: the result of an appraisal in the IETF's own form, as a JWT that other relying parties read.

The trustworthiness vector says, of AR4SI's categories (those that nothing is known of are left out)::

    hardware           2 genuine, firmware current or as new as the policy asks · 32 genuine with known vulnerabilities
                       97 a root that is no silicon vendor's · 99 not genuine
    instance-identity  2 one of the machines that the policy lists · 97 none of them
    configuration      2 as the policy demands · 96 debug, migratable, or other bits than it demands
    executables        3 all that measures the guest's code is pinned · 33 some or none of it is
    runtime-opaque     2 memory that the host cannot read, in a TEE that encrypts it

``ear_status`` is the worst of these, and ``contraindicated`` whenever the evidence is not accepted.
See: draft-ietf-rats-ear-04; draft-ietf-rats-ar4si §2.3; RFC 9782 (``application/eat+jwt``); RFC 7515 (JWS).
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from airflow_provider_atlas.encoding import Json, JsonObject, canonical_json
from airflow_provider_atlas.tee.appraisal import Judgement
from airflow_provider_atlas.tee.evidence import Evidence
from airflow_provider_atlas.tee.policy_fields import FIELDS
from airflow_provider_atlas.verify.evidence_report import EvidenceReport
from airflow_provider_atlas.verify.tee_result import TeeResult

PROFILE = "tag:ietf.org,2026:rats/ear#04"
"""The EAT profile of draft-ietf-rats-ear-04."""

EXTENSION = "https://airflow-provider-atlas.readthedocs.io/v1/evidence-report"
"""The name of our extension claim: the level of assurance, and every reason code."""

_DEVELOPER = "https://airflow-provider-atlas.readthedocs.io"
_ENCRYPTING = frozenset({"tdx", "sev-snp", "azure-snp"})
_CONFIGURATION = frozenset({"debug", "migratable", "td_attributes", "xfam", "policy", "platform_info", "vmpl", "smt"})
_COORDINATE = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Ear:
    """An attestation result, ``issued`` on the ``report`` about ``evidence``."""

    issued: datetime
    report: EvidenceReport
    evidence: Evidence

    def to_json(self) -> JsonObject:
        """Return the claims set."""
        vector = self._vector()
        result: dict[str, Json] = {
            "ear_status": self._status(vector),
            "ear_trustworthiness_vector": vector,
            EXTENSION: self._extension(),
        }
        if self.report.policy is not None:
            digest = _base64url(bytes.fromhex(self.report.policy[1]))
            result["ear_appraisal_policy_ids"] = [f"ni:///sha-256;{digest}"]
        return {
            "eat_profile": PROFILE,
            "iat": int(self.issued.timestamp()),
            "ear_verifier_id": {"developer": _DEVELOPER, "build": self.report.verifier},
            "ear_raw_evidence": [self.evidence.media_type, _base64url(self.evidence.quote)],
            "submods": {self.evidence.tee: result},
        }

    def signing_input(self, key_id: str) -> bytes:
        """Return what the key named ``key_id`` signs with ES256: the header and the claims set, RFC 7515 §5.1."""
        header = canonical_json({"alg": "ES256", "typ": "eat+jwt", "kid": key_id})
        return f"{_base64url(header)}.{_base64url(canonical_json(self.to_json()))}".encode("ascii")

    def _vector(self) -> Mapping[str, int]:
        tee = self.report.tee
        if tee is None:
            return {"hardware": 99}
        vector = {
            "hardware": _hardware(tee),
            "executables": 3 if _pins_all_code(tee) else 33,
            "configuration": 96 if any(one.name in _CONFIGURATION for one in _failed(tee)) else 2,
        }
        listed = [one.passed for one in tee.judgements if one.name in FIELDS[tee.tee].platforms]
        if listed:
            vector["instance-identity"] = 2 if all(listed) else 97
        if tee.tee in _ENCRYPTING:
            vector["runtime-opaque"] = 2
        return vector

    def _status(self, vector: Mapping[str, int]) -> str:
        worst = max(vector.values())
        if worst >= 96 or self.report.verdict != "passed":
            return "contraindicated"
        return "warning" if worst >= 32 else "affirming"

    def _extension(self) -> JsonObject:
        tee, passed = self.report.tee, self.report.verdict == "passed"
        return {
            "assurance": tee.assurance if tee and passed else "none",
            "limits": sorted(limit.code for limit in tee.limits) if tee else [],
            "reason_codes": [check.code for check in self.report.failures],
        }


def _hardware(tee: TeeResult) -> int:
    if tee.development or tee.tee == "tpm" or any(one.name == "root" for one in _failed(tee)):
        return 97
    vulnerable = {"tcb-status", "tcb-status-now", "milan"} & {limit.code for limit in tee.limits}
    return 32 if vulnerable or tee.tcb_status not in (None, "UpToDate") else 2


def _pins_all_code(tee: TeeResult) -> bool:
    open_ones = {"signature-only", "code-not-pinned"} & {limit.code for limit in tee.limits}
    return tee.assurance != "none" and not open_ones


def _failed(tee: TeeResult) -> Sequence[Judgement]:
    return [judgement for judgement in tee.judgements if not judgement.passed]


def token(signing_input: bytes, signature: bytes) -> str:
    """Return the JWT of ``signing_input`` and its ECDSA P-256 ``signature`` (DER), which JWS spells r ‖ s."""
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    numbers = decode_dss_signature(signature)
    raw = b"".join(number.to_bytes(_COORDINATE, "big") for number in numbers)
    return f"{signing_input.decode('ascii')}.{_base64url(raw)}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
