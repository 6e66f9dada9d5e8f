"""A simulated SNP vendor in memory, for tests that need more than the attester gives: its keys, and its times."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from airflow_provider_atlas.tee.backends.sev_snp import SevSnpVerifier
from airflow_provider_atlas.tee.evidence import (
    PEM_CERTIFICATE_CHAIN,
    PKIX_CRL,
    SNP_REPORT,
    Claims,
    Endorsements,
    Evidence,
)
from airflow_provider_atlas.tee.pem import parse_pem, to_pem
from airflow_provider_atlas.tee.sev_snp.certificate import PSS
from airflow_provider_atlas.tee.sev_snp.simulation.authority import Authority, leaf_extensions
from airflow_provider_atlas.tee.sev_snp.simulation.guest import tcb_of
from airflow_provider_atlas.tee.sev_snp.simulation.platform import SimulatedSnpPlatform
from airflow_provider_atlas.tee.sev_snp.tcb import Product

VECTORS = Path(__file__).parents[1] / "vectors" / "tee"
ISSUED = datetime(2026, 1, 1, tzinfo=UTC)
EXPIRES = ISSUED + timedelta(days=365)
AT = datetime(2026, 6, 1, tzinfo=UTC)
REPORT_DATA = bytes(range(64))
CLOUD = "CN=cc-example-1.cloud.example"

Signer = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True, kw_only=True)
class SnpVendor:
    """An authority, its platform, and the revocation list it publishes."""

    authority: Authority
    platform: SimulatedSnpPlatform
    crl: bytes

    @classmethod
    def create(cls, product: Product = "Genoa", *, version: int = 3, vlek: bool = False) -> "SnpVendor":
        """Return a new vendor, whose RSA keys are short: they are made in a blink."""
        authority = Authority.create(
            product, issued=ISSUED, expires=EXPIRES, csp_id=CLOUD if vlek else None, key_size=1024
        )
        platform = SimulatedSnpPlatform.create(authority, version=version, vlek=vlek)
        return cls(authority=authority, platform=platform, crl=authority.revocation_list())

    @property
    def root_sha256(self) -> str:
        """What a policy names to accept this vendor."""
        return self.authority.root_sha256

    def report(self, **fields: Any) -> bytes:
        """Return the genuine report of the guest with these fields."""
        told = replace(self.platform.pattern, **{"report_data": REPORT_DATA, **fields})
        return self.platform.report(told).to_bytes()

    def guest(self, **fields: Any) -> Evidence:
        """Return genuine evidence of the guest with these fields of its report."""
        return self.evidence(self.report(**fields))

    def evidence(self, report: bytes) -> Evidence:
        """Return ``report`` with this vendor's certificates and revocation list."""
        return evidence(report, self.authority.chain(), self.crl)

    def verify(self, shown: Evidence, at: datetime = AT) -> Claims:
        """Return the claims of ``shown`` for a relying party that accepts this vendor."""
        return SevSnpVerifier().verify(shown, development_roots={self.root_sha256}, at=at)

    def with_leaf(self, **changes: Any) -> Evidence:
        """Return the guest's evidence, under another certificate for the platform's key: see ``leaf``."""
        return evidence(self.report(), self.chain_with(leaf=self.leaf(**changes)), self.crl)

    def chain_with(self, *, leaf: bytes = b"", ask: bytes = b"", ark: bytes = b"") -> bytes:
        """Return the chain (PEM) with these certificates (DER) in place of its own."""
        own = parse_pem(self.authority.chain())
        return to_pem(*(new or old for new, old in zip((leaf, ask, ark), own, strict=True)))

    def leaf(
        self,
        *,
        tcb: bytes | None = None,
        hwid: bytes | None = None,
        csp_id: str | None = None,
        key: Signer | None = None,
        extensions: Sequence[tuple[str, bytes]] | None = None,
        expires: datetime = EXPIRES,
        issuer: x509.Name | None = None,
    ) -> bytes:
        """Return a certificate by this vendor, for the platform's key unless it is told of another."""
        line = self.authority.product
        chip = self.authority.chip_id[: 8 if line == "Turin" else 64]
        wanted = leaf_extensions(line, tcb or tcb_of(line), hwid=hwid or chip, csp_id=csp_id)
        return certificate(
            "SEV-VCEK",
            key or self.authority.leaf.key,
            issuer=issuer or self.authority.ask.certificate.subject,
            issuer_key=self.authority.ask.key,
            extensions=wanted if extensions is None else extensions,
            expires=expires,
        )


@cache
def vendor(product: Product = "Genoa", *, version: int = 3, vlek: bool = False) -> SnpVendor:
    """Return the one vendor of this kind that a test run has: for tests that leave it as it is."""
    return SnpVendor.create(product, version=version, vlek=vlek)


def evidence(report: bytes, chain: bytes | None, crl: bytes | None = None) -> Evidence:
    """Return an SNP report with what vouches for it."""
    endorsements = [
        Endorsements(media_type=media_type, content=content)
        for media_type, content in ((PEM_CERTIFICATE_CHAIN, chain), (PKIX_CRL, crl))
        if content is not None
    ]
    return Evidence(tee="sev-snp", provider="simulated", media_type=SNP_REPORT, quote=report, endorsements=endorsements)


def real(name: str, chain: str = "") -> Evidence:
    """Return a real report, with its own chain or another."""
    return evidence((VECTORS / f"{name}.report").read_bytes(), (VECTORS / f"{chain or name}.pem").read_bytes())


def certificate(
    name: str,
    key: Signer,
    *,
    issuer: x509.Name | None = None,
    issuer_key: rsa.RSAPrivateKey,
    extensions: Sequence[tuple[str, bytes]] = (),
    expires: datetime = EXPIRES,
    ca: bool | None = None,
    padding: Any = PSS,
) -> bytes:
    """Return a certificate (DER) of ``key``, named ``name``, by whoever has ``issuer_key``."""
    subject = x509.Name([x509.NameAttribute(x509.OID_COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(ISSUED)
        .not_valid_after(expires)
    )
    for oid, value in extensions:
        builder = builder.add_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value), critical=False)
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    return builder.sign(issuer_key, hashes.SHA384(), rsa_padding=padding).public_bytes(Encoding.DER)
