"""Are genuine claims the ones that a relying party expects? Silence is not consent: what is not listed fails.

Each question gets a judgement with a reason code: the name of what was judged and how it failed, ``rtmr1-not-listed``.
See: RFC 9334 §7.3 (appraisal of evidence), for the words; ``docs/format.md`` §9 for the codes.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from airflow_provider_atlas.errors import AppraisalError
from airflow_provider_atlas.tee.assurance import LEVELS, Assurance, Limit, Pins, level_of, limits_of
from airflow_provider_atlas.tee.demands import Listed, Moment, too_old
from airflow_provider_atlas.tee.evidence import Claims, Fact
from airflow_provider_atlas.tee.reference import ReferenceValues


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What became of one thing that was judged: its ``name``, the reason ``code`` (``ok`` when it is good), and why."""

    name: str
    code: str
    detail: str

    @property
    def passed(self) -> bool:
        """Whether it is good."""
        return self.code == "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class Appraisal:
    """What claims came to at a ``moment``: each judgement, and what holds the claims back.

    ``status_now`` is the vendor's word on the platform at the moment of the report, where somebody asked.
    """

    judgements: Sequence[Judgement]
    limits: Sequence[Limit]
    moment: Moment
    status_now: str | None = None

    @property
    def accepted(self) -> bool:
        """Whether everything was good. Nothing judged is nothing accepted."""
        return bool(self.judgements) and all(judgement.passed for judgement in self.judgements)

    @property
    def assurance(self) -> Assurance:
        """How far the claims go: ``none`` when they are not accepted."""
        return level_of(self.limits) if self.accepted else "none"

    def check(self) -> None:
        """Raise AppraisalError, with everything that is not good, unless the claims are accepted."""
        failed = [judgement for judgement in self.judgements if not judgement.passed]
        if not self.accepted:
            details = dict.fromkeys(judgement.detail for judgement in failed)
            raise AppraisalError("; ".join(details), code=failed[0].code)


def appraise(
    claims: Claims, references: Sequence[ReferenceValues], moment: Moment, *, status_now: str | None = None
) -> Appraisal:
    """Return what ``claims`` come to at ``moment``, by the one of ``references`` under which they go furthest.

    Where none accepts them, it is all that keeps each from doing so. Without any, nothing is accepted.
    """
    tried = [_appraise(claims, reference, moment, status_now) for reference in references]
    accepted = [one for one in tried if one.accepted]
    if accepted:
        return max(accepted, key=lambda one: LEVELS.index(one.assurance))
    failed = [judgement for one in tried for judgement in one.judgements if not judgement.passed]
    if not failed:
        failed = [_judgement("reference", "absent", "expected a policy with reference values; it has none")]
    return Appraisal(judgements=list(dict.fromkeys(failed)), limits=(), moment=moment, status_now=status_now)


def _appraise(claims: Claims, reference: ReferenceValues, moment: Moment, status_now: str | None) -> Appraisal:
    judgements = [*_of_platform(claims, reference), *_of_facts(claims, reference, moment)]
    pins = Pins(measurements=reference.measurements.keys(), fields=reference.demanding)
    limits = limits_of(claims, pins, status_now=status_now)
    if reference.assurance != "none":
        judgements.append(_of_assurance(limits, reference))
    return Appraisal(judgements=judgements, limits=limits, moment=moment, status_now=status_now)


def _of_assurance(limits: Sequence[Limit], reference: ReferenceValues) -> Judgement:
    level = level_of(limits)
    enough = LEVELS.index(level) >= LEVELS.index(reference.assurance)
    held = ", ".join(limit.code for limit in limits if limit.level == level)
    detail = f"expected an assurance of at least {reference.assurance}, not {level}: {held}"
    return _judgement("assurance", None if enough else "too-low", detail)


