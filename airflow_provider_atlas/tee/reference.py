"""What a relying party accepts of one TEE: reference values, and what it demands besides."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from airflow_provider_atlas.encoding import parse_hex
from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.tee.assurance import Assurance
from airflow_provider_atlas.tee.demands import Demand
from airflow_provider_atlas.tee.policy_fields import FIELDS


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceValues:
    """What a relying party accepts of the TEE ``tee``.

    ``measurements`` maps a register's name to its accepted values in lower-case hex; each listed register must have
    one of them, and registers that are not listed are not looked at. An empty mapping accepts nothing, unless
    ``signature_only`` says that any guest will do. ``demands`` are on facts, by the field of the policy that makes them
    and the fact's name.

    ``tcb_status`` lists the accepted states; ``denied_advisories`` are those of the vendor that must not be open, and
    with ``allowed_advisories`` no other may be. ``roots`` are the vendor's root certificates (SHA-256 of the DER, hex)
    that count, by default all that the verifier knows; ``development_roots`` those of simulators, for these values
    alone. ``max_evidence_age`` is how long ago somebody trustworthy may have seen the evidence, ``assurance`` the
    least that the claims must come to.

    Raises MalformedError for an unknown TEE, and for a register that it does not have or a value that is not
    lower-case hex of that register's size: it would never match.
    """

    tee: str
    measurements: Mapping[str, Collection[str]] = field(default_factory=dict)
    signature_only: bool = False
    demands: Mapping[tuple[str, str], Demand] = field(default_factory=dict)
    tcb_status: Collection[str] = ("UpToDate",)
    denied_advisories: Collection[str] = ()
    allowed_advisories: Collection[str] | None = None
    roots: Collection[str] = ()
    development_roots: Collection[str] = ()
    max_evidence_age: timedelta | None = None
    assurance: Assurance = "none"

    def __post_init__(self) -> None:
        if self.tee not in FIELDS:
            raise MalformedError(f"expected a TEE of {', '.join(FIELDS)}, not {self.tee}")
        sizes = FIELDS[self.tee].measurements
        for name, values in self.measurements.items():
            if name not in sizes:
                raise MalformedError(f"expected a register of {self.tee}, which has no {name}")
            for value in values:
                parse_hex(value, sizes[name])

    @property
    def demanding(self) -> Collection[str]:
        """The names of the policy's fields that demand something."""
        return frozenset(name for name, _ in self.demands)
