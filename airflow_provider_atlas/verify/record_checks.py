"""Questions 1 to 6, asked of one record. Each function answers one: it returns, or raises why not.

VerificationError and MalformedError are a no; MissingError is no answer. Nothing here reads a clock or a network.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from airflow_provider_atlas.bundle import AttestationBundle, vouching_statement
from airflow_provider_atlas.encoding import parse_hex, sha256_hex
from airflow_provider_atlas.errors import (
    AppraisalError,
    BindingError,
    InclusionError,
    MissingError,
    SignatureError,
    StatementError,
)
from airflow_provider_atlas.intoto.link import Link
from airflow_provider_atlas.intoto.provenance import provenance_of
from airflow_provider_atlas.intoto.scai import SIMULATED_PROVIDER
from airflow_provider_atlas.intoto.start import is_start_of
from airflow_provider_atlas.intoto.statement import PAYLOAD_TYPE, Statement
from airflow_provider_atlas.tee.appraisal import appraise
from airflow_provider_atlas.tee.attester import EvidenceVerifier
from airflow_provider_atlas.tee.binding import is_committed
from airflow_provider_atlas.tee.evidence import Claims
from airflow_provider_atlas.verify.policy import Policy
from airflow_provider_atlas.verify.signers import check_certified

CLOCK_TOLERANCE = timedelta(seconds=60)
"""How far the clock of a worker may be ahead of an authority's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """What a record is judged by: the policy, the verifiers of evidence by TEE, and the moment (aware)."""

    policy: Policy
    verifiers: Mapping[str, EvidenceVerifier]
    at: datetime


def check_signature(bundle: AttestationBundle, judge: Judge) -> None:
    """1: every envelope is signed by one key, and the policy trusts it, or whom its certificate names."""
    if bundle.certificate is not None:
        check_certified(bundle, judge.policy)
        return
    signer = judge.policy.signer(bundle.public_key)
    if signer is None:
        raise SignatureError(f"expected a signer of the policy; the key {bundle.public_key.sha256} is none")
    for envelope in bundle.envelopes.values():
        envelope.verify(signer.key, PAYLOAD_TYPE)


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


def check_evidence(bundle: AttestationBundle, judge: Judge) -> Claims | None:
    """3: the quote is genuine, up to a root that the policy accepts. Returns its claims; none when none is asked."""
    bound, policy = bundle.bound_evidence, judge.policy
    if bound is None:
        if policy.evidence_required:
            raise AppraisalError("expected TEE evidence, which the policy requires; the record has none")
        return None
    verifier = judge.verifiers.get(bound.evidence.tee)
    if verifier is None:
        raise MissingError(f"no verifier for evidence of the TEE {bound.evidence.tee!r}")
    claims = verifier.verify(bound.evidence, development_roots=policy.development_roots, at=judge.at)
    # Evidence is labelled by its root. A simulator that calls itself something else is lying about what it is.
    if claims.development != (bound.evidence.provider == SIMULATED_PROVIDER):
        raise SignatureError("expected evidence under a development root, and no other, to call itself simulated")
    return claims


def check_binding(bundle: AttestationBundle, link: Link, claims: Claims) -> None:
    """4: the quote commits to this link's payload, its signing key, its nonce and its beacon."""
    bound = bundle.bound_evidence
    if bound is None:
        raise MissingError("no evidence to bind")
    binding = bound.binding
    payload_sha256 = parse_hex(sha256_hex(bundle.envelopes["link"].payload), 32)
    if not is_committed(binding.report_data(), claims.report_data):
        raise BindingError("expected a quote whose report data is the digest of its binding")
    if binding.statement != payload_sha256 or binding.key != parse_hex(bundle.public_key.sha256, 32):
        raise BindingError("expected a quote for this link and this key")
    if binding.nonce != link.environment.nonce or binding.beacon != link.environment.beacon:
        raise BindingError("expected a quote for the nonce and the beacon of this link")


def check_appraisal(claims: Claims, judge: Judge) -> None:
    """5: the measurements and the TCB are what one of the policy's references accepts."""
    reasons: list[str] = []
    for accepted in judge.policy.tees:
        if claims.development and claims.root_sha256 not in accepted.development_roots:
            reasons.append(f"expected a root of the reference, not the development root {claims.root_sha256}")
            continue
        try:
            appraise(claims, accepted.reference)
        except AppraisalError as error:
            reasons.append(str(error))
        else:
            return
    raise AppraisalError("; ".join(dict.fromkeys(reasons)) or "expected a policy with reference values; it has none")


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
