"""Judge evidence alone, without a record around it: what ``atlas tee verify`` asks."""

import hmac
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from airflow_provider_atlas import __version__
from airflow_provider_atlas.errors import AppraisalError, BindingError, MalformedError, MissingError, VerificationError
from airflow_provider_atlas.intoto.scai import SIMULATED_PROVIDER
from airflow_provider_atlas.tee.appraisal import appraise
from airflow_provider_atlas.tee.attester import EvidenceVerifier
from airflow_provider_atlas.tee.binding import Binding, is_committed
from airflow_provider_atlas.tee.capture import PROVIDER
from airflow_provider_atlas.tee.demands import Moment
from airflow_provider_atlas.tee.evidence import Claims, Endorsements
from airflow_provider_atlas.tee.reference import ReferenceValues
from airflow_provider_atlas.verify.evidence_file import Presented
from airflow_provider_atlas.verify.evidence_policy import EvidencePolicy
from airflow_provider_atlas.verify.evidence_report import EvidenceCheck, EvidenceReport
from airflow_provider_atlas.verify.record_checks import Judge, moment_of, status_now
from airflow_provider_atlas.verify.report import Status
from airflow_provider_atlas.verify.tee_result import TeeResult

SALT_WITHOUT_POLICY = b"atlas evidence report without a policy"
"""What identities are hashed with when there is no policy: it hides a machine from nobody who knows its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceJudge:
    """What evidence is judged by.

    Without a ``policy`` it is judged whether the evidence is genuine, and its firmware up to date. ``report_data`` is
    what it must commit to, where somebody asks; ``development_roots`` are accepted besides those of the policy;
    ``fresh`` endorsements tell what the vendor says now. With ``at_given`` somebody named the moment by hand.
    """

    policy: EvidencePolicy | None
    verifiers: Mapping[str, EvidenceVerifier]
    moment: Moment
    development_roots: Collection[str] = ()
    report_data: bytes | None = None
    fresh: Sequence[Endorsements] = ()
    plain_identities: bool = False
    at_given: bool = False

    @property
    def roots(self) -> frozenset[str]:
        """Every development root that is accepted."""
        return frozenset(self.development_roots) | (self.policy.tee.development_roots if self.policy else frozenset())

    @property
    def salt(self) -> bytes | None:
        """What identities are hashed with, None to show them."""
        if self.plain_identities:
            return None
        return self.policy.tee.salt if self.policy else SALT_WITHOUT_POLICY

    def references(self, tee: str) -> Sequence[ReferenceValues]:
        """Return what is accepted of ``tee``."""
        named = frozenset(self.development_roots)
        if self.policy is None:
            return [ReferenceValues(tee=tee, signature_only=True, development_roots=named)]
        accepted = self.policy.tee.references
        return [replace(one, development_roots=frozenset(one.development_roots) | named) for one in accepted]


def verify_evidence(content: bytes, judge: EvidenceJudge, *endorsements: Endorsements) -> EvidenceReport:
    """Return the report on the evidence in the file ``content``, with ``endorsements`` or else with its own."""
    checks: list[EvidenceCheck] = []
    try:
        presented = Presented.parse(content).endorsed_by(*endorsements)
    except MalformedError as error:
        return _report(judge, [_check("format", "failed", "malformed", str(error))], None)
    checks.append(_check("format", "passed", "ok", f"{presented.evidence.tee}: {presented.evidence.media_type}"))
    moment = _moment(presented, judge, checks)
    claims = _genuine(presented, judge, moment, checks) if moment else None
    if moment is None or claims is None:
        return _report(judge, checks, None)
    _committed(presented, claims, judge, checks)
    now = status_now(presented.evidence, judge.verifiers[claims.tee], judge.fresh, judge.roots, moment.now)
    appraisal = appraise(claims, judge.references(claims.tee), moment, status_now=now)
    checks += [
        _check(one.name, "passed" if one.passed else "failed", one.code, one.detail) for one in appraisal.judgements
    ]
    evidence, binding = presented.evidence, presented.binding
    return _report(judge, checks, TeeResult.of(claims, appraisal, evidence, binding=binding, salt=judge.salt))


def _moment(presented: Presented, judge: EvidenceJudge, checks: list[EvidenceCheck]) -> Moment | None:
    """Return as of when to judge: what a record's time-stamp says counts where the policy asks for it."""
    if judge.policy is None or judge.at_given:
        return judge.moment
    try:
        if judge.policy.whole is not None and presented.bundle is not None:
            by = Judge(policy=judge.policy.whole, verifiers=judge.verifiers, at=judge.moment.now)
            return moment_of(presented.bundle, by)
        if judge.policy.tee.at == "attested":
            raise AppraisalError("expected a bundle with a time-stamp, as of which the policy judges evidence")
    except VerificationError as error:
        checks.append(_check("moment", "failed", "moment-unknown", str(error)))
        return None
    return judge.moment


