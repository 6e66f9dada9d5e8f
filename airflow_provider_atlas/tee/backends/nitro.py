"""The verifier of AWS Nitro enclaves' attestation documents.

Numbered as the checks below. A document is genuine when

1. its certificates lead to AWS's pinned root, or to an accepted development root, all valid at the moment asked for;
2. the key of the first one signed it (ES384);
3. it was made while that key was valid, which is for three hours;
4. the hypervisor measured the enclave: one whose console can be read measures nothing.

See: https://docs.aws.amazon.com/enclaves/latest/user/verify-root.html.
"""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime

from cryptography import x509

from airflow_provider_atlas.encoding import sha256_hex
from airflow_provider_atlas.errors import MalformedError, SignatureError
from airflow_provider_atlas.tee.certificates import check_p384_signature, parse_chain, verify_chain
from airflow_provider_atlas.tee.evidence import NITRO_DOCUMENT, Claims, Evidence, Fact
from airflow_provider_atlas.tee.nitro.aws import AWS_NITRO_ROOT_SHA256
from airflow_provider_atlas.tee.nitro.document import NitroDocument, NitroPayload

_REPORT_DATA_BYTES = 64


class NitroVerifier:
    """An ``EvidenceVerifier`` for AWS Nitro enclaves."""

    def verify(self, evidence: Evidence, *, development_roots: Collection[str], at: datetime) -> Claims:
        """Return the claims of a document that is genuine at the aware moment ``at``: within three hours of its making.

        The report data is its ``user_data``. Raises MalformedError for bytes that are no document, SignatureError for
        all else: a signature, a root, a date, an enclave that is being debugged.
        """
        if (evidence.tee, evidence.media_type) != ("nitro", NITRO_DOCUMENT):
            raise MalformedError("expected evidence of tee 'nitro' with a raw attestation document")
        document = NitroDocument.parse(evidence.quote)
        payload = document.claims()
        root = _root(payload, development_roots)
        chain = parse_chain(payload.chain, "the certificates of the Nitro document")
        verify_chain(chain, at=at)
        check_p384_signature(chain[0], document.signature, document.signed_bytes(), "the Nitro document")
        _check_time(payload, chain[0])
        if payload.debug:
            raise SignatureError(
                "expected an enclave that its parent cannot debug; this one's PCR0 is zero", code="debug"
            )
        if payload.user_data is None or len(payload.user_data) != _REPORT_DATA_BYTES:
            raise SignatureError(f"expected a Nitro document that commits to {_REPORT_DATA_BYTES} bytes of user data")
        return _claims(payload, payload.user_data, root)


def _root(payload: NitroPayload, development_roots: Collection[str]) -> str:
    """1: the root that the document names, when it is one that may be trusted."""
    root = sha256_hex(payload.chain[-1])
    if root != AWS_NITRO_ROOT_SHA256 and root not in development_roots:
        raise SignatureError(
            f"expected AWS's root or an accepted development root, not {root}", code="root-not-trusted"
        )
    return root


def _check_time(payload: NitroPayload, leaf: x509.Certificate) -> None:
    """3: a later time than its key's would be a lie of the hypervisor."""
    made = datetime.fromtimestamp(payload.timestamp / 1000, UTC)
    if not leaf.not_valid_before_utc <= made <= leaf.not_valid_after_utc:
        raise SignatureError("expected a Nitro document made while its key was valid")


def _claims(payload: NitroPayload, report_data: bytes, root: str) -> Claims:
    return Claims(
        tee="nitro",
        report_data=report_data,
        measurements={f"pcr{index}": value.hex() for index, value in payload.pcrs.items()},
        tcb_status=None,
        advisory_ids=(),
        debug=payload.debug,
        root_sha256=root,
        development=root != AWS_NITRO_ROOT_SHA256,
        facts=_facts(payload),
    )


def _facts(payload: NitroPayload) -> Mapping[str, Fact]:
    # The module's name holds that of the instance, so a report shows it salted.
    facts: dict[str, Fact] = {"timestamp": payload.timestamp, "module_id": payload.module_id}
    if payload.public_key is not None:
        facts["public_key_sha256"] = sha256_hex(payload.public_key)
    if payload.nonce is not None:
        facts["nonce"] = payload.nonce.hex()
    return facts
