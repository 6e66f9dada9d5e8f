"""Questions 1 to 6, asked of one record. Each function answers one: it returns, or raises why not.

VerificationError and MalformedError are a no; MissingError is no answer. Nothing here reads a clock or a network.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from airflow_provider_atlas.bundle import AttestationBundle, BoundEvidence, vouching_statement
from airflow_provider_atlas.errors import (
    AppraisalError,
    InclusionError,
    MalformedError,
    MissingError,
    SignatureError,
    StatementError,
    VerificationError,
)
from airflow_provider_atlas.intoto.link import Link
from airflow_provider_atlas.intoto.provenance import provenance_of
from airflow_provider_atlas.intoto.scai import SIMULATED_PROVIDER
from airflow_provider_atlas.intoto.start import is_start_of
from airflow_provider_atlas.intoto.statement import PAYLOAD_TYPE, Statement
from airflow_provider_atlas.tee.appraisal import Appraisal, appraise
from airflow_provider_atlas.tee.attester import EvidenceVerifier
from airflow_provider_atlas.tee.demands import Moment
from airflow_provider_atlas.tee.evidence import Claims, Endorsements, Evidence
from airflow_provider_atlas.verify.binding_checks import CLOCK_TOLERANCE, check_binding
from airflow_provider_atlas.verify.policy import Policy
from airflow_provider_atlas.verify.signers import check_certified


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """What a record is judged by: the policy, the verifiers of evidence by TEE, and the moment (aware).

    ``fresh`` are endorsements of that moment, from which to tell what a vendor says of a platform now.
    """

    policy: Policy
    verifiers: Mapping[str, EvidenceVerifier]
    at: datetime
    fresh: Sequence[Endorsements] = ()


def check_signature(bundle: AttestationBundle, judge: Judge) -> None:
    """1: every envelope is signed by one key, which the policy trusts: by name, by its certificate, or for its session.

    With certificates a task's start may be signed by another key than its end: the policy's identity is the same.
    """
    if bundle.certificate is not None:
        check_certified(bundle, judge.policy)
        return
    if judge.policy.signer(bundle.public_key) is None:
        _check_attested(bundle, judge)
    for envelope in bundle.envelopes.values():
        envelope.verify(bundle.public_key, PAYLOAD_TYPE)


def _check_attested(bundle: AttestationBundle, judge: Judge) -> None:
    """Whether the key counts that a session's evidence vouches for: questions 3 to 5 must be answered well first."""
    key, bound = bundle.public_key.sha256, bundle.bound_evidence
    if not judge.policy.attested_signers or bound is None or bound.binding.purpose != "session":
        raise SignatureError(f"expected a signer of the policy; the key {key} is none")
    try:
        claims = genuine_claims(bundle, bound, judge)
        check_binding(bundle, Link.parse(bundle.envelopes["link"].payload), claims, judge.policy)
        check_appraisal(bundle, claims, judge).check()
    except VerificationError as error:
        raise SignatureError(f"expected a key that a session vouches for; {key} is none: {error}") from error


def check_statement(bundle: AttestationBundle, link: Link, judge: Judge) -> None:
    """2: the provenance, the TEE statement and the start record say what the link says."""
    if bundle.envelopes["provenance"].payload != provenance_of(link).to_bytes():
        raise StatementError("expected the provenance that follows from the link")
    bound = bundle.bound_evidence
    if bound is not None:
        stated = vouching_statement(link.name, bundle.envelopes["link"], bound).to_bytes()
        if bundle.envelopes["tee"].payload != stated:
            raise StatementError("expected the TEE statement that follows from the link and its evidence")
    _check_start(bundle, link, judge)
    name, digest = link.environment.run.material
    if link.materials.get(name) != digest:
        raise StatementError("expected the link to have its run among its materials")


def _check_start(bundle: AttestationBundle, link: Link, judge: Judge) -> None:
    reference, envelope = link.environment.start, bundle.envelopes.get("start")
    if reference is None and envelope is None:
        if judge.policy.start_required:
            raise StatementError("expected a start record, which the policy requires; the link has none")
        return
    if reference is None or envelope is None or reference.envelope_sha256 != envelope.sha256:
        raise StatementError("expected the start record that the link commits to")
    if not is_start_of(Statement.parse(envelope.payload), link):
        raise StatementError("expected the link to end what its start record began, with the inputs it had then")


def moment_of(bundle: AttestationBundle, judge: Judge) -> Moment:
    """Return as of which moment the evidence is judged, and when an authority saw its record, if one did.

    Raises AppraisalError when the policy judges as of that moment and there is none, InclusionError when it is forged.
    """
    demand, timestamp = judge.policy.timestamps, bundle.timestamps.get("link")
    by_stamp, attested = judge.policy.tee.at == "attested", None
    if demand is not None and timestamp is not None:
        try:
            attested = demand.moment_of(timestamp, bundle.envelopes["link"].signature)
        except InclusionError:
            if by_stamp:
                raise
    if by_stamp and attested is None:
        raise AppraisalError("expected a time-stamp of the link, as of which the policy judges its evidence")
    return Moment(at=attested if by_stamp and attested else judge.at, now=judge.at, attested=attested)


