"""What the Nitro Security Module is asked, and what it answers: one CBOR item each.

::

    {"Attestation": {"user_data": bstr, "nonce": null, "public_key": null}}
    {"Attestation": {"document": bstr}}                                          or {"Error": text}

See: https://github.com/aws/aws-nitro-enclaves-nsm-api, ``src/api/mod.rs`` (Request, Response).
"""

from airflow_provider_atlas.errors import AttesterError, MalformedError
from airflow_provider_atlas.tee.nitro.cbor import parse_cbor, to_cbor

MAX_REQUEST_BYTES = 0x1000
"""The longest request that the module takes."""

MAX_RESPONSE_BYTES = 0x3000
"""The longest response that the module gives."""


def attestation_request(user_data: bytes) -> bytes:
    """Return the request for a document that holds ``user_data``, at most 512 bytes."""
    return to_cbor({"Attestation": {"user_data": user_data, "nonce": None, "public_key": None}})


def attestation_document(response: bytes) -> bytes:
    """Return the document in ``response``.

    Raises AttesterError when the module says why it gives none, MalformedError for anything else.
    """
    match parse_cbor(response, "the answer of the Nitro Security Module"):
        case {"Attestation": {"document": bytes(document)}}:
            return document
        case {"Error": str(reason)}:
            raise AttesterError(f"the Nitro Security Module gives no document: {ascii(reason)[:100]}")
        case _:
            raise MalformedError("expected the Nitro Security Module to answer with an attestation document")
