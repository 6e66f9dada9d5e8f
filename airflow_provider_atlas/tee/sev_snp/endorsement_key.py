"""The certificate of the key that signs reports: a VCEK, of one chip, or a VLEK, which AMD lends to a cloud.

What they certify stands in extensions under the arc ``1.3.6.1.4.1.3704.1``::

    .2      product          IA5String, "Milan-B0" or "Milan"
    .3.n    TCB              INTEGER: 1 bl, 2 tee, 3 snp, 4 to 7 spl, 8 ucode, 9 fmc
    .4      hwID             the chip, of a VCEK: 64 bytes, 8 of Turin, bare or (since 2025) as OCTET STRING
    .5      csp_id           the cloud, of a VLEK: IA5String

See: VCEK Certificate and KDS Interface Specification (AMD 57230) §3.1, VLEK Certificate Definition (AMD 58217).
"""

from dataclasses import dataclass
from typing import Literal

from cryptography.hazmat.primitives.asymmetric import ec

from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.tee import der
from airflow_provider_atlas.tee.sev_snp.certificate import AmdCertificate
from airflow_provider_atlas.tee.sev_snp.tcb import PRODUCTS, Product, layout

AMD_ARC = "1.3.6.1.4.1.3704.1"
"""The arc of AMD's extensions."""

SVN_OIDS = {
    "bl": f"{AMD_ARC}.3.1",
    "tee": f"{AMD_ARC}.3.2",
    "snp": f"{AMD_ARC}.3.3",
    "spl4": f"{AMD_ARC}.3.4",
    "spl5": f"{AMD_ARC}.3.5",
    "spl6": f"{AMD_ARC}.3.6",
    "spl7": f"{AMD_ARC}.3.7",
    "ucode": f"{AMD_ARC}.3.8",
    "fmc": f"{AMD_ARC}.3.9",
}
"""The extension of each TCB component."""

PRODUCT_OID, HWID_OID, CSP_ID_OID = f"{AMD_ARC}.2", f"{AMD_ARC}.4", f"{AMD_ARC}.5"
"""The extensions that say which product, chip and cloud."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndorsementKey:
    """A VCEK or VLEK.

    ``tcb`` is the TCB_VERSION that it was derived for, 8 bytes. ``chip_id`` (64 bytes, as a report spells it) is None
    for a VLEK, ``csp_id`` for a VCEK.
    """

    certificate: AmdCertificate
    key: ec.EllipticCurvePublicKey
    product: Product
    tcb: bytes
    chip_id: bytes | None
    csp_id: str | None

    @classmethod
    def parse(cls, certificate: AmdCertificate) -> "EndorsementKey":
        """Return what ``certificate`` certifies.

        Raises MalformedError unless it is a VCEK or VLEK, with a key on P-384, of a product that is known here.
        """
        key = certificate.parsed.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
            raise MalformedError("expected a VCEK or VLEK to be a key on P-384")
        product = _product(_text(certificate, PRODUCT_OID) or "")
        chip, cloud = certificate.extension(HWID_OID), _text(certificate, CSP_ID_OID)
        if (chip is None) == (cloud is None):
            raise MalformedError("expected the certificate of a VCEK, with a hwID, or of a VLEK, with a csp_id")
        return cls(
            certificate=certificate,
            key=key,
            product=product,
            tcb=bytes(_svn(certificate, name) for name in layout(product)),
            chip_id=None if chip is None else _chip_id(chip),
            csp_id=cloud,
        )

    @property
    def kind(self) -> Literal["VCEK", "VLEK"]:
        """Which of the two it is."""
        return "VCEK" if self.csp_id is None else "VLEK"


def _product(name: str) -> Product:
    line = name.partition("-")[0]  # the rest is the stepping, B0
    for product in PRODUCTS:
        if product == line:
            return product
    raise MalformedError(f"expected a certificate of {', '.join(PRODUCTS)}, not of {name[:40]!a}")


def _text(certificate: AmdCertificate, oid: str) -> str | None:
    value = certificate.extension(oid)
    if value is None:
        return None
    try:
        return der.whole(value, der.IA5_STRING).decode("ascii")
    except UnicodeDecodeError as error:
        raise MalformedError("expected ASCII in a VCEK's or VLEK's certificate") from error


def _svn(certificate: AmdCertificate, name: str) -> int:
    value = certificate.extension(SVN_OIDS[name])
    if value is None:
        raise MalformedError(f"expected a VCEK or VLEK to have the TCB component {name}")
    svn = der.unsigned(value)
    if svn > 0xFF:
        raise MalformedError(f"expected the TCB component {name} to be one byte")
    return svn


def _chip_id(value: bytes) -> bytes:
    # Sixty-six and ten bytes can only be the newer spelling: bare, a hwID has 64 or 8.
    octets = der.whole(value, der.OCTET_STRING) if len(value) in (66, 10) else value
    if len(octets) not in (64, 8):
        raise MalformedError(f"expected a hwID of 64 or 8 bytes, not {len(octets)}")
    return octets.ljust(64, b"\0")
