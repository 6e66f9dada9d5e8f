"""The verifier of NVIDIA GPUs' attestation reports.

Numbered as the checks below. A report is genuine when

1. its certificates lead to NVIDIA's pinned root, or to an accepted development root, all valid at the moment asked for;
2. the key of the first one signed it, request and response;
3. the firmware that the key was derived for is the one that the report names.

Not checked, since NVIDIA's services would have to be asked: whether a certificate was revoked (OCSP), and whether the
measurements are those that NVIDIA published for this driver and firmware (RIM). The claims say so (``rim``, ``ocsp``).
Without reference values of one's own, a genuine report says no more than that some NVIDIA GPU answered.

See: https://docs.nvidia.com/attestation; DMTF DSP0274 1.1.
"""

from collections.abc import Collection, Mapping
from datetime import datetime

from cryptography import x509

from airflow_provider_atlas.encoding import sha256_hex
from airflow_provider_atlas.errors import MalformedError, MissingError, SignatureError
from airflow_provider_atlas.tee.certificates import check_p384_signature, parse_chain, spki_of, verify_chain
from airflow_provider_atlas.tee.evidence import NVIDIA_REPORT, PEM_CERTIFICATE_CHAIN, Claims, Evidence, Fact
from airflow_provider_atlas.tee.nvidia.device_identity import NVIDIA_ROOT_SHA256
from airflow_provider_atlas.tee.nvidia.report import FIRMWARE_ID, GpuReport
from airflow_provider_atlas.tee.pem import parse_pem

_TCB_INFO = "2.23.133.5.4.1"  # TCG DICE: ends in the digest of the firmware that the key was derived for


class NvidiaVerifier:
    """An ``EvidenceVerifier`` for NVIDIA GPUs: reports with the certificates that they came with."""

    def verify(self, evidence: Evidence, *, development_roots: Collection[str], at: datetime) -> Claims:
        """Return the claims of a GPU report that is genuine at the aware moment ``at``.

        The report data is the nonce of its request, 32 bytes. Raises MalformedError for bytes that are no report or no
        certificates, MissingError when the certificates are not there, SignatureError for all else.
        """
        if (evidence.tee, evidence.media_type) != ("nvidia", NVIDIA_REPORT):
            raise MalformedError("expected evidence of tee 'nvidia' with a raw GPU report")
        report = GpuReport.parse(evidence.quote)
        ders = _chain(evidence)
        root = sha256_hex(ders[-1])
        if root != NVIDIA_ROOT_SHA256 and root not in development_roots:
            raise SignatureError(
                f"expected NVIDIA's root or an accepted development root, not {root}", code="root-not-trusted"
            )
        chain = parse_chain(ders, "the GPU's certificates")
        verify_chain(chain, at=at, understood=(_TCB_INFO,))
        check_p384_signature(chain[0], report.signature, report.signed_bytes(), "the GPU report")
        _check_firmware(report, chain[0])
        return Claims(
            tee="nvidia",
            report_data=report.nonce,
            measurements={f"measurement{block.index}": block.value.hex() for block in report.blocks},
            tcb_status=None,
            advisory_ids=(),
            debug=False,
            root_sha256=root,
            development=root != NVIDIA_ROOT_SHA256,
            facts=_facts(report, chain),
        )


def _chain(evidence: Evidence) -> tuple[bytes, ...]:
    found = [one.content for one in evidence.endorsements if one.media_type == PEM_CERTIFICATE_CHAIN]
    if not found:
        raise MissingError("expected the GPU's certificates with its report: its driver has them")
    if len(found) > 1:
        raise MalformedError("expected one chain of certificates with the GPU report")
    ders = parse_pem(found[0])
    if not ders:
        raise MalformedError("expected certificates in PEM with the GPU report")
    return ders


def _check_firmware(report: GpuReport, leaf: x509.Certificate) -> None:
    """3: where both name it. A GPU that runs other firmware has another key."""
    named = report.fields.get(FIRMWARE_ID)
    try:
        certified = leaf.extensions.get_extension_for_oid(x509.ObjectIdentifier(_TCB_INFO)).value.public_bytes()
    except x509.ExtensionNotFound:
        return
    if named is None or len(named) != 48 or not certified.endswith(named):
        raise SignatureError("expected a GPU report of the firmware that its key was certified for")


def _facts(report: GpuReport, chain: tuple[x509.Certificate, ...]) -> Mapping[str, Fact]:
    device = chain[min(1, len(chain) - 1)]  # the key above the firmware's is the GPU's own, for ever
    return {
        "driver_version": report.driver_version(),
        "vbios_version": report.vbios_version(),
        "device_key_sha256": sha256_hex(spki_of(device)),
        "rim": "not-checked",
        "ocsp": "not-checked",
    }
