"""The real TPM quote among the vectors: of an Azure VM, over the nonce ``challenge``."""

from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from airflow_provider_atlas.tee.octets import Octets
from airflow_provider_atlas.tee.tpm.attestation_key import AttestationKey
from airflow_provider_atlas.tee.tpm.signed_quote import SignedQuote
from airflow_provider_atlas.tee.tpm.structures import TpmQuote, TpmSignature

VECTORS = Path(__file__).parents[1] / "vectors" / "tee"


def azure_quote() -> tuple[AttestationKey, SignedQuote]:
    """Return the quote with its key. Its file is three counted lists: signature, message, and the values of PCRs."""
    octets = Octets((VECTORS / "azure_quote.bin").read_bytes(), "the vector")
    signature, message = octets.take(octets.integer(8)), octets.take(octets.integer(8))
    pcrs = {index: octets.take(32) for index in range(octets.integer(8))}
    octets.end()
    key = load_pem_public_key((VECTORS / "azure_akpub.pem").read_bytes())
    by_rsa = TpmSignature(scheme="rsassa", hash_name="sha256", values=(signature,))
    return (
        AttestationKey.parse(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)),
        SignedQuote(quote=TpmQuote.parse(message), signature=by_rsa, pcrs=pcrs),
    )
