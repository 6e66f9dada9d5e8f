"""The public half of a TPM's attestation key (AK): RSA or ECDSA, in one spelling.

A key on which a verdict rests must be *restricted*: a TPM signs with such a key only what it made itself. No signature
shows that; whoever pins a key, or certifies one, answers for it.
See: TCG TPM 2.0 Library, part 1 (Architecture), 25.2 (restricted attribute); RFC 5280 (SubjectPublicKeyInfo).
"""

from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from airflow_provider_atlas.encoding import sha256_hex
from airflow_provider_atlas.errors import MalformedError, SignatureError
from airflow_provider_atlas.tee.tpm.structures import TpmSignature

_MAX_SPKI_BYTES = 1024
_RSA_BITS = range(2048, 4097)
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


@dataclass(frozen=True)
class AttestationKey:
    """An attestation key. ``spki`` is its SubjectPublicKeyInfo in DER, in the one spelling."""

    spki: bytes

    @classmethod
    def parse(cls, spki: bytes) -> "AttestationKey":
        """Return the key whose SubjectPublicKeyInfo (DER) is ``spki``.

        Raises MalformedError when it is none, is another spelling of one, is RSA of fewer than 2048 bits or more than
        4096, or is on a curve that TPMs do not sign with.
        """
        key = _load(spki)
        match key:
            case rsa.RSAPublicKey() if key.key_size in _RSA_BITS and key.public_numbers().e == 65537:
                return cls(spki)
            case ec.EllipticCurvePublicKey() if isinstance(key.curve, _CURVES):
                return cls(spki)
        raise MalformedError(
            "expected an attestation key of RSA (2048 bits or more, exponent 65537) or on a NIST curve"
        )

    @classmethod
    def of_rsa(cls, modulus: int, exponent: int) -> "AttestationKey":
        """Return the RSA key with these numbers. Raises MalformedError as ``parse`` does."""
        try:
            key = rsa.RSAPublicNumbers(exponent, modulus).public_key()
        except (ValueError, OverflowError) as error:
            raise MalformedError("expected the numbers of an RSA key") from error
        return cls.parse(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))

    @property
    def sha256(self) -> str:
        """The SHA-256 of the SubjectPublicKeyInfo, in lower-case hex: what a policy pins."""
        return sha256_hex(self.spki)

    def verify(self, message: bytes, signature: TpmSignature) -> None:
        """Return when this key made ``signature`` over ``message``. Raises SignatureError otherwise."""
        algorithm = _HASHES[signature.hash_name]
        key = _load(self.spki)
        try:
            match key, signature.scheme:
                case rsa.RSAPublicKey(), "rsassa":
                    key.verify(signature.values[0], message, padding.PKCS1v15(), algorithm)
                case rsa.RSAPublicKey(), "rsapss":
                    pss = padding.PSS(padding.MGF1(algorithm), padding.PSS.AUTO)  # TPMs differ in the salt's length
                    key.verify(signature.values[0], message, pss, algorithm)
                case ec.EllipticCurvePublicKey(), "ecdsa":
                    r, s = (int.from_bytes(value, "big") for value in signature.values)
                    key.verify(encode_dss_signature(r, s), message, ec.ECDSA(algorithm))
                case _:
                    raise SignatureError(
                        f"expected a TPM signature by the attestation key, not one by {signature.scheme}"
                    )
        except InvalidSignature as error:
            raise SignatureError("expected a TPM quote that its attestation key signed", code="signature") from error


def _load(spki: bytes) -> object:
    if len(spki) > _MAX_SPKI_BYTES:
        raise MalformedError(f"expected an attestation key of at most {_MAX_SPKI_BYTES} bytes")
    try:
        key = load_der_public_key(spki)
        respelled = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise MalformedError("expected an attestation key as SubjectPublicKeyInfo in DER") from error
    if respelled != spki:
        raise MalformedError("expected an attestation key in the one spelling of its DER")
    return key
