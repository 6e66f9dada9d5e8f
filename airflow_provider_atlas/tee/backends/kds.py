"""An SNP report's certificates from AMD's key distribution service (KDS), or from a cache of it: fetched, tried, kept.

What is fetched must verify the report that it is for before it is kept or used. Certificates are kept for as long as
they do: a chip's own is named by its chip and its TCB, and the service answers few questions a minute. The revocation
list is asked for once a day; when the service is away then, the kept one serves for as long as it is current.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow_provider_atlas.encoding import sha256_hex
from airflow_provider_atlas.errors import AttesterError, MalformedError, VerificationError
from airflow_provider_atlas.fetching import HttpClient, Service
from airflow_provider_atlas.tee.backends.kept import KeptFiles
from airflow_provider_atlas.tee.backends.sev_snp import SevSnpVerifier
from airflow_provider_atlas.tee.evidence import PEM_CERTIFICATE_CHAIN, PKIX_CRL, Endorsements, Evidence
from airflow_provider_atlas.tee.pem import parse_pem, to_pem
from airflow_provider_atlas.tee.sev_snp import kds
from airflow_provider_atlas.tee.sev_snp.certificate import AmdCertificate
from airflow_provider_atlas.tee.sev_snp.endorsement_key import EndorsementKey
from airflow_provider_atlas.tee.sev_snp.report import SnpReport

AMD_SERVICE = "https://kdsintf.amd.com"
"""AMD's own service, which then learns which chips are in use, and when."""

FRESH_FOR = timedelta(days=1)
"""How long a revocation list is used before it is asked for again."""

_MAX_BYTES = 1 << 20
_UNKNOWN = (400, 404)  # of a chip, or of a TCB that it never had
_logger = logging.getLogger(__name__)


def service(url: str) -> HttpClient:
    """Return a client of the key distribution service at ``url``."""
    return HttpClient(Service(url=url, name="the key distribution service", error=AttesterError))


class KdsEndorser:
    """An ``Endorser`` of SNP reports, which keeps what ``client`` gave in ``kept``; ``now`` tells the time."""

    def __init__(
        self, client: HttpClient, kept: Path, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._client = client
        self._kept = KeptFiles(kept)
        self._now = now

    def endorse(self, evidence: Evidence) -> Evidence:
        """Return the SNP report ``evidence`` with its certificates and a revocation list (``Endorser.endorse``).

        Certificates that it came with, as hosts hand them out, are not asked for.
        """
        return self._endorsed(evidence, _Search(self._client, self._kept, self._now))

    def _endorsed(self, evidence: Evidence, search: "_Search") -> Evidence:
        try:
            return self._found(evidence, search)
        except (MalformedError, VerificationError) as error:
            if search.used_kept:
                return self._endorsed(evidence, _Search(self._client, self._kept, self._now, anew=True))
            raise AttesterError(f"nothing at {self._client.url} vouches for the SNP report: {error}") from error

    def _found(self, evidence: Evidence, search: "_Search") -> Evidence:
        report, given = SnpReport.parse(evidence.quote), _given(evidence)
        leaf = given[0] if given else search.vcek(report)
        key = EndorsementKey.parse(AmdCertificate.parse(leaf))
        issuers = given[1:] if len(given) > 2 else search.issuers(key)
        found = (
            Endorsements(media_type=PEM_CERTIFICATE_CHAIN, content=to_pem(leaf, *issuers)),
            Endorsements(media_type=PKIX_CRL, content=search.revocation_list(key)),
        )
        # Whose root it is matters to who verifies the record; here any will do, since nobody is asked to believe it.
        root = AmdCertificate.parse(issuers[1]).sha256
        SevSnpVerifier().claims(evidence.quote, found, development_roots={root}, at=self._now())
        search.keep()
        others = [one for one in evidence.endorsements if one.media_type not in (PEM_CERTIFICATE_CHAIN, PKIX_CRL)]
        return replace(evidence, endorsements=(*others, *found))


class _Search:
    """What is needed for one report: looked for among the ``kept`` files, unless ``anew``, and then at the service."""

    def __init__(self, client: HttpClient, kept: KeptFiles, now: Callable[[], datetime], *, anew: bool = False) -> None:
        self.used_kept = False
        self._client = client
        self._kept = kept
        self._now = now
        self._anew = anew
        self._fetched: dict[str, bytes] = {}

    def keep(self) -> None:
        """Keep what was fetched."""
        for name, content in self._fetched.items():
            self._kept.write(name, content, self._now())

    def vcek(self, report: SnpReport) -> bytes:
        """Return the VCEK that signed ``report``. Raises AttesterError where its host alone has the certificate."""
        if report.signing_key != "VCEK" or report.chip_id_masked:
            what = f"a {report.signing_key}" if report.signing_key != "VCEK" else "the key of a chip that it masks"
            raise AttesterError(
                f"expected the host to hand out the certificate of {what}: AMD's service cannot name it"
            )
        for product in kds.products_of(report):
            path = kds.vcek_path(report, product)
            if found := self._obtain(f"snp-vcek-{sha256_hex(path.encode())[:32]}.der", path):
                return found
        raise AttesterError(f"{self._client.url} has no certificate for the chip and the TCB that the SNP report names")

    def issuers(self, key: EndorsementKey) -> tuple[bytes, bytes]:
        """Return ASK and ARK of ``key``."""
        name = f"snp-{key.kind.lower()}-{key.product}.pem"
        return kds.issuers_of(self._needed(name, kds.issuers_path(key.kind, key.product)))

    def revocation_list(self, key: EndorsementKey) -> bytes:
        """Return the revocation list for ``key``."""
        name = f"snp-{key.kind.lower()}-{key.product}.crl"
        return self._needed(name, kds.crl_path(key.kind, key.product), FRESH_FOR)

    def _needed(self, name: str, path: str, fresh_for: timedelta | None = None) -> bytes:
        found = self._obtain(name, path, fresh_for)
        if found is None:
            raise AttesterError(f"expected {self._client.url} to have {path}")
        return found

    def _obtain(self, name: str, path: str, fresh_for: timedelta | None = None) -> bytes | None:
        kept = None if self._anew else self._kept.read(name)
        if kept and (fresh_for is None or self._now() - kept.at < fresh_for):
            self.used_kept = True
            return kept.content
        try:
            found = self._asked(path)
        except AttesterError as error:
            if kept is None:
                raise
            _logger.warning("%s could not be renewed, and what was kept is used: %s", path, error)
            self.used_kept = True
            return kept.content
        if found is not None:
            self._fetched[name] = found
        return found

    def _asked(self, path: str) -> bytes | None:
        answer = self._client.get(path, at_most=_MAX_BYTES)
        if answer.status in _UNKNOWN:
            return None
        if answer.status != 200:
            raise AttesterError(
                f"the key distribution service at {self._client.url} answered {answer.status} to {path}"
            )
        return answer.body


def _given(evidence: Evidence) -> Sequence[bytes]:
    """Return the certificates that ``evidence`` came with, leaf first."""
    return [
        der
        for one in evidence.endorsements
        if one.media_type == PEM_CERTIFICATE_CHAIN
        for der in parse_pem(one.content)
    ]
