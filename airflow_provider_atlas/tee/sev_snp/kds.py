"""What AMD's key distribution service is asked for, and what it answers. A cache of it speaks the same.

::

    /vcek/v1/Milan/<chip id, hex>?blSPL=3&teeSPL=0&snpSPL=8&ucodeSPL=115        DER: the VCEK of a chip, at a TCB
    /vcek/v1/Milan/cert_chain        /vlek/v1/Milan/cert_chain                  PEM: ASK (of VLEKs: ASVK), then ARK
    /vcek/v1/Milan/crl               /vlek/v1/Milan/crl                         DER: what the ARK revoked

Of a Turin the chip id has 8 bytes, and the TCB a further ``fmcSPL``. A VLEK is not there: its cloud has it.
Nothing here is verified: the verifier of reports does that.
See: VCEK Certificate and KDS Interface Specification (AMD 57230) §4.
"""

from collections.abc import Sequence

from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.tee.pem import read_pem
from airflow_provider_atlas.tee.sev_snp.report import SnpReport
from airflow_provider_atlas.tee.sev_snp.tcb import Product, components

_TURIN_HWID_SIZE = 8


def vcek_path(report: SnpReport, product: Product) -> str:
    """Return where the VCEK that signed ``report`` is, if the report's processor is a ``product``."""
    chip_id = report.chip_id[:_TURIN_HWID_SIZE] if product == "Turin" else report.chip_id
    svns = [f"{name}SPL={svn}" for name, svn in components(report.reported_tcb, product).items()]
    return f"/vcek/v1/{product}/{chip_id.hex()}?{'&'.join(svns)}"


def issuers_path(signing_key: str, product: Product) -> str:
    """Return where the certificates above a ``VCEK`` or ``VLEK`` are."""
    return f"/{signing_key.lower()}/v1/{product}/cert_chain"


def crl_path(signing_key: str, product: Product) -> str:
    """Return where the revocation list for a ``VCEK`` or ``VLEK`` is."""
    return f"/{signing_key.lower()}/v1/{product}/crl"


def products_of(report: SnpReport) -> Sequence[Product]:
    """Return which product lines ``report`` may be of: what its CPUID says, and before version 3 either of two."""
    if report.version < 3:
        return ("Milan", "Genoa")
    return () if report.product is None else (report.product,)


def issuers_of(body: bytes) -> tuple[bytes, bytes]:
    """Return ASK and ARK (DER) in the answer ``body``. Raises MalformedError for anything but two certificates."""
    certificates = read_pem(body)
    if len(certificates) != 2:
        raise MalformedError(f"expected ASK and ARK, and not {len(certificates)} certificates")
    return certificates[0], certificates[1]
