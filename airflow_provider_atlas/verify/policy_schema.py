"""The JSON Schema (draft 2020-12) of a policy, as ``docs/policy.schema.json`` has it. Unknown keys are refused."""

from airflow_provider_atlas.encoding import JsonObject
from airflow_provider_atlas.verify.tee_schema import TEE_SCHEMA

_DEMAND = {"enum": ["required", "optional"]}


def _object(properties: JsonObject, *required: str) -> JsonObject:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": list(required),
    }


_KEY_SIGNER = _object({"name": {"type": "string"}, "public_key": {"type": "string"}}, "name", "public_key")
_ATTESTED_SIGNER = _object({"name": {"type": "string"}, "attested": {"enum": ["session"]}}, "name", "attested")
_IDENTITY_SIGNER = _object(
    {
        "name": {"type": "string"},
        "identity": {"type": "string", "minLength": 1},
        "issuer": {"type": "string", "minLength": 1},
        "fulcio": _object(
            {
                "certificates": {"type": "string"},
                "ct_keys": {"type": "array", "minItems": 1, "items": {"type": "string"}},
            },
            "certificates",
            "ct_keys",
        ),
    },
    "name",
    "identity",
    "issuer",
    "fulcio",
)

POLICY_SCHEMA: JsonObject = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "https://airflow-provider-atlas.readthedocs.io/v1/policy",
    "title": "What a relying party trusts",
    **_object(
        {
            "version": {"const": 1},
            "name": {"type": "string", "minLength": 1},
            "signers": {
                "type": "array",
                "minItems": 1,
                # One of three: by "if", so that what is wrong with one is not told of another.
                "items": {
                    "type": "object",
                    "if": {"required": ["identity"]},
                    "then": _IDENTITY_SIGNER,
                    "else": {"if": {"required": ["attested"]}, "then": _ATTESTED_SIGNER, "else": _KEY_SIGNER},
                },
            },
            "logs": {
                "type": "array",
                "minItems": 1,
                "items": _object(
                    {
                        "origin": {"type": "string"},
                        "key": {"type": "string"},
                        "entries": {"enum": ["hashedrekord 0.0.2", "hashedrekord 0.0.1"]},
                        "witnesses": {"type": "string"},
                    },
                    "origin",
                    "key",
                ),
            },
            "tee": TEE_SCHEMA,
            "timestamps": _object(
                {
                    "link": _DEMAND,
                    "within": {"type": "integer", "minimum": 1, "maximum": 31_536_000},
                    "authorities": {
                        "type": "array",
                        "minItems": 1,
                        "items": _object(
                            {"name": {"type": "string"}, "certificates": {"type": "string"}}, "name", "certificates"
                        ),
                    },
                },
                "link",
                "within",
                "authorities",
            ),
            "records": _object({"start": _DEMAND, "manifest": _DEMAND}),
            "artifacts": {"enum": ["required", "present", "ignored"]},
        },
        "version",
        "name",
        "signers",
        "logs",
    ),
}
"""The schema. Without ``tee`` no evidence is asked for, and the report says so."""
