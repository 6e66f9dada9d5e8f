"""DCAP collateral: what vouches for a TDX platform, in the JSON object that ``dcap-qvl`` reads.

::

    {"pck_crl_issuer_chain": PEM, "root_ca_crl": hex, "pck_crl": hex,
     "tcb_info_issuer_chain": PEM, "tcb_info": text, "tcb_info_signature": hex,
     "qe_identity_issuer_chain": PEM, "qe_identity": text, "qe_identity_signature": hex}

``tcb_info`` and ``qe_identity`` are the exact JSON texts that the TCB signing certificate signed.
See: Intel SGX and TDX Provisioning Certification Service API, version 4.
"""

import json
from dataclasses import asdict, dataclass

from airflow_provider_atlas.encoding import Fields, parse_json
from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.tee.pem import parse_pem

_MAX_SIZE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Collateral:
    """Endorsements of a TDX platform: revocation lists, TCB levels and the quoting enclave's identity, all signed."""

    pck_crl_issuer_chain: str
    root_ca_crl: str
    pck_crl: str
    tcb_info_issuer_chain: str
    tcb_info: str
    tcb_info_signature: str
    qe_identity_issuer_chain: str
    qe_identity: str
    qe_identity_signature: str

    @classmethod
    def parse(cls, data: bytes) -> "Collateral":
        """Return the collateral in ``data``, at most 1 MiB of JSON. Raises MalformedError otherwise.

        A ``pck_certificate_chain`` is left out: ``dcap-qvl`` would let it stand in for the chain inside the quote,
        and then nothing would vouch for those bytes of the quote.
        """
        if len(data) > _MAX_SIZE:
            raise MalformedError(f"expected collateral of at most {_MAX_SIZE} bytes")
        fields = Fields(parse_json(data), "the collateral")
        collateral = cls(**{name: fields.text(name) for name in cls.__slots__})
        fields.discard("pck_certificate_chain")
        fields.end()
        return collateral

    def to_bytes(self) -> bytes:
        """Return this collateral as JSON."""
        return json.dumps(asdict(self), separators=(",", ":")).encode("ascii")

    def signers(self) -> frozenset[bytes]:
        """Return the certificates (DER) whose keys signed the TCB info and the QE identity.

        Raises MalformedError when their chains are not PEM in its one spelling, or empty.
        """
        return frozenset(chain[0] for chain in self._signing_chains())

    def issuers(self) -> frozenset[tuple[bytes, ...]]:
        """Return what each chain names above its signer (DER, up to the root); of the PCK revocation list, all of it.

        Raises MalformedError as ``signers`` does.
        """
        return frozenset(
            {parse_pem(_ascii(self.pck_crl_issuer_chain)), *(chain[1:] for chain in self._signing_chains())}
        )

    def _signing_chains(self) -> list[tuple[bytes, ...]]:
        chains = [parse_pem(_ascii(text)) for text in (self.tcb_info_issuer_chain, self.qe_identity_issuer_chain)]
        if not all(chains):
            raise MalformedError("expected the collateral's issuer chains to hold a certificate")
        return chains


def _ascii(text: str) -> bytes:
    try:
        return text.encode("ascii")
    except UnicodeEncodeError as error:
        raise MalformedError("expected the collateral's issuer chains in PEM") from error
