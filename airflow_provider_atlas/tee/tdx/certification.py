"""How a quote's attestation key is certified: the quoting enclave's report, and the PCK certificates that sign it.

The report's data is ``SHA-256(attestation key ‖ authentication data)``; the PCK key signs the report. The chain is
PEM in its one spelling (``tee.pem``), ``PCK ‖ PCK CA ‖ root``, with or without a final NUL.
See: Intel TDX DCAP Quoting Library API, appendix A.3 (certification data, types 5 and 6).
"""

from dataclasses import dataclass

from airflow_provider_atlas.encoding import sha256_hex
from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.tee.octets import Octets
from airflow_provider_atlas.tee.pem import parse_pem, to_pem

_PCK_CHAIN_TYPE = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class PckChain:
    """The certificates that lead from a platform's PCK key to a root, as DER.

    ``terminated`` tells whether a NUL follows the text: platforms differ.
    """

    pck: bytes
    ca: bytes
    root: bytes
    terminated: bool

    @classmethod
    def parse(cls, data: bytes) -> "PckChain":
        """Return the chain that ``data`` spells. Raises MalformedError unless it holds three certificates."""
        text = data.removesuffix(b"\0")
        certificates = parse_pem(text)
        if len(certificates) != 3:
            raise MalformedError(f"expected a PCK chain of three certificates, not {len(certificates)}")
        pck, ca, root = certificates
        return cls(pck=pck, ca=ca, root=root, terminated=len(text) != len(data))

    def to_bytes(self) -> bytes:
        """Return this chain as a quote carries it."""
        return to_pem(self.pck, self.ca, self.root) + (b"\0" if self.terminated else b"")

    @property
    def root_sha256(self) -> str:
        """The SHA-256 of the root certificate (DER), in lower-case hex."""
        return sha256_hex(self.root)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certification:
    """What certifies an attestation key.

    ``qe_report`` is 384 bytes, ``signature`` the PCK key's over it (r ‖ s, 64 bytes); ``authentication`` is hashed
    into the report beside the attestation key, and is 32 bytes on every platform seen.
    """

    qe_report: bytes
    signature: bytes
    authentication: bytes
    chain: PckChain

    @classmethod
    def parse(cls, data: bytes) -> "Certification":
        """Return the certification in ``data`` (type 6). Raises MalformedError otherwise."""
        octets = Octets(data, "the QE report certification data")
        qe_report, signature = octets.take(384), octets.take(64)
        authentication = octets.take(octets.integer(2))
        # The other types hold an encrypted PPID: whoever verifies offline could not find the certificates.
        octets.expect(_PCK_CHAIN_TYPE, 2, "certification data type")
        chain = PckChain.parse(octets.take(octets.integer(4)))
        octets.end()
        return cls(qe_report=qe_report, signature=signature, authentication=authentication, chain=chain)

    def to_bytes(self) -> bytes:
        """Return this certification as a quote carries it."""
        chain = self.chain.to_bytes()
        return b"".join(
            (
                self.qe_report,
                self.signature,
                len(self.authentication).to_bytes(2, "little"),
                self.authentication,
                _PCK_CHAIN_TYPE.to_bytes(2, "little"),
                len(chain).to_bytes(4, "little"),
                chain,
            )
        )
