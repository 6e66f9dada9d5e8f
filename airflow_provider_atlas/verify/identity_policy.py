"""A starting policy for workers that have no keys of their own: who they are, and whose word on that counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from airflow_provider_atlas.signing.trust import TrustedFulcio, TrustedIdentity
from airflow_provider_atlas.tlog.timestamp import TrustedAuthority
from airflow_provider_atlas.x509 import certificate_of

_WITHIN = 3600  # seconds: the worker asks at once, and a record that waited in the spool is signed when it goes on


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityTrust:
    """Whose word on identities counts, and whose on when they signed."""

    fulcio: TrustedFulcio
    authority: TrustedAuthority


def trusting_identity(policy: bytes, identity: TrustedIdentity, authority: TrustedAuthority) -> bytes:
    """Return ``policy`` (YAML), as ``starting_policy`` made it, with ``identity`` for one of its signers.

    ``authority`` says when they signed: every link must have its time-stamp, from within an hour after its task.
    """
    import yaml

    document: dict[str, Any] = yaml.safe_load(policy)
    document["signers"].append(_signer(identity))
    ours = {"name": authority.name, "certificates": _pem(authority.certificates)}
    document["timestamps"] = {"link": "required", "within": _WITHIN, "authorities": [ours]}
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1000).encode("utf-8")


def _signer(identity: TrustedIdentity) -> Mapping[str, Any]:
    fulcio = identity.fulcio
    return {
        "name": identity.name,
        "identity": identity.identity,
        "issuer": identity.issuer,
        "fulcio": {"certificates": _pem(fulcio.certificates), "ct_keys": [key.pem for key in fulcio.ct_keys]},
    }


def _pem(certificates: Sequence[bytes]) -> str:
    parsed = map(certificate_of, certificates)
    return "".join(each.public_bytes(Encoding.PEM).decode("ascii") for each in parsed)
