"""DCAP collateral from Intel's service, or from a cache of it in the data centre: fetched, tried, kept.

What is fetched must verify the quote that it is for before it is kept or used. It is kept by kind of platform, since
all of a kind have the same, and used for a day; when the service is away then, for as long as it is valid.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote_to_bytes

from airflow_provider_atlas.encoding import sha256_hex
from airflow_provider_atlas.errors import AtlasError, AttesterError, MalformedError, VerificationError
from airflow_provider_atlas.fetching import Answer, HttpClient, Service
from airflow_provider_atlas.tee.backends.dcap import DcapVerifier
from airflow_provider_atlas.tee.backends.kept import KeptFiles
from airflow_provider_atlas.tee.evidence import DCAP_COLLATERAL, Endorsements, Evidence
from airflow_provider_atlas.tee.tdx import pcs
from airflow_provider_atlas.tee.tdx.collateral import Collateral
from airflow_provider_atlas.tee.tdx.quote import TdxQuote

INTEL_SERVICE = "https://api.trustedservices.intel.com"
"""Intel's own service."""

INTEL_ROOT_CRL = "https://certificates.trustedservices.intel.com"
"""The host that has the root's revocation list, which Intel's service lacks."""

FRESH_FOR = timedelta(days=1)
"""How long collateral is used before it is asked for again."""

_MAX_BYTES = 1 << 20
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PcsClient:
    """Where collateral is fetched: ``service`` speaks the API; ``root_crl`` has the list at ``root_crl_path``."""

    service: HttpClient
    root_crl: HttpClient
    root_crl_path: str

    @classmethod
    def intel(cls) -> "PcsClient":
        """Return a client of Intel's own hosts, which then learn that this kind of platform is in use."""
        return cls(
            service=_client(INTEL_SERVICE), root_crl=_client(INTEL_ROOT_CRL), root_crl_path="/IntelSGXRootCA.der"
        )

    @classmethod
    def cache(cls, url: str) -> "PcsClient":
        """Return a client of the PCCS at ``url``."""
        client = _client(url)
        return cls(service=client, root_crl=client, root_crl_path=pcs.ROOT_CRL)

    def collateral(self, *, fmspc: str, ca: str) -> Collateral:
        """Return the collateral of the platforms ``fmspc``, certified by the PCK CA ``ca``, as the service has it.

        Raises AttesterError when it is away or answers something else.
        """
        try:
            return pcs.collateral_of(
                pck_crl=self._told(pcs.PCK_CRL.format(ca=ca), "sgx-pck-crl-issuer-chain"),
                tcb_info=self._told(pcs.TCB_INFO.format(fmspc=fmspc), "tcb-info-issuer-chain"),
                qe_identity=self._told(pcs.QE_IDENTITY, "sgx-enclave-identity-issuer-chain"),
                root_crl=_ok(self.root_crl, self.root_crl_path).body,
            )
        except MalformedError as error:
            raise AttesterError(f"what {self.service.url} answers is no collateral: {error}") from error

    def _told(self, path: str, header: str) -> pcs.Told:
        answer = _ok(self.service, path)
        return pcs.Told(issuers=unquote_to_bytes(answer.headers.get(header, "")), body=answer.body)


class PccsEndorser:
    """An ``Endorser`` of TDX quotes, which keeps what ``client`` gave in ``kept``; ``now`` tells the time."""

    def __init__(
        self, client: PcsClient, kept: Path, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._client = client
        self._kept = KeptFiles(kept)
        self._now = now

    def endorse(self, evidence: Evidence) -> Evidence:
        """Return the TDX quote ``evidence`` with its collateral (``Endorser.endorse``)."""
        platform = _platform(evidence)
        name = f"tdx-{sha256_hex('-'.join(platform).encode())[:32]}.json"
        kept = self._kept.read(name)
        if kept and self._now() - kept.at < FRESH_FOR and (endorsed := self._tried(evidence, kept.content)):
            return endorsed
        try:
            return self._fetched(evidence, platform, name)
        except AttesterError as error:
            endorsed = self._tried(evidence, kept.content) if kept else None
            if endorsed is None:
                raise
            _logger.warning("DCAP collateral could not be renewed, and what was kept is used: %s", error)
            return endorsed

    def _fetched(self, evidence: Evidence, platform: tuple[str, str], name: str) -> Evidence:
        content = self._client.collateral(fmspc=platform[0], ca=platform[1]).to_bytes()
        endorsed = _with(evidence, content)
        try:
            self._check(endorsed)
        except AtlasError as error:
            raise AttesterError(f"the collateral that was fetched does not vouch for the quote: {error}") from error
        self._kept.write(name, content, self._now())
        return endorsed

    def _tried(self, evidence: Evidence, content: bytes) -> Evidence | None:
        """Return ``evidence`` with the collateral ``content``, or None when it vouches for it no more."""
        endorsed = _with(evidence, content)
        try:
            self._check(endorsed)
        except (MalformedError, VerificationError):
            return None
        return endorsed

    def _check(self, evidence: Evidence) -> None:
        # Whose root it is matters to who verifies the record; here any will do, since nobody is asked to believe it.
        root = TdxQuote.parse(evidence.quote).certification.chain.root_sha256
        DcapVerifier().verify(evidence, development_roots={root}, at=self._now())


def _client(url: str) -> HttpClient:
    return HttpClient(Service(url=url, name="the endorsement service", error=AttesterError))


def _ok(client: HttpClient, path: str) -> Answer:
    answer = client.get(path, at_most=_MAX_BYTES)
    if answer.status != 200:
        raise AttesterError(f"the endorsement service at {client.url} answered {answer.status} to {path}")
    return answer


def _platform(evidence: Evidence) -> tuple[str, str]:
    """Return the FMSPC (hex) and the PCK CA of the platform that made ``evidence``."""
    import dcap_qvl

    try:
        quote = dcap_qvl.parse_quote(evidence.quote)
        return quote.fmspc().lower(), quote.ca()
    except ValueError as error:
        raise AttesterError(f"expected a TDX quote that names its platform: {error}") from error


def _with(evidence: Evidence, collateral: bytes) -> Evidence:
    others = [one for one in evidence.endorsements if one.media_type != DCAP_COLLATERAL]
    return replace(evidence, endorsements=(*others, Endorsements(media_type=DCAP_COLLATERAL, content=collateral)))
