"""Question 1 where a certificate says who signed: it was that of an identity of the policy, when the key signed.

When that was, nobody asks the signer, nor the verifier's clock: an authority of the policy says when it saw the
signature (RFC 3161), and a certificate that held at no such moment is none.
"""

from datetime import datetime

from airflow_provider_atlas.bundle import AttestationBundle, Role
from airflow_provider_atlas.errors import InclusionError, MissingError, SignatureError
from airflow_provider_atlas.intoto.statement import PAYLOAD_TYPE
from airflow_provider_atlas.signing.certificate import Certificate
from airflow_provider_atlas.signing.trust import TrustedIdentity
from airflow_provider_atlas.verify.policy import Policy


def check_certified(bundle: AttestationBundle, policy: Policy) -> TrustedIdentity:
    """Return the identity of ``policy`` that signed every envelope of ``bundle``, while its certificates held.

    Raises SignatureError when there is none, and MissingError when nobody says when an envelope was signed.
    """
    if not policy.identities:
        raise SignatureError("expected a key of the policy, which trusts no certificate of anybody")
    held = [_checked(bundle, role, policy) for role in bundle.envelopes]
    reasons: list[str] = []
    for identity in policy.identities:
        try:
            for certificate, moment in held:
                identity.check(certificate, moment)
        except SignatureError as error:
            reasons.append(str(error))
        else:
            return identity
    raise SignatureError("; ".join(dict.fromkeys(reasons)))


def _checked(bundle: AttestationBundle, role: Role, policy: Policy) -> tuple[Certificate, datetime]:
    """Return the certificate of the key that signed the envelope ``role``, and when it had."""
    certificate = bundle.certificate_of(role)
    if certificate is None:
        raise SignatureError(f"expected a certificate of the key that signed the {role}")
    bundle.envelopes[role].verify(certificate.public_key, PAYLOAD_TYPE)
    return certificate, _moment(bundle, role, policy)


def _moment(bundle: AttestationBundle, role: Role, policy: Policy) -> datetime:
    timestamp = bundle.timestamps.get(role)
    if timestamp is None or policy.timestamps is None:
        raise MissingError(f"no time-stamp says when the {role} was signed, and its certificate held for minutes alone")
    try:
        return policy.timestamps.moment_of(timestamp, bundle.envelopes[role].signature)
    except InclusionError as error:
        raise SignatureError(f"expected to know when the {role} was signed: {error}") from error
