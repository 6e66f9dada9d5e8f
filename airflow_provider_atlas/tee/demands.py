"""What a policy may demand of one fact, and how the fact is judged by it.

Each demand answers with a ``Flaw``, or with None where the fact is as demanded. A fact of another type than the demand
is for is flawed: a policy that asks for a number is not content with a word.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from airflow_provider_atlas.encoding import parse_hex
from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.tee.evidence import Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The aware moments of an appraisal.

    ``at`` is when the evidence is judged as of, ``now`` when it is judged; ``attested`` is when somebody trustworthy
    saw it, or None.
    """

    at: datetime
    now: datetime
    attested: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """Why a fact is not as demanded: ``code`` is the end of the reason code, ``detail`` tells people."""

    code: str
    detail: str


class Demand(Protocol):
    """What a policy demands of a fact."""

    def flaw(self, name: str, value: Fact, moment: Moment) -> Flaw | None:
        """Return what is wrong with the fact ``name`` of this ``value``, or None."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One of a list: ``accepted`` are numbers, or words, in the spelling of the facts."""

    accepted: Sequence[Fact]

    def flaw(self, name: str, value: Fact, _: Moment) -> Flaw | None:
        """See ``Demand``."""
        if any(type(one) is type(value) and one == value for one in self.accepted):
            return None
        count = len(self.accepted)
        return Flaw(code="not-listed", detail=f"expected {name} to be one of {count} reference values, not {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NoLess:
    """A number that is no smaller than ``minimum``."""

    minimum: int

    def flaw(self, name: str, value: Fact, _: Moment) -> Flaw | None:
        """See ``Demand``."""
        if type(value) is int and value >= self.minimum:
            return None
        return Flaw(code="too-low", detail=f"expected {name} to be at least {self.minimum}, not {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class EachAtLeast:
    """Octets, each of which is no smaller than the one of ``minimum`` at its place: SVNs do not carry over."""

    minimum: bytes

    def flaw(self, name: str, value: Fact, _: Moment) -> Flaw | None:
        """See ``Demand``."""
        try:
            octets = parse_hex(value, len(self.minimum)) if isinstance(value, str) else b""
        except MalformedError:
            octets = b""
        if octets and all(one >= least for one, least in zip(octets, self.minimum, strict=True)):
            return None
        wanted = self.minimum.hex()
        return Flaw(
            code="too-low", detail=f"expected each octet of {name} to be at least that of {wanted}, not {value}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bits:
    """A vector of bits: those of ``must`` are set, those of ``must_not`` are not, nor any that ``only`` lacks."""

    must: int = 0
    must_not: int = 0
    only: int | None = None

    def flaw(self, name: str, value: Fact, _: Moment) -> Flaw | None:
        """See ``Demand``. Hex is a vector of bits in little-endian octets, as Intel writes them."""
        vector = vector_of(value)
        if vector is None:
            return Flaw(code="bits", detail=f"expected {name} to be a vector of bits, not {value}")
        lacking, surplus = self.must & ~vector, vector & self.must_not
        if self.only is not None:
            surplus |= vector & ~self.only
        if not lacking and not surplus:
            return None
        wrong = [f"bit {bit} to be set" for bit in bits_of(lacking)] + [
            f"bit {bit} to be clear" for bit in bits_of(surplus)
        ]
        return Flaw(code="bits", detail=f"expected of {name}, which is {value}, {', '.join(wrong)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Is:
    """Yes, or no."""

    wanted: bool

    def flaw(self, name: str, value: Fact, _: Moment) -> Flaw | None:
        """See ``Demand``."""
        if value is self.wanted:
            return None
        word = "yes" if self.wanted else "no"
        return Flaw(code="differs", detail=f"expected {name} to be {word}, not {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recent:
    """A moment (seconds since 1970) that is no longer than ``age`` before the one that the evidence is judged as of."""

    age: timedelta

    def flaw(self, name: str, value: Fact, moment: Moment) -> Flaw | None:
        """See ``Demand``."""
        if type(value) is not int:
            return Flaw(code="too-old", detail=f"expected {name} to be a moment, not {value}")
        return too_old(name, value, self.age, moment.at)


def too_old(name: str, second: int, age: timedelta, at: datetime) -> Flaw | None:
    """Return the flaw of a moment that is more than ``age`` before ``at``, or None. One in the future is not old."""
    limit = int(age.total_seconds())
    passed = int((at - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) - second
    if passed <= limit:
        return None
    return Flaw(code="too-old", detail=f"expected {name} to be at most {limit} s old, not {passed} s")


def bit_vector(names: Sequence[str | int], known: Mapping[str, int]) -> int:
    """Return the vector of the bits ``names``: numbers, or names that ``known`` numbers. Raises MalformedError."""
    vector = 0
    for name in names:
        bit = known.get(name) if isinstance(name, str) else name
        if bit is None:
            raise MalformedError(f"expected the number of a bit, or one of {', '.join(sorted(known))}, not {name!r}")
        vector |= 1 << bit
    return vector


def vector_of(value: Fact) -> int | None:
    """Return the vector of bits that a fact is, a number or little-endian octets in hex; None for what is none."""
    if isinstance(value, str) and value:
        try:
            return int.from_bytes(parse_hex(value, len(value) // 2), "little")
        except MalformedError:
            return None
    return value if type(value) is int else None


def bits_of(vector: int) -> Sequence[int]:
    """Return the numbers of the bits that are set in ``vector``."""
    return [bit for bit in range(vector.bit_length()) if vector >> bit & 1]
