"""How far accepted claims go, and why no further. See: ``docs/adr/0021-appraisal.md``, ``docs/format.md`` §9.

A level is reached when nothing holds the claims back below it. Each thing that does is a reason with a code, so that
whoever reads ``low`` knows what it would take to read ``high``.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from airflow_provider_atlas.tee.evidence import Claims
from airflow_provider_atlas.tee.policy_fields import FIELDS, TeeFields

Assurance = Literal["none", "development", "low", "standard", "high"]
"""``none``: not accepted; ``development``: nothing is said about hardware; the rest is a silicon vendor's word."""

LEVELS: Sequence[Assurance] = get_args(Assurance)
"""All of them, the lowest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """Why claims reach no more than ``level``: ``code`` for machines, ``detail`` for people."""

    level: Assurance
    code: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pins:
    """What a policy pinned, by the names of its ``measurements`` and of its other ``fields`` that demand something."""

    measurements: Collection[str]
    fields: Collection[str]


def limits_of(claims: Claims, pins: Pins, *, status_now: str | None = None) -> Sequence[Limit]:
    """Return what holds accepted ``claims`` back, the lowest level first.

    ``status_now`` is the vendor's word at the moment of the report, where that is another than of the claims.
    """
    known = FIELDS.get(claims.tee)
    if known is None:
        return [Limit(level="none", code="tee-unknown", detail=f"nothing is known of the TEE {claims.tee}")]
    found = [
        *_of_root(claims),
        *_of_pins(pins, known),
        *_of_status(claims, pins, known, status_now),
        *_of_vendor(claims, pins),
    ]
    return sorted(found, key=lambda limit: (LEVELS.index(limit.level), limit.code))


def level_of(limits: Sequence[Limit]) -> Assurance:
    """Return the level that ``limits`` leave."""
    return min((limit.level for limit in limits), key=LEVELS.index, default="high")


def _of_root(claims: Claims) -> Iterator[Limit]:
    if claims.development:
        detail = "the root is no silicon vendor's: nothing follows about any hardware"
        yield Limit(level="development", code="development-root", detail=detail)


def _of_pins(pins: Pins, known: TeeFields) -> Iterator[Limit]:
    if not pins.measurements:
        detail = "no measurement is pinned: any guest would do, only its signature was checked"
        yield Limit(level="low", code="signature-only", detail=detail)
    elif open_ones := [name for name in known.code if name not in pins.measurements]:
        detail = f"not all that measures the guest's code is pinned: {', '.join(open_ones)}"
        yield Limit(level="low", code="code-not-pinned", detail=detail)
    if not set(pins.fields) & set(known.platforms):
        detail = "no machines are listed: any genuine one would do, wherever it stands"
        yield Limit(level="standard", code="platform-not-pinned", detail=detail)


def _of_status(claims: Claims, pins: Pins, known: TeeFields, now: str | None) -> Iterator[Limit]:
    for code, status in (("tcb-status", claims.tcb_status), ("tcb-status-now", now)):
        if status in (None, "UpToDate"):
            continue
        # Hardening is the guest's own to do, so the platform is as good as its guest; all else is the platform's fault.
        level: Assurance = "standard" if status == "SWHardeningNeeded" else "low"
        yield Limit(level=level, code=code, detail=f"the vendor says {status} of the platform's firmware")
    if not known.has_vendor_status and "min_reported_tcb" not in pins.fields:
        detail = "the vendor does not say whether the firmware is current, and the policy asks for no least version"
        yield Limit(level="standard", code="tcb-not-pinned", detail=detail)


def _of_vendor(claims: Claims, pins: Pins) -> Iterator[Limit]:
    if claims.facts.get("product") == "Milan":
        listed = "chip_id_sha256" in pins.fields
        detail = "the keys of Milan chips can be extracted with software alone (MilanLaunch, 2026)"
        yield Limit(level="standard" if listed else "low", code="milan", detail=detail)
    if claims.facts.get("crl") == "absent":
        yield Limit(level="standard", code="crl-absent", detail="no revocation list was at hand")
    if claims.tee == "tpm":
        detail = "a TPM measures what booted; it keeps no host from reading or changing the guest"
        yield Limit(level="low", code="tpm-alone", detail=detail)
    if claims.tee == "nvidia":
        detail = "the measurements were not compared with NVIDIA's reference values, nor its certificates' status asked"
        yield Limit(level="low", code="reference-values-unknown", detail=detail)
    if claims.tee == "nitro":
        yield Limit(
            level="standard", code="operator-is-vendor", detail="who vouches for the enclave also runs its host"
        )
