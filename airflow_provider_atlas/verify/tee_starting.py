"""A policy to start from, by evidence that is known to be good: what it pins, and in comments what else it could."""

from collections.abc import Iterator, Mapping

from airflow_provider_atlas.encoding import Json
from airflow_provider_atlas.tee.evidence import Fact
from airflow_provider_atlas.tee.policy_fields import FIELDS, TeeFields
from airflow_provider_atlas.verify.tee_result import TeeResult

_HEAD = """\
# What is accepted of evidence, by one piece of evidence that was known to be good.
# atlas tee verify FILE --policy reads this file as it is. For atlas verify, which judges whole runs, put its `tee`
# into a policy that also says whose keys and logs count: atlas policy init writes one.
"""
_PINNED = (
    "      # What runs in the guest. A new image means new values: list old and new until the last worker is new.\n"
)
_UNPINNED = "      # Measured, too; uncomment what your workers have in common.\n"
_ASKED = "    # What else is asked of the platform and the guest.\n"
_ASKABLE = "    # What could be asked besides: the values are those of this evidence.\n"
_MACHINES = (
    "    # Which machines: without a list any genuine one will do, wherever it stands, and the level stays standard.\n"
)


def starting_tee_policy(tee: TeeResult, *, name: str) -> bytes:
    """Return the policy (YAML) that accepts what ``tee`` is the result of, whose identities must not be salted."""
    return "".join(_lines(tee, name)).encode("utf-8")


def _lines(tee: TeeResult, name: str) -> Iterator[str]:
    known = FIELDS[tee.tee]
    yield f"{_HEAD}version: 1\nname: {_flow(name)}\ntee:\n  evidence: required\n  accept:\n  - tee: {tee.tee}\n"
    if tee.development:
        yield "    # A simulator: its evidence proves nothing about any hardware.\n"
        yield f"    development_roots: {_flow([tee.root_sha256])}\n"
    elif tee.tee != "tpm":
        yield f"    roots: {_flow([tee.root_sha256])}\n"
    if tee.tcb_status is not None:
        accepted = ["UpToDate", *([tee.tcb_status] if tee.tcb_status != "UpToDate" else [])]
        yield f"    tcb_status: {_flow(accepted)}\n"
    yield "    measurements:\n"
    yield from _measurements(tee.measurements, known)
    yield from _fields({**tee.facts, **tee.identities}, known)


def _measurements(measured: Mapping[str, str], known: TeeFields) -> Iterator[str]:
    pinned = [name for name in known.code if name in measured] or list(measured)[:1]
    yield _PINNED
    for name in pinned:
        yield f"      {name}: {_flow([measured[name]])}\n"
    if len(pinned) < len(measured):
        yield _UNPINNED
    for name, value in measured.items():
        if name not in pinned:
            yield f"      # {name}: {_flow([value])}\n"


def _fields(facts: Mapping[str, Fact], known: TeeFields) -> Iterator[str]:
    values = {name: field.kind.value_of(field.fact, facts) for name, field in known.fields.items()}
    told = {name: value for name, value in values.items() if value is not None}
    floors = [name for name in told if name.startswith("min_")]
    machines = [name for name in known.platforms if name in told]
    if floors:
        yield _ASKED
    for name in floors:
        yield f"    {name}: {_flow(told[name])}\n"
    if machines:
        yield _MACHINES
    for name in machines:
        # A TPM is nobody's until its key is listed, so a policy without it would accept none.
        comment = "" if name == "ak_sha256" and "chip_id_sha256" not in known.fields else "# "
        yield f"    {comment}{name}: {_flow(told[name])}\n"
    others = [name for name in told if name not in {*floors, *machines}]
    if others:
        yield _ASKABLE
    for name in others:
        yield f"    # {name}: {_flow(told[name])}\n"
    yield "    # assurance: standard\n"


def _flow(value: Json) -> str:
    # By the library: hex that happens to be all digits, or to look like 12e34, must be quoted.
    import yaml

    text: str = yaml.safe_dump(value, default_flow_style=True, width=1 << 20, sort_keys=False, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")