def check_evidence(bundle: AttestationBundle, judge: Judge) -> Claims | None:
    """3: the quote is genuine, up to a root that the policy accepts. Returns its claims; none when none is asked."""
    bound, policy = bundle.bound_evidence, judge.policy
    if bound is None:
        if policy.tee.required:
            raise AppraisalError("expected TEE evidence, which the policy requires; the record has none")
        return None
    return genuine_claims(bundle, bound, judge)


def genuine_claims(bundle: AttestationBundle, bound: BoundEvidence, judge: Judge) -> Claims:
    """Return the claims of ``bound``, the evidence of ``bundle``: genuine, up to a root that the policy accepts."""
    policy = judge.policy
    verifier = judge.verifiers.get(bound.evidence.tee)
    if verifier is None:
        raise MissingError(f"no verifier for evidence of the TEE {bound.evidence.tee!r}")
    at = moment_of(bundle, judge).at
    claims = verifier.verify(bound.evidence, development_roots=policy.tee.development_roots, at=at)
    # Evidence is labelled by its root. A simulator that calls itself something else is lying about what it is.
    if claims.development != (bound.evidence.provider == SIMULATED_PROVIDER):
        raise SignatureError("expected evidence under a development root, and no other, to call itself simulated")
    return claims


def check_appraisal(bundle: AttestationBundle, claims: Claims, judge: Judge) -> Appraisal:
    """5: return what the measurements, the TCB and the rest come to by the policy's reference that goes furthest."""
    bound = bundle.bound_evidence
    roots, now = judge.policy.tee.development_roots, None
    if bound is not None:
        now = status_now(bound.evidence, judge.verifiers[bound.evidence.tee], judge.fresh, roots, judge.at)
    return appraise(claims, judge.policy.tee.references, moment_of(bundle, judge), status_now=now)


def status_now(
    evidence: Evidence, verifier: EvidenceVerifier, fresh: Sequence[Endorsements], roots: Collection[str], now: datetime
) -> str | None:
    """Return what the vendor says of the platform ``now`` by the ``fresh`` endorsements that fit it; else None.

    Each is tried by itself: a run has many platforms. Where all that fit refuse the platform, their reason is told.
    """
    said = None
    for endorsements in fresh:
        renewed = replace(evidence, endorsements=(endorsements,))
        try:
            claims = verifier.verify(renewed, development_roots=roots, at=now)
        except MissingError:
            continue
        except (VerificationError, MalformedError) as error:
            if getattr(error, "code", "") != "collateral-of-another-platform":
                said = f"Refused: {error}"
        else:
            return claims.tcb_status
    return said


def check_inclusion(bundle: AttestationBundle, judge: Judge) -> None:
    """6: each envelope was logged, by a log of the policy."""
    for role in bundle.envelopes:
        receipt = bundle.receipts.get(role)
        if receipt is None:
            raise MissingError(f"the {role} has no receipt: it is not logged yet")
        log = judge.policy.log(receipt.checkpoint.origin)
        if log is None:
            raise InclusionError(f"expected a log of the policy; {receipt.checkpoint.origin!r} is none")
        log.check(receipt, bundle.log_entry(role))


def check_logged(bundle: AttestationBundle, link: Link, judge: Judge) -> None:
    """6: each envelope was logged (``check_inclusion``), in the order and at the time that the link tells.

    See ``check_order`` and ``check_time``.
    """
    check_inclusion(bundle, judge)
    check_order(bundle, link)
    check_time(bundle, link, judge)


def check_order(bundle: AttestationBundle, link: Link) -> None:
    """6, too: the log's own order agrees: beacon, then start, then link. Its clock is its indices."""
    environment, index = link.environment, bundle.receipts["link"].index
    if environment.start is not None:
        start = bundle.receipts["start"].index
        if environment.start.log_index != start or start >= index:
            raise InclusionError("expected the start record in the log before the link, at the index the link names")
        index = start
    beacon = environment.beacon
    same_log = beacon is not None and beacon.origin == bundle.receipts["link"].checkpoint.origin
    if beacon is not None and same_log and beacon.size > index:
        raise InclusionError("expected a beacon that is older than the record; it is a later checkpoint")


def check_time(bundle: AttestationBundle, link: Link, judge: Judge) -> None:
    """6, again: an authority of the policy saw the link's signature soon after the task ended, by the link's word."""
    demand, timestamp = judge.policy.timestamps, bundle.timestamps.get("link")
    if demand is None or (timestamp is None and not demand.required):
        return
    if timestamp is None:
        raise InclusionError("expected a time-stamp of the link, which the policy requires; the record has none")
    moment = demand.moment_of(timestamp, bundle.envelopes["link"].signature)
    after = moment - link.environment.finished  # a difference, since a link may name the last moment there is
    if not -CLOCK_TOLERANCE <= after <= demand.within:
        seconds = int(after.total_seconds())
        raise InclusionError(f"expected a time-stamp from soon after the end of the task, not {seconds} s after it")
