"""ECDSA on P-384 with SHA-384, as COSE and SPDM spell it: r ‖ s, 48 bytes each."""

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature


def raw_signature(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    """Return the signature of ``key`` over ``message``."""
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA384())))
    return r.to_bytes(48, "big") + s.to_bytes(48, "big")
