"""What a policy says of trusted execution environments: its member ``tee``, parsed.

::

    tee:
      evidence: required
      at: attested
      accept:
        - tee: tdx
          measurements: {mrtd: [9f2c…], rtmr0: […], rtmr1: […], rtmr2: […]}
          tcb_status: [UpToDate]
          ppid_sha256: [41ab…]
          td_attributes: {set: [sept_ve_disable], clear: [perfmon]}
          max_collateral_age: 2592000
          assurance: high

See: ``docs/format.md`` §9.1, ``tee.policy_fields`` for what may be demanded of each TEE.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, cast

from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.tee.assurance import Assurance
from airflow_provider_atlas.tee.binding import Purpose
from airflow_provider_atlas.tee.demands import Demand
from airflow_provider_atlas.tee.policy_fields import FIELDS
from airflow_provider_atlas.tee.reference import ReferenceValues

When = Literal["now", "attested"]
"""As of which moment evidence is judged: that of the report, or the one at which an authority saw its record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TeePolicy:
    """What is accepted of evidence.

    ``references`` are alternatives; none means that evidence is not asked for. With ``required`` a record without
    evidence fails, with ``beacon_required`` one whose quote has no lower bound to its age. ``salt`` is what the
    identities of machines are hashed with before a report shows them, or None where it shows them as they are.
    ``modes`` are the purposes that quotes may have; a session may be ``session_max_age`` old, or of any age with None.
    """

    required: bool = False
    references: Sequence[ReferenceValues] = ()
    at: When = "now"
    beacon_required: bool = False
    salt: bytes | None
    modes: frozenset[Purpose] = frozenset({"task"})
    session_max_age: timedelta | None = None

    @classmethod
    def parse(cls, item: Mapping[str, Any], policy_sha256: str) -> "TeePolicy":
        """Return the policy that ``item`` spells, which its schema accepts. Raises MalformedError.

        Without ``identity_salt`` the salt is ``policy_sha256``: reports stay functions of their inputs, and whoever
        does not have the policy cannot tell two reports of one machine from those of two.
        """
        salt, age = item.get("identity_salt", policy_sha256), item.get("session_max_age")
        return cls(
            required=item.get("evidence") == "required",
            references=[_reference(one, position) for position, one in enumerate(item.get("accept", []))],
            at=cast("When", item.get("at", "now")),
            beacon_required=item.get("beacon") == "required",
            salt=None if item.get("identities") == "plain" else bytes.fromhex(salt),
            modes=frozenset(item.get("modes", ["task"])),
            session_max_age=None if age is None else timedelta(seconds=age),
        )

    @property
    def development_roots(self) -> frozenset[str]:
        """Every development root that some TEE is accepted under."""
        return frozenset(root for reference in self.references for root in reference.development_roots)


def pseudonym(name: str, identity: str, salt: bytes) -> str:
    """Return what stands for the ``identity`` of a machine in a report, in hex: HMAC-SHA-256 under ``salt``."""
    return hmac.new(salt, f"{name}\0{identity}".encode(), hashlib.sha256).hexdigest()


def _reference(item: Mapping[str, Any], position: int) -> ReferenceValues:
    advisories = item.get("advisories", {})
    allowed, age = advisories.get("allow"), item.get("max_evidence_age")
    reference = ReferenceValues(
        tee=item["tee"],
        measurements={name: frozenset(values) for name, values in item.get("measurements", {}).items()},
        signature_only=item.get("signature_only", False),
        demands=_demands(item),
        tcb_status=frozenset(item.get("tcb_status", ["UpToDate"])),
        denied_advisories=frozenset(advisories.get("deny", [])),
        allowed_advisories=None if allowed is None else frozenset(allowed),
        roots=frozenset(item.get("roots", [])),
        development_roots=frozenset(item.get("development_roots", [])),
        max_evidence_age=None if age is None else timedelta(seconds=age),
        assurance=cast("Assurance", item.get("assurance", "none")),
    )
    if "measurements" not in item and not reference.signature_only:
        raise MalformedError(f"expected tee.accept.{position} to list measurements, or to say signature_only: true")
    return reference


def _demands(item: Mapping[str, Any]) -> Mapping[tuple[str, str], Demand]:
    known = FIELDS[item["tee"]].fields
    return {
        (name, fact): demand
        for name, field in known.items()
        if name in item
        for fact, demand in field.kind.demands(field.fact, item[name]).items()
    }