def _of_platform(claims: Claims, reference: ReferenceValues) -> Iterator[Judgement]:
    wrong = claims.tee != reference.tee
    yield _judgement("tee", "not-listed" if wrong else None, f"expected a TEE of {reference.tee}, not {claims.tee}")
    yield _root(claims, reference)
    yield _judgement("debug", "set" if claims.debug else None, "expected a guest that its host cannot debug")
    migratable = claims.facts.get("migratable") is True
    detail = "expected a guest that cannot migrate to another platform"
    yield _judgement("migratable", "set" if migratable else None, detail)
    if claims.tcb_status is not None:
        bad = claims.tcb_status not in reference.tcb_status
        detail = f"expected a TCB status of {_list(reference.tcb_status)}, not {claims.tcb_status}"
        yield _judgement("tcb-status", "not-listed" if bad else None, detail)
    yield from _of_advisories(claims, reference)
    if claims.tee == "tpm" and not claims.development:
        # A TPM has no vendor's root: anybody can make a key and call it a TPM's.
        pinned = {"ak_sha256", "ak_root_sha256"} & set(reference.demanding)
        detail = "expected the policy to list the attestation keys of the TPMs that it trusts"
        yield _judgement("ak_sha256", None if pinned else "not-pinned", detail)


def _root(claims: Claims, reference: ReferenceValues) -> Judgement:
    if claims.development:
        known = claims.root_sha256 in reference.development_roots
        detail = f"expected a silicon vendor's root, not the development root {claims.root_sha256}"
        return _judgement("root", None if known else "development", detail)
    bad = bool(reference.roots) and claims.root_sha256 not in reference.roots
    detail = f"expected one of the roots that the policy lists, not {claims.root_sha256}"
    return _judgement("root", "not-listed" if bad else None, detail)


def _of_advisories(claims: Claims, reference: ReferenceValues) -> Iterator[Judgement]:
    denied = sorted(set(claims.advisory_ids) & set(reference.denied_advisories))
    yield _judgement("advisories", "denied" if denied else None, f"expected no open advisory of {_list(denied)}")
    if reference.allowed_advisories is not None:
        others = sorted(set(claims.advisory_ids) - set(reference.allowed_advisories))
        detail = f"expected no other open advisory than the policy lists, not {_list(others)}"
        yield _judgement("advisories", "not-listed" if others else None, detail)


def _of_facts(claims: Claims, reference: ReferenceValues, moment: Moment) -> Iterator[Judgement]:
    if not reference.measurements and not reference.signature_only:
        detail = "no reference values: expected the policy to list a measurement, or to be signature_only"
        yield _judgement("measurements", "absent", detail)
    for name, accepted in reference.measurements.items():
        value = claims.measurements.get(name)
        if value is None:
            yield _judgement(name, "absent", f"expected the evidence to measure {name}")
        else:
            flaw = Listed(accepted=tuple(accepted)).flaw(name, value, moment)
            yield _judgement(name, flaw.code if flaw else None, flaw.detail if flaw else "")
    for (field, fact), demand in reference.demands.items():
        told = claims.facts.get(fact)
        if told is None:
            detail = f"expected the evidence to tell {fact}, of which the policy's {field} asks"
            yield _judgement(fact, "absent", detail)
        else:
            flaw = demand.flaw(fact, told, moment)
            yield _judgement(fact, flaw.code if flaw else None, flaw.detail if flaw else "")
    yield from _of_author(claims, reference)
    yield from _of_age(claims, reference, moment)


def _of_author(claims: Claims, reference: ReferenceValues) -> Iterator[Judgement]:
    # Without the bit the digest is whatever the host wrote there.
    if "author_key_digest" in reference.measurements and claims.facts.get("author_key_en") is not True:
        yield _judgement("author_key_en", "differs", "expected an author's key, which the policy lists, to be in use")


def _of_age(claims: Claims, reference: ReferenceValues, moment: Moment) -> Iterator[Judgement]:
    if reference.max_evidence_age is None:
        return
    seen: Fact | None = claims.facts.get("timestamp")
    if moment.attested is not None:
        seen = int(moment.attested.timestamp())
    if type(seen) is not int:
        detail = "expected somebody trustworthy to say when the evidence was made: a time-stamp of the record"
        yield _judgement("evidence", "age-unknown", detail)
        return
    flaw = too_old("the evidence", seen, reference.max_evidence_age, moment.now)
    yield _judgement("evidence", flaw.code if flaw else None, flaw.detail if flaw else "")


def _judgement(name: str, code: str | None, detail: str) -> Judgement:
    return Judgement(name=name, code=f"{name}-{code}" if code else "ok", detail=detail if code else "as expected")


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "(none)"