def _genuine(presented: Presented, judge: EvidenceJudge, moment: Moment, checks: list[EvidenceCheck]) -> Claims | None:
    evidence = presented.evidence
    verifier = judge.verifiers.get(evidence.tee)
    if verifier is None:
        known = ", ".join(sorted(judge.verifiers))
        detail = f"expected evidence of a TEE that there is a verifier for ({known}), not {evidence.tee}"
        checks.append(_check("genuine", "not-reached", "no-verifier", detail))
        return None
    try:
        claims = verifier.verify(evidence, development_roots=judge.roots, at=moment.at)
    except MissingError as error:
        checks.append(_check("genuine", "not-reached", "endorsements-missing", str(error)))
    except MalformedError as error:
        checks.append(_check("genuine", "failed", "malformed", str(error)))
    except VerificationError as error:
        checks.append(_check("genuine", "failed", error.code or "not-genuine", str(error)))
    else:
        checks.append(_check("genuine", "passed", "ok", f"every signature leads to the root {claims.root_sha256}"))
        checks += _labelled(presented, claims)
        return claims
    return None


def _labelled(presented: Presented, claims: Claims) -> Sequence[EvidenceCheck]:
    provider = presented.evidence.provider
    if provider == PROVIDER or claims.development == (provider == SIMULATED_PROVIDER):
        return []
    detail = "expected evidence under a development root, and no other, to call itself simulated"
    return [_check("label", "failed", "mislabelled", detail)]


def _quoted(presented: Presented, binding: Binding) -> bytes:
    """Return what the quote must commit to; what a batch does not hold, nothing commits to."""
    try:
        return presented.evidence.quoted(binding.report_data())
    except BindingError:
        return b""


def _committed(presented: Presented, claims: Claims, judge: EvidenceJudge, checks: list[EvidenceCheck]) -> None:
    if presented.binding is not None:
        good = is_committed(_quoted(presented, presented.binding), claims.report_data)
        detail = "the binding that came with the evidence" if good else "expected the digest of the evidence's binding"
        checks.append(_check("binding", *_answer(good, "binding-other"), detail))
    if judge.report_data is None:
        checks.append(_check("report-data", "not-required", "not-asked", "nobody said what it should commit to"))
        return
    good = hmac.compare_digest(judge.report_data, claims.report_data) or (
        len(judge.report_data) == 64 and is_committed(judge.report_data, claims.report_data)
    )
    detail = "what it should be" if good else f"expected {judge.report_data.hex()}, not {claims.report_data.hex()}"
    checks.append(_check("report-data", *_answer(good, "report-data-other"), detail))


def _answer(good: bool, code: str) -> tuple[Status, str]:
    return ("passed", "ok") if good else ("failed", code)


def _check(name: str, status: Status, code: str, detail: str) -> EvidenceCheck:
    return EvidenceCheck(name=name, status=status, code=code, detail=detail)


def _report(judge: EvidenceJudge, checks: Sequence[EvidenceCheck], tee: TeeResult | None) -> EvidenceReport:
    return EvidenceReport(
        policy=(judge.policy.name, judge.policy.sha256) if judge.policy else None,
        evaluated_at=judge.moment.now,
        verifier=f"airflow-provider-atlas {__version__}",
        checks=checks,
        tee=tee,
    )
