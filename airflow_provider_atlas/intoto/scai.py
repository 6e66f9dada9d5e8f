"""A SCAI statement: the worker's TEE vouches for a link. The quote is its evidence.

Derived from the link's envelope and the evidence, so that a verifier computes it again and compares bytes. The
verdict is not in it: a producer states what it has, a verifier says what that is worth.
See: https://github.com/in-toto/attestation/blob/main/spec/predicates/scai.md (v0.3).
"""

from airflow_provider_atlas.encoding import JsonObject
from airflow_provider_atlas.intoto.environment import sha256_digest_set
from airflow_provider_atlas.intoto.statement import Statement, Subject

PREDICATE_TYPE = "https://in-toto.io/attestation/scai/v0.3"
"""The predicate type of SCAI attribute reports."""

QUOTE_BOUND = "ATLAS_TEE_QUOTE_BOUND"
"""A TEE's quote commits to the link."""

SIMULATED = "ATLAS_TEE_SIMULATED"
"""The same form, from a simulator: it proves nothing of any hardware, and never borrows the word above."""

SIMULATED_PROVIDER = "simulated"
"""The provider whose evidence is always ``ATLAS_TEE_SIMULATED``."""


def attribute_for(provider: str) -> str:
    """Return the attribute that evidence issued by ``provider`` is stated as."""
    return SIMULATED if provider == SIMULATED_PROVIDER else QUOTE_BOUND


def tee_statement(
    *, step: str, link_envelope_sha256: str, tee: str, provider: str, evidence: JsonObject, binding: JsonObject
) -> Statement:
    """Return the statement that ``evidence`` vouches for the link whose envelope has that SHA-256 (hex).

    ``evidence`` is a resource descriptor of the quote; ``binding`` is the preimage of its report data.
    """
    subject = Subject(name=step, sha256=link_envelope_sha256)
    return Statement(
        subjects=(subject,),
        predicate_type=PREDICATE_TYPE,
        predicate={
            "attributes": [
                {
                    "attribute": attribute_for(provider),
                    "target": subject.to_json(),
                    "conditions": {"tee": tee, "provider": provider, "binding": binding},
                    "evidence": evidence,
                }
            ]
        },
    )


def quote_descriptor(*, media_type: str, sha256: str) -> JsonObject:
    """Return the resource descriptor of a quote that travels beside the statement."""
    return {"name": "quote", "mediaType": media_type, "digest": sha256_digest_set(sha256)}
