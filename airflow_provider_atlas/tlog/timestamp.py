"""Time-stamps: that a signature was there at a moment, by the word of an authority (RFC 3161). A log tells no time.

A time-stamp is the DER of a TimeStampResp, as an authority answered and as Sigstore carries it. It is over the SHA-256
of an envelope's signature.

See: RFC 3161 §2.4.2, RFC 5816; checked by ``rfc3161-client``, the library of sigstore-python.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from airflow_provider_atlas.errors import MalformedError, SignatureError
from airflow_provider_atlas.x509 import certificate_of, certificates_of_pem

MAX_TIMESTAMP_BYTES = 65_535
"""The largest time-stamp that is looked at. Those in use have 1 to 8 KB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedAuthority:
    """An authority whose word on time counts.

    ``certificates`` (DER) are its own, and then those that issued it, up to a root.
    """

    name: str
    certificates: Sequence[bytes]

    @classmethod
    def from_pem(cls, name: str, pem: bytes) -> "TrustedAuthority":
        """Return the authority whose certificates are in ``pem``, its own first. Raises MalformedError otherwise."""
        from cryptography.hazmat.primitives.serialization import Encoding

        chain = certificates_of_pem(pem, "the certificates of a time-stamp authority in PEM")
        return cls(name=name, certificates=tuple(each.public_bytes(Encoding.DER) for each in chain))

    def check(self, timestamp: bytes, message: bytes) -> datetime:
        """Return the moment (aware) at which this authority saw ``message``, by its ``timestamp``.

        Raises MalformedError when ``timestamp`` is none, SignatureError when it is another's or of something else.
        """
        from rfc3161_client import VerifierBuilder, decode_timestamp_response

        own, *issuers = map(certificate_of, self.certificates)
        verifier = VerifierBuilder(tsa_certificate=own, roots=issuers or [own]).build()
        if len(timestamp) > MAX_TIMESTAMP_BYTES:
            raise MalformedError(f"expected a time-stamp of at most {MAX_TIMESTAMP_BYTES} bytes")
        try:
            response = decode_timestamp_response(timestamp)
            moment = response.tst_info.gen_time
        except ValueError as error:
            raise MalformedError("expected a time-stamp (TimeStampResp, RFC 3161, DER)") from error
        try:
            verifier.verify_message(response, message)
        except Exception as error:  # of a stranger's certificates, cryptography says a dozen things
            raise SignatureError(f"expected a time-stamp of the signature by {self.name}") from error
        return moment
