"""Are genuine claims the ones that a relying party expects? Silence is not consent: what is not listed fails.

See: RFC 9334 §7.3 (appraisal of evidence), for the words.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

from airflow_provider_atlas.encoding import parse_hex
from airflow_provider_atlas.errors import AppraisalError
from airflow_provider_atlas.tee.evidence import Claims

Assurance = Literal["development", "standard"]
"""How far claims go: ``development`` says nothing about hardware, ``standard`` is a silicon vendor's word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceValues:
    """What a relying party accepts of a TEE.

    ``tees`` names platforms (``tdx``). ``measurements`` maps a register's name to its accepted values in lower-case
    hex; each listed register must have one of them, and registers that are not listed are not looked at. An empty
    mapping accepts nothing, unless ``signature_only`` says that any guest will do. ``allow_development`` accepts
    claims whose root is no silicon vendor's: which such roots, the verifier was told. ``tcb_status`` lists the accepted
    states, ``denied_advisories`` the vendor's advisories that must not be open.

    Raises MalformedError for a value that is not lower-case hex: it would never match.
    """

    tees: Collection[str]
    measurements: Mapping[str, Collection[str]] = field(default_factory=dict)
    signature_only: bool = False
    allow_development: bool = False
    tcb_status: Collection[str] = ("UpToDate",)
    denied_advisories: Collection[str] = ()

    def __post_init__(self) -> None:
        for values in self.measurements.values():
            for value in values:
                parse_hex(value, len(value) // 2)


def appraise(claims: Claims, reference: ReferenceValues) -> None:
    """Return when ``claims`` are what ``reference`` accepts. Raises AppraisalError that names the first that is not."""
    if claims.tee not in reference.tees:
        raise AppraisalError(f"expected a TEE of {_list(reference.tees)}, not {claims.tee}")
    if claims.development and not reference.allow_development:
        raise AppraisalError(f"expected a silicon vendor's root, not the development root {claims.root_sha256}")
    if claims.debug:
        raise AppraisalError("expected a guest that its host cannot debug")
    if claims.tcb_status is not None and claims.tcb_status not in reference.tcb_status:
        raise AppraisalError(f"expected a TCB status of {_list(reference.tcb_status)}, not {claims.tcb_status}")
    if denied := set(claims.advisory_ids) & set(reference.denied_advisories):
        raise AppraisalError(f"expected no open advisory of {_list(denied)}")
    _check_measurements(claims.measurements, reference)


def assurance(claims: Claims) -> Assurance:
    """Return how far ``claims`` go."""
    return "development" if claims.development else "standard"


def _check_measurements(measured: Mapping[str, str], reference: ReferenceValues) -> None:
    if not reference.measurements and not reference.signature_only:
        raise AppraisalError("no reference values: expected the policy to list a measurement, or to be signature-only")
    for name, accepted in reference.measurements.items():
        if name not in measured:
            raise AppraisalError(f"expected the evidence to measure {name}")
        if measured[name] not in accepted:
            raise AppraisalError(f"expected {name} to be one of {len(accepted)} reference values, not {measured[name]}")


def _list(names: Collection[str]) -> str:
    return ", ".join(sorted(names)) or "(none)"
