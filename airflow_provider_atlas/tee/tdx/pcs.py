"""What Intel's Provisioning Certification Service is asked for a quote's collateral, and what its answers make.

A cache of it in a data centre (PCCS) speaks the same, and has the root's revocation list too::

    /sgx/certification/v4/pckcrl?ca=platform&encoding=der      DER      header SGX-PCK-CRL-Issuer-Chain
    /tdx/certification/v4/tcb?fmspc=00806f050000               JSON     header TCB-Info-Issuer-Chain
    /tdx/certification/v4/qe/identity                          JSON     header SGX-Enclave-Identity-Issuer-Chain
    /sgx/certification/v4/rootcacrl                            hex      (PCCS alone; Intel has it elsewhere, as DER)

Nothing here is verified: the verifier of quotes does that.
See: Intel SGX and TDX Provisioning Certification Service API, version 4; DCAP's PCCS, its API.
"""

from dataclasses import dataclass

from airflow_provider_atlas.encoding import parse_hex
from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.tee.tdx.certification import parse_pem, to_pem
from airflow_provider_atlas.tee.tdx.collateral import Collateral

PCK_CRL = "/sgx/certification/v4/pckcrl?ca={ca}&encoding=der"
"""Where the revocation list of a PCK CA (``platform`` or ``processor``) is."""

TCB_INFO = "/tdx/certification/v4/tcb?fmspc={fmspc}"
"""Where the TCB levels of a kind of platform are; ``fmspc`` is 12 hex digits."""

QE_IDENTITY = "/tdx/certification/v4/qe/identity"
"""Where the identity of the TD quoting enclave is."""

ROOT_CRL = "/sgx/certification/v4/rootcacrl"
"""Where a PCCS has the root's revocation list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One answer: the issuer chain in its header, percent-decoded (PEM), and its body."""

    issuers: bytes
    body: bytes


def collateral_of(*, pck_crl: Told, tcb_info: Told, qe_identity: Told, root_crl: bytes) -> Collateral:
    """Return the collateral that the answers make. Raises MalformedError for what is none."""
    info, info_signature = _signed(tcb_info.body, "tcbInfo")
    identity, identity_signature = _signed(qe_identity.body, "enclaveIdentity")
    return Collateral(
        pck_crl_issuer_chain=_chain(pck_crl),
        root_ca_crl=_root_crl(root_crl).hex(),
        pck_crl=pck_crl.body.hex(),
        tcb_info_issuer_chain=_chain(tcb_info),
        tcb_info=info,
        tcb_info_signature=info_signature,
        qe_identity_issuer_chain=_chain(qe_identity),
        qe_identity=identity,
        qe_identity_signature=identity_signature,
    )


def _root_crl(body: bytes) -> bytes:
    """Return the DER in ``body``: Intel's host gives it so, a PCCS in hex."""
    if body.startswith(b"\x30"):  # a SEQUENCE, whose hex begins with the character "3", which is another octet
        return body
    try:
        text = body.decode("ascii").strip().lower()
    except UnicodeDecodeError as error:
        raise MalformedError("expected the root's revocation list in DER or in hex") from error
    return parse_hex(text, len(text) // 2)


def _signed(body: bytes, name: str) -> tuple[str, str]:
    """Return the text of the member ``name``, and the signature in hex that is of these exact bytes.

    So they are cut out of the answer and never written anew.
    """
    try:
        text = body.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise MalformedError(f"expected {name} in UTF-8") from error
    start = f'{{"{name}":'
    signed, found, signature = text.removeprefix(start).rpartition(',"signature":"')
    if not text.startswith(start) or not found or not signature.endswith('"}'):
        raise MalformedError(f"expected an object with {name} and its signature, in this order")
    return signed, signature.removesuffix('"}')


def _chain(told: Told) -> str:
    """Return the issuer chain in the one spelling that ``Collateral`` has."""
    text = told.issuers.replace(b"\r", b"").rstrip(b"\n")
    return to_pem(*parse_pem(text + b"\n")).decode("ascii")
