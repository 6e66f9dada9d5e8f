"""The policy that evidence alone is judged by: a whole policy, or one that says nothing but ``tee``."""

from dataclasses import dataclass

from airflow_provider_atlas.encoding import JsonObject, sha256_hex
from airflow_provider_atlas.errors import ConfigError, MalformedError
from airflow_provider_atlas.verify.policy import Policy
from airflow_provider_atlas.verify.strict_yaml import load
from airflow_provider_atlas.verify.tee_policy import TeePolicy
from airflow_provider_atlas.verify.tee_schema import TEE_SCHEMA

_ANY: JsonObject = {"type": "object"}
_SCHEMA: JsonObject = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"version": {"const": 1}, "name": {"type": "string", "minLength": 1}, "tee": TEE_SCHEMA},
    "required": ["version", "name", "tee"],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidencePolicy:
    """What is accepted of evidence; ``sha256`` (hex) is of the bytes it was parsed from.

    ``whole`` is the policy that it is a part of, or None.
    """

    name: str
    sha256: str
    tee: TeePolicy
    whole: Policy | None = None

    @classmethod
    def parse(cls, content: bytes) -> "EvidencePolicy":
        """Return the policy in ``content``. Raises ConfigError, with one sentence that says where and what."""
        document = load(content, _ANY)
        if "signers" in document or "logs" in document:
            policy = Policy.parse(content)
            return cls(name=policy.name, sha256=policy.sha256, tee=policy.tee, whole=policy)
        document, sha256 = load(content, _SCHEMA), sha256_hex(content)
        try:
            return cls(name=document["name"], sha256=sha256, tee=TeePolicy.parse(document["tee"], sha256))
        except MalformedError as error:
            raise ConfigError(f"the policy is not usable: {error}") from error
