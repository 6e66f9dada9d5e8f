"""The JSON Schema of a policy's ``tee``, made from the tables of what may be demanded of each TEE."""

from airflow_provider_atlas.encoding import Json, JsonObject
from airflow_provider_atlas.tee.assurance import LEVELS
from airflow_provider_atlas.tee.policy_fields import FIELDS, TCB_STATUSES, Age, HexList, TeeFields

_SHA256: JsonObject = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_WORDS: JsonObject = {"type": "array", "items": {"type": "string", "minLength": 1}}


def _closed(properties: JsonObject, **more: list[str] | int) -> JsonObject:
    return {"type": "object", "additionalProperties": False, "properties": properties, **more}


def _registers(known: TeeFields) -> JsonObject:
    by_size: dict[int, list[str]] = {}
    for name, size in known.measurements.items():
        by_size.setdefault(size, []).append(name)
    patterns = {f"^({'|'.join(names)})$": HexList(size=size).schema for size, names in by_size.items()}
    return {"type": "object", "additionalProperties": False, "patternProperties": patterns}


def _reference(tee: str, known: TeeFields) -> JsonObject:
    members: dict[str, JsonObject] = {
        "tee": {"const": tee},
        "measurements": _registers(known),
        "signature_only": {"type": "boolean"},
        "roots": {"type": "array", "items": _SHA256, "minItems": 1},
        "development_roots": {"type": "array", "items": _SHA256},
        "advisories": _closed({"allow": _WORDS, "deny": _WORDS}),
        "max_evidence_age": Age().schema,
        "assurance": {"enum": list(LEVELS[1:])},
        **{name: field.kind.schema for name, field in known.fields.items()},
    }
    if known.has_vendor_status:
        members["tcb_status"] = {"type": "array", "items": {"enum": list(TCB_STATUSES)}, "minItems": 1}
    return _closed(members, required=["tee"])


def _reference_of_any() -> JsonObject:
    # Branches by the TEE, and no anyOf: a mistake is then told where it is, and not as "fits none of six".
    branches: list[Json] = [
        {"if": {"properties": {"tee": {"const": tee}}, "required": ["tee"]}, "then": _reference(tee, known)}
        for tee, known in FIELDS.items()
    ]
    return {
        "type": "object",
        "required": ["tee"],
        "properties": {"tee": {"enum": list(FIELDS)}},
        "allOf": branches,
    }


TEE_SCHEMA: JsonObject = _closed(
    {
        "evidence": {"enum": ["required", "optional"]},
        "accept": {"type": "array", "items": _reference_of_any(), "minItems": 1},
        "modes": {
            "type": "array",
            "items": {"enum": ["task", "session", "batch"]},
            "minItems": 1,
            "uniqueItems": True,
        },
        "session_max_age": {"type": "integer", "minimum": 1, "maximum": 31_536_000},
        "at": {"enum": ["now", "attested"]},
        "beacon": {"enum": ["required", "optional"]},
        "identities": {"enum": ["salted", "plain"]},
        "identity_salt": {"type": "string", "pattern": "^([0-9a-f]{2}){16,64}$"},
    },
    required=["evidence", "accept"],
)
"""The schema of ``tee``."""
