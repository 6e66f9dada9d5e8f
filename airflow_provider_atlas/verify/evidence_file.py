"""Evidence in a file, of whatever form, and endorsements in files beside it. Nothing of it is believed yet."""

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from airflow_provider_atlas.bundle import MEDIA_TYPE, AttestationBundle, BoundEvidence
from airflow_provider_atlas.encoding import Fields, b64decode, parse_json
from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.tee import ccel
from airflow_provider_atlas.tee.binding import Binding
from airflow_provider_atlas.tee.capture import evidence_in
from airflow_provider_atlas.tee.evidence import (
    DCAP_COLLATERAL,
    EVENT_LOG,
    PEM_CERTIFICATE_CHAIN,
    PKIX_CRL,
    Endorsements,
    Evidence,
)
from airflow_provider_atlas.tee.pem import to_pem
from airflow_provider_atlas.x509 import certificate_of, revocation_list_of

_MAX_ENDORSEMENTS = 4 << 20
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]*)-----END CERTIFICATE-----", re.ASCII)
_REVOCATION_LIST = re.compile(rb"-----BEGIN X509 CRL-----([A-Za-z0-9+/=\s]*)-----END X509 CRL-----", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """Evidence as a file has it, with the ``binding`` and the ``bundle`` that it came with, if it did."""

    evidence: Evidence
    binding: Binding | None = None
    bundle: AttestationBundle | None = None

    @classmethod
    def parse(cls, content: bytes) -> "Presented":
        """Return the evidence in ``content``: a bundle, evidence in JSON, or a quote raw, in hex or in base64.

        Raises MalformedError for anything else.
        """
        if not content.lstrip().startswith(b"{"):
            return cls(evidence=evidence_in(content))
        value = parse_json(content)
        if isinstance(value, Mapping) and value.get("mediaType") == MEDIA_TYPE:
            return cls._of_bundle(AttestationBundle.parse(content.strip()))
        if isinstance(value, Mapping) and "binding" in value:
            bound = BoundEvidence.parse(value)
            return cls(evidence=bound.evidence, binding=bound.binding)
        fields = Fields(value, "the evidence")
        evidence = Evidence.take(fields)
        fields.end()
        return cls(evidence=evidence)

    @classmethod
    def _of_bundle(cls, bundle: AttestationBundle) -> "Presented":
        bound = bundle.bound_evidence
        if bound is None:
            raise MalformedError("expected a bundle with TEE evidence; this one has none")
        return cls(evidence=bound.evidence, binding=bound.binding, bundle=bundle)

    def endorsed_by(self, *endorsements: Endorsements) -> "Presented":
        """Return this with ``endorsements`` instead of its own; with its own where there are none."""
        if not endorsements:
            return self
        return replace(self, evidence=replace(self.evidence, endorsements=endorsements))


def endorsements_in(*files: bytes) -> Sequence[Endorsements]:
    """Return the endorsements in ``files``: DCAP collateral (JSON), certificates and revocation lists (PEM or DER).

    A boot event log, as firmware left it, is taken with them: it endorses nothing, and goes where they go.

    Certificates of all files become one chain, leaf first, in whatever order they came. Raises MalformedError for
    anything else.
    """
    found: list[Endorsements] = []
    certificates: list[bytes] = []
    for content in files:
        if len(content) > _MAX_ENDORSEMENTS:
            raise MalformedError(f"expected endorsements of at most {_MAX_ENDORSEMENTS} bytes")
        if content.lstrip().startswith(b"{"):
            found.append(Endorsements(media_type=DCAP_COLLATERAL, content=content))
        elif b"-----BEGIN CERTIFICATE-----" in content:
            certificates += map(_base64, _CERTIFICATE.findall(content))
        elif match := _REVOCATION_LIST.search(content):
            found.append(Endorsements(media_type=PKIX_CRL, content=_revocation_list(_base64(match[1]))))
        elif _is_certificate(content):
            certificates.append(content)
        else:
            found.append(_binary(content))
    if certificates:
        found.append(Endorsements(media_type=PEM_CERTIFICATE_CHAIN, content=to_pem(*_in_order(certificates))))
    return found


def _base64(text: bytes) -> bytes:
    return b64decode(b"".join(text.split()).decode("ascii"))


def _is_certificate(content: bytes) -> bool:
    try:
        _names(content)
    except MalformedError:
        return False
    return True


def _binary(content: bytes) -> Endorsements:
    if ccel.is_event_log(content):
        return Endorsements(media_type=EVENT_LOG, content=ccel.trim(content))
    return Endorsements(media_type=PKIX_CRL, content=_revocation_list(content))


def _revocation_list(content: bytes) -> bytes:
    revocation_list_of(content, "DCAP collateral in JSON, certificates, a revocation list, or a boot event log")
    return content


def _in_order(certificates: Sequence[bytes]) -> Sequence[bytes]:
    """Return ``certificates``, each once, each followed by its issuer: first the one that issued none of them."""
    names = {der: _names(der) for der in certificates}
    issuers = {issuer for issuer, subject in names.values() if issuer != subject}
    chain = [der for der, (_, subject) in names.items() if subject not in issuers][:1]
    while chain:
        issuer, subject = names[chain[-1]]
        above = [der for der, (_, name) in names.items() if name == issuer and der not in chain]
        if issuer == subject or not above:
            break
        chain.append(above[0])
    return [*chain, *(der for der in names if der not in chain)]


def _names(der: bytes) -> tuple[bytes, bytes]:
    """Return the issuer and the subject of a certificate, DER."""
    with warnings.catch_warnings():
        # AMD's leaves have the serial number 0, which cryptography warns of: their verifier is the one to judge it.
        warnings.simplefilter("ignore")
        try:
            certificate = certificate_of(der)
            return certificate.issuer.public_bytes(), certificate.subject.public_bytes()
        except (ValueError, TypeError) as error:  # names are read when they are asked for, and refused so or so
            raise MalformedError("expected an X.509 certificate") from error
