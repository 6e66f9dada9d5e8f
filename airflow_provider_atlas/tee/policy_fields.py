"""The tables of what a policy may demand of each TEE: a field's name, the fact that it is about, how that is judged.

From one table follow what the policy's schema accepts, what is demanded of the evidence, and what the documents say.
A field that is not in the table of a TEE is refused in a policy for it, and a fact that evidence does not carry fails.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from airflow_provider_atlas.encoding import Json, JsonObject, parse_hex
from airflow_provider_atlas.tee.demands import (
    Bits,
    Demand,
    EachAtLeast,
    Is,
    Listed,
    NoLess,
    Recent,
    bit_vector,
    bits_of,
    vector_of,
)
from airflow_provider_atlas.tee.evidence import Fact

_THIRTY_DAYS = 2_592_000  # for which Intel signs TCB levels, at most


class Kind(Protocol):
    """How a field is written in a policy, and what it then demands."""

    @property
    def schema(self) -> JsonObject:
        """The JSON Schema of the field's value."""
        ...

    def demands(self, fact: str, value: Any) -> Mapping[str, Demand]:  # noqa: ANN401 - as the schema has it
        """Return what ``value`` demands, by the name of the fact. Raises MalformedError."""
        ...

    def value_of(self, fact: str, facts: Mapping[str, Fact]) -> Json:
        """Return the value that demands what ``facts`` tell of ``fact``, for a policy to start from; None for none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HexList:
    """A list of accepted values of ``size`` octets, in lower-case hex."""

    size: int

    @property
    def schema(self) -> JsonObject:
        """See ``Kind``."""
        item: JsonObject = {"type": "string", "pattern": f"^[0-9a-f]{{{2 * self.size}}}$"}
        return {"type": "array", "items": item, "minItems": 1}

    def demands(self, fact: str, value: Any) -> Mapping[str, Demand]:  # noqa: ANN401
        """See ``Kind``."""
        return {fact: Listed(accepted=tuple(value))}

    def value_of(self, fact: str, facts: Mapping[str, Fact]) -> Json:
        """See ``Kind``."""
        return [facts[fact]] if fact in facts else None


@dataclass(frozen=True, slots=True, kw_only=True)
class WordList:
    """A list of accepted words; ``words`` are all there are, where that is known."""

    words: Sequence[str] = ()

    @property
    def schema(self) -> JsonObject:
        """See ``Kind``."""
        item: JsonObject = {"enum": list(self.words)} if self.words else {"type": "string", "minLength": 1}
        return {"type": "array", "items": item, "minItems": 1}

    def demands(self, fact: str, value: Any) -> Mapping[str, Demand]:  # noqa: ANN401
        """See ``Kind``."""
        return {fact: Listed(accepted=tuple(value))}

    def value_of(self, fact: str, facts: Mapping[str, Fact]) -> Json:
        """See ``Kind``."""
        return [facts[fact]] if fact in facts else None


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberList:
    """A list of accepted numbers."""

    @property
    def schema(self) -> JsonObject:
        """See ``Kind``."""
        return {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1}

    def demands(self, fact: str, value: Any) -> Mapping[str, Demand]:  # noqa: ANN401
        """See ``Kind``."""
        return {fact: Listed(accepted=tuple(value))}

    def value_of(self, fact: str, facts: Mapping[str, Fact]) -> Json:
        """See ``Kind``."""
        return [facts[fact]] if fact in facts else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """The smallest number that is accepted."""

    @property
    def schema(self) -> JsonObject:
        """See ``Kind``."""
        return {"type": "integer", "minimum": 0}

    def demands(self, fact: str, value: Any) -> Mapping[str, Demand]:  # noqa: ANN401
        """See ``Kind``."""
        return {fact: NoLess(minimum=value)}

    def value_of(self, fact: str, facts: Mapping[str, Fact]) -> Json:
        """See ``Kind``."""
        return facts.get(fact)


@dataclass(frozen=True, slots=True, kw_only=True)
class OctetFloor:
    """The smallest of each of ``size`` octets, in lower-case hex."""

    size: int

    @property
    def schema(self) -> JsonObject:
        """See ``Kind``."""
        return {"type": "string", "pattern": f"^[0-9a-f]{{{2 * self.size}}}$"}

    def demands(self, fact: str, value: Any) -> Mapping[str, Demand]:  # noqa: ANN401
        """See ``Kind``."""
        return {fact: EachAtLeast(minimum=parse_hex(value, self.size))}

    def value_of(self, fact: str, facts: Mapping[str, Fact]) -> Json:
        """See ``Kind``."""
        return facts.get(fact)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentFloor:
    """The smallest SVN of some ``components``, each a fact of its own: ``reported_tcb.snp``."""

    components: Sequence[str]

    @property
    def schema(self) -> JsonObject:
        """See ``Kind``."""
        svn: JsonObject = {"type": "integer", "minimum": 0, "maximum": 255}
        return {
            "type": "object",
            "additionalProperties": False,
            "minProperties": 1,
            "properties": dict.fromkeys(self.components, svn),
        }

    def demands(self, fact: str, value: Any) -> Mapping[str, Demand]:  # noqa: ANN401
        """See ``Kind``."""
        return {f"{fact}.{component}": NoLess(minimum=svn) for component, svn in value.items()}

    def value_of(self, fact: str, facts: Mapping[str, Fact]) -> Json:
        """See ``Kind``."""
        told = {component: facts.get(f"{fact}.{component}") for component in self.components}
        return {component: svn for component, svn in told.items() if svn is not None} or None


@dataclass(frozen=True, slots=True, kw_only=True)
class BitMask:
    """Bits that must be ``set`` or ``clear``, and which alone may be set (``only``): by number, or by name."""

    names: Mapping[str, int] = field(default_factory=dict)

    @property
    def schema(self) -> JsonObject:
        """See ``Kind``."""
        number: JsonObject = {"type": "integer", "minimum": 0, "maximum": 63}
        item: JsonObject = {"anyOf": [number, {"enum": sorted(self.names)}]} if self.names else number
        bits: JsonObject = {"type": "array", "items": item}
        return {
            "type": "object",
            "additionalProperties": False,
            "minProperties": 1,
            "properties": {"set": bits, "clear": bits, "only": bits},
        }

    def demands(self, fact: str, value: Any) -> Mapping[str, Demand]:  # noqa: ANN401
        """See ``Kind``."""
        vectors = {name: bit_vector(bits, self.names) for name, bits in value.items()}
        mask = Bits(must=vectors.get("set", 0), must_not=vectors.get("clear", 0), only=vectors.get("only"))
        return {fact: mask}

    def value_of(self, fact: str, facts: Mapping[str, Fact]) -> Json:
        """See ``Kind``."""
        vector = vector_of(facts[fact]) if fact in facts else None
        return None if vector is None else {"only": bits_of(vector)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """True or false."""

    @property
    def schema(self) -> JsonObject:
        """See ``Kind``."""
        return {"type": "boolean"}

    def demands(self, fact: str, value: Any) -> Mapping[str, Demand]:  # noqa: ANN401
        """See ``Kind``."""
        return {fact: Is(wanted=value)}

    def value_of(self, fact: str, facts: Mapping[str, Fact]) -> Json:
        """See ``Kind``."""
        return facts.get(fact)


@dataclass(frozen=True, slots=True, kw_only=True)
class Required:
    """The word ``required``: the fact must be ``word``."""

    word: str

    @property
    def schema(self) -> JsonObject:
        """See ``Kind``."""
        return {"enum": ["required", "optional"]}

    def demands(self, fact: str, value: Any) -> Mapping[str, Demand]:  # noqa: ANN401
        """See ``Kind``."""
        return {fact: Listed(accepted=(self.word,))} if value == "required" else {}

    def value_of(self, fact: str, facts: Mapping[str, Fact]) -> Json:
        """See ``Kind``."""
        return "required" if facts.get(fact) == self.word else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Age:
    """The greatest age, in seconds."""

    @property
    def schema(self) -> JsonObject:
        """See ``Kind``."""
        return {"type": "integer", "minimum": 1, "maximum": 3_153_600_000}

    def demands(self, fact: str, value: Any) -> Mapping[str, Demand]:  # noqa: ANN401
        """See ``Kind``."""
        return {fact: Recent(age=timedelta(seconds=value))}

    def value_of(self, fact: str, facts: Mapping[str, Fact]) -> Json:
        """See ``Kind``."""
        return _THIRTY_DAYS if fact in facts else None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyField:
    """A field of a policy for one TEE: the ``fact`` that it is about, and its ``kind``."""

    fact: str
    kind: Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class TeeFields:
    """All that a policy may demand of one TEE.

    ``measurements`` are its registers, with their octets; ``code`` those of them that measure what runs in the guest:
    who pins fewer has left something of it open. ``platforms`` are the fields that list machines or their operator.
    """

    measurements: Mapping[str, int]
    code: Sequence[str]
    fields: Mapping[str, PolicyField]
    platforms: Sequence[str] = ()
    has_vendor_status: bool = False


_SVN = ("bl", "tee", "snp", "ucode", "fmc")
_TD_ATTRIBUTES = {"debug": 0, "sept_ve_disable": 28, "migratable": 29, "pks": 30, "kl": 31, "perfmon": 63}
_SNP_POLICY = {
    "smt": 16, "migrate_ma": 18, "debug": 19, "single_socket": 20, "cxl": 21, "aes_256_xts": 22, "rapl_dis": 23,
    "ciphertext_hiding": 24, "page_swap_disable": 25,
}  # fmt: skip
_PLATFORM_INFO = {
    "smt": 0, "tsme": 1, "ecc": 2, "rapl_dis": 3, "ciphertext_hiding": 4, "alias_check_complete": 5, "tio": 7,
}  # fmt: skip
_PCRS = {f"pcr{index}": 32 for index in range(24)}

_TDX = TeeFields(
    measurements=dict.fromkeys(
        ("mrtd", "rtmr0", "rtmr1", "rtmr2", "rtmr3", "mrconfigid", "mrowner", "mrownerconfig", "mrseam"), 48
    ),
    code=("mrtd", "rtmr0", "rtmr1", "rtmr2"),
    platforms=("ppid_sha256", "platform_instance_id_sha256"),
    has_vendor_status=True,
    fields={
        "mrsignerseam": PolicyField(fact="mrsignerseam", kind=HexList(size=48)),
        "td_attributes": PolicyField(fact="td_attributes", kind=BitMask(names=_TD_ATTRIBUTES)),
        "xfam": PolicyField(fact="xfam", kind=BitMask()),
        "min_tcb_evaluation_data_number": PolicyField(fact="tcb_evaluation_data_number", kind=Floor()),
        "min_tee_tcb_svn": PolicyField(fact="tee_tcb_svn", kind=OctetFloor(size=16)),
        "fmspc": PolicyField(fact="fmspc", kind=HexList(size=6)),
        "ppid_sha256": PolicyField(fact="ppid_sha256", kind=HexList(size=32)),
        "platform_instance_id_sha256": PolicyField(fact="platform_instance_id_sha256", kind=HexList(size=32)),
        "smt": PolicyField(fact="smt", kind=Truth()),
        "dynamic_platform": PolicyField(fact="dynamic_platform", kind=Truth()),
        "cached_keys": PolicyField(fact="cached_keys", kind=Truth()),
        "event_log": PolicyField(fact="event_log", kind=Required(word="replayed")),
        "max_collateral_age": PolicyField(fact="collateral_issued", kind=Age()),
    },
)

_SNP_FIELDS: Mapping[str, PolicyField] = {
    "product": PolicyField(fact="product", kind=WordList(words=("Milan", "Genoa", "Turin"))),
    "signing_key": PolicyField(fact="signing_key", kind=WordList(words=("VCEK", "VLEK"))),
    "guest_policy": PolicyField(fact="policy", kind=BitMask(names=_SNP_POLICY)),
    "platform_info": PolicyField(fact="platform_info", kind=BitMask(names=_PLATFORM_INFO)),
    "vmpl": PolicyField(fact="vmpl", kind=NumberList()),
    "author_key_en": PolicyField(fact="author_key_en", kind=Truth()),
    "chip_id_sha256": PolicyField(fact="chip_id_sha256", kind=HexList(size=32)),
    "csp_id": PolicyField(fact="csp_id", kind=WordList()),
    "min_guest_svn": PolicyField(fact="guest_svn", kind=Floor()),
    "min_reported_tcb": PolicyField(fact="reported_tcb", kind=ComponentFloor(components=_SVN)),
    "min_committed_tcb": PolicyField(fact="committed_tcb", kind=ComponentFloor(components=_SVN)),
    "min_current_tcb": PolicyField(fact="current_tcb", kind=ComponentFloor(components=_SVN)),
    "min_launch_tcb": PolicyField(fact="launch_tcb", kind=ComponentFloor(components=_SVN)),
    "launch_mitigations": PolicyField(fact="launch_mit_vector", kind=BitMask()),
    "current_mitigations": PolicyField(fact="current_mit_vector", kind=BitMask()),
    "crl": PolicyField(fact="crl", kind=Required(word="checked")),
    "max_crl_age": PolicyField(fact="crl_issued", kind=Age()),
}
_SNP_MEASUREMENTS = {
    "measurement": 48, "host_data": 32, "id_key_digest": 48, "author_key_digest": 48, "report_id": 32,
    "family_id": 16, "image_id": 16,
}  # fmt: skip
_SNP = TeeFields(
    measurements=_SNP_MEASUREMENTS, code=("measurement",), platforms=("chip_id_sha256", "csp_id"), fields=_SNP_FIELDS
)
_AZURE_SNP = TeeFields(
    measurements={**_SNP_MEASUREMENTS, **_PCRS},
    code=("measurement", "pcr4"),  # the paravisor, and the boot loader that it started
    platforms=("chip_id_sha256", "csp_id", "ak_sha256"),
    fields={**_SNP_FIELDS, "ak_sha256": PolicyField(fact="ak_sha256", kind=HexList(size=32))},
)
_TPM = TeeFields(
    measurements=_PCRS,
    code=("pcr0", "pcr4"),
    platforms=("ak_sha256",),
    fields={
        "ak_sha256": PolicyField(fact="ak_sha256", kind=HexList(size=32)),
        "ak_root_sha256": PolicyField(fact="ak_root_sha256", kind=HexList(size=32)),
        "firmware_version": PolicyField(fact="firmware_version", kind=HexList(size=8)),
        "safe": PolicyField(fact="safe", kind=Truth()),
    },
)
_NITRO = TeeFields(
    measurements={f"pcr{index}": 48 for index in range(32)},
    code=("pcr0", "pcr1", "pcr2"),
    fields={"module_id": PolicyField(fact="module_id", kind=WordList())},
)
_NVIDIA = TeeFields(
    measurements={f"measurement{index}": 48 for index in range(1, 65)},
    code=(),
    fields={
        "driver_version": PolicyField(fact="driver_version", kind=WordList()),
        "vbios_version": PolicyField(fact="vbios_version", kind=WordList()),
    },
)

FIELDS: Mapping[str, TeeFields] = {
    "tdx": _TDX,
    "sev-snp": _SNP,
    "azure-snp": _AZURE_SNP,
    "tpm": _TPM,
    "nitro": _NITRO,
    "nvidia": _NVIDIA,
}
"""What a policy may demand, by TEE."""

TCB_STATUSES = (
    "UpToDate", "SWHardeningNeeded", "ConfigurationNeeded", "ConfigurationAndSWHardeningNeeded", "OutOfDate",
    "OutOfDateConfigurationNeeded", "TDRelaunchAdvised", "TDRelaunchAdvisedConfigurationNeeded",
)  # fmt: skip
"""Intel's words on a platform's firmware that a policy may accept. ``Revoked`` is none of them."""

IDENTITIES = frozenset(
    {"ppid_sha256", "platform_instance_id_sha256", "chip_id_sha256", "ak_sha256", "module_id", "td_id"}
)
"""The facts that name one machine, or one guest, for as long as it lives: reports show them salted."""
