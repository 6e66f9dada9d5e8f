"""ECDSA P-256 as quotes spell it: keys and signatures are two 32-byte big-endian integers, one after the other."""

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature


def raw_signature(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    """Return the signature r ‖ s of ``key`` over ``data`` with SHA-256, 64 bytes."""
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def raw_public_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return the public key x ‖ y of ``key``, 64 bytes."""
    point = key.public_key().public_numbers()
    return point.x.to_bytes(32, "big") + point.y.to_bytes(32, "big")
