"""Question 4, by the mode of the attester: what a quote must commit to, and what it need not.

``task``     the quote commits to the record: its link, its key, its nonce, its beacon
``batch``    as ``task``, and the quote is for all records of a batch, to which a proof leads
``session``  the quote commits to the key alone; the key's signature on the link is what commits to the record

A policy takes ``task`` alone unless it names others: a session says nothing of the single record.
See: ``docs/format.md`` §5.
"""

from collections.abc import Mapping
from datetime import timedelta

from airflow_provider_atlas.bundle import AttestationBundle, BoundEvidence
from airflow_provider_atlas.encoding import parse_hex, sha256_hex
from airflow_provider_atlas.errors import BindingError, MissingError
from airflow_provider_atlas.intoto.link import Link
from airflow_provider_atlas.tee.binding import Purpose, is_committed, session_nonce
from airflow_provider_atlas.tee.evidence import Claims
from airflow_provider_atlas.verify.policy import Policy

CLOCK_TOLERANCE = timedelta(seconds=60)
"""How far two clocks may be apart."""

BOUND: Mapping[Purpose, str] = {
    "task": "bound to this link",
    "batch": "bound to this link, in a batch",
    "session": "bound to the key that signed this link",
}
"""What a good answer says, by the purpose of the quote."""


def check_binding(bundle: AttestationBundle, link: Link, claims: Claims, policy: Policy) -> None:
    """4: the quote commits to what its purpose says, and ``policy`` takes quotes for that purpose."""
    bound = bundle.bound_evidence
    if bound is None:
        raise MissingError("no evidence to bind")
    purpose = bound.binding.purpose
    if purpose not in policy.tee.modes:
        raise BindingError(f"expected a quote for a {' or a '.join(sorted(policy.tee.modes))}; this is for a {purpose}")
    if not is_committed(bound.evidence.quoted(bound.binding.report_data()), claims.report_data):
        raise BindingError("expected a quote whose report data is the digest of its binding")
    if bound.binding.key != parse_hex(bundle.public_key.sha256, 32):
        raise BindingError("expected a quote for the key that signed this link")
    if bound.binding.beacon is None and policy.tee.beacon_required:
        raise BindingError("expected a quote with a beacon, which the policy requires: it could be of any age")
    if purpose == "session":
        _check_session(bundle, bound, policy)
    else:
        _check_link(bundle, link, bound)


def _check_link(bundle: AttestationBundle, link: Link, bound: BoundEvidence) -> None:
    binding = bound.binding
    if binding.statement != parse_hex(sha256_hex(bundle.envelopes["link"].payload), 32):
        raise BindingError("expected a quote for this link")
    if binding.nonce != link.environment.nonce or binding.beacon != link.environment.beacon:
        raise BindingError("expected a quote for the nonce and the beacon of this link")


def _check_session(bundle: AttestationBundle, bound: BoundEvidence, policy: Policy) -> None:
    binding = bound.binding
    if bound.timestamp is not None and binding.nonce != session_nonce(bound.timestamp):
        raise BindingError("expected a session whose nonce follows from its time-stamp")
    if (beacon := binding.beacon) is not None:
        # A key that signed before its quote was made may have been anywhere then.
        indices = [each.index for each in bundle.receipts.values() if each.checkpoint.origin == beacon.origin]
        if indices and beacon.size > min(indices):
            raise BindingError("expected a session that is older than its records; its beacon is a later checkpoint")
    if policy.tee.session_max_age is not None:
        _check_age(bundle, bound, policy, policy.tee.session_max_age)


def _check_age(bundle: AttestationBundle, bound: BoundEvidence, policy: Policy, most: timedelta) -> None:
    """The key was seen before the quote was made, and the link's signature after it was: so both moments bound it."""
    stamped = bundle.timestamps.get("link")
    if policy.timestamps is None or bound.timestamp is None or stamped is None:
        raise BindingError("expected time-stamps of the session and of the link: nothing else tells the session's age")
    opened = policy.timestamps.moment_of(bound.timestamp, bundle.public_key.spki)
    age = policy.timestamps.moment_of(stamped, bundle.envelopes["link"].signature) - opened
    if not -CLOCK_TOLERANCE <= age <= most:
        raise BindingError(
            f"expected a session of at most {int(most.total_seconds())} s, not one of {int(age.total_seconds())} s"
        )
