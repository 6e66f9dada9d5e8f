"""The certificates that lead from a VCEK or VLEK to AMD's root, as PEM: leaf, ASK (of a VLEK: ASVK), ARK.

See: RFC 8555 §9.1, for the media type ``application/pem-certificate-chain``.
"""

from dataclasses import dataclass
from datetime import datetime

from airflow_provider_atlas.errors import MalformedError, MissingError
from airflow_provider_atlas.tee.pem import parse_pem, to_pem
from airflow_provider_atlas.tee.sev_snp.certificate import AmdCertificate
from airflow_provider_atlas.tee.sev_snp.endorsement_key import EndorsementKey

_MAX_SIZE = 32 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SnpChain:
    """A leaf, the certificate that signed it, and the root that signed that."""

    leaf: EndorsementKey
    ask: AmdCertificate
    ark: AmdCertificate

    @classmethod
    def parse(cls, data: bytes) -> "SnpChain":
        """Return the chain in ``data``, at most 32 KiB.

        Raises MissingError when it ends before the root, as a host's own table of certificates may; MalformedError
        for what is no chain.
        """
        if len(data) > _MAX_SIZE:
            raise MalformedError(f"expected a certificate chain of at most {_MAX_SIZE} bytes")
        ders = parse_pem(data)
        if len(ders) < 3:
            raise MissingError("expected the chain to go on to ASK and ARK: AMD's KDS has them")
        if len(ders) > 3:
            raise MalformedError(f"expected a chain of three certificates, not {len(ders)}")
        leaf, ask, ark = map(AmdCertificate.parse, ders)
        return cls(leaf=EndorsementKey.parse(leaf), ask=ask, ark=ark)

    def to_bytes(self) -> bytes:
        """Return this chain as PEM."""
        return to_pem(self.leaf.certificate.der, self.ask.der, self.ark.der)

    def check_times(self, at: datetime) -> None:
        """Raise SignatureError unless each certificate is valid at the aware moment ``at``."""
        for certificate in (self.leaf.certificate, self.ask, self.ark):
            certificate.check_time(at)

    def check_signatures(self) -> None:
        """Raise SignatureError unless each certificate is signed by the next, and the root by itself.

        Whether that root may be trusted is not asked here.
        """
        for issuer in (self.ask, self.ark):
            issuer.check_ca()
        self.ark.check_issuer(self.ark)
        self.ask.check_issuer(self.ark)
        self.leaf.certificate.check_issuer(self.ask)
