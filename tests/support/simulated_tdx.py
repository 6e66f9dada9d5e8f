"""A simulated TDX vendor in memory, for tests that need more than the attester gives: its keys, and its times."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_atlas.tee.backends.dcap import DcapVerifier
from airflow_provider_atlas.tee.evidence import DCAP_COLLATERAL, TDX_QUOTE, Claims, Endorsements, Evidence
from airflow_provider_atlas.tee.tdx.report import TdReport
from airflow_provider_atlas.tee.tdx.simulation.authority import CPU_SVN, Authority
from airflow_provider_atlas.tee.tdx.simulation.endorsing import endorse
from airflow_provider_atlas.tee.tdx.simulation.guest import GUEST
from airflow_provider_atlas.tee.tdx.simulation.platform import SimulatedPlatform

ISSUED = datetime(2026, 1, 1, tzinfo=UTC)
EXPIRES = ISSUED + timedelta(days=365)
AT = datetime(2026, 6, 1, tzinfo=UTC)
REPORT_DATA = bytes(range(64))


@dataclass(frozen=True, kw_only=True)
class Vendor:
    """An authority, its platform, and the collateral it publishes."""

    authority: Authority
    platform: SimulatedPlatform
    collateral: bytes

    @classmethod
    def create(cls, *, revoked: str = "", cpu_svn: tuple[int, ...] = CPU_SVN) -> "Vendor":
        """Return a new vendor, who revoked the certificate of that name (``pck``, ``ca``, ``tcb``), if any."""
        authority = Authority.create(issued=ISSUED, expires=EXPIRES, cpu_svn=cpu_svn)
        holders = [getattr(authority, revoked)] if revoked else []
        return cls(
            authority=authority,
            platform=SimulatedPlatform.create(authority.chain(), authority.pck.key),
            collateral=endorse(authority, revoked=holders).to_bytes(),
        )

    @property
    def root_sha256(self) -> str:
        """What a policy names to accept this vendor."""
        return self.authority.chain().root_sha256

    def collateral_with(self, **members: str) -> bytes:
        """Return the collateral with ``members`` in place of its own."""
        document: dict[str, Any] = json.loads(self.collateral)
        return json.dumps({**document, **members}).encode()

    def guest(self, **fields: Any) -> Evidence:
        """Return genuine evidence of the guest with these fields of its report."""
        return self.evidence(self.platform.quote(replace(GUEST, **{"report_data": REPORT_DATA, **fields})).to_bytes())

    def evidence(self, quote: bytes) -> Evidence:
        """Return ``quote`` with this vendor's collateral."""
        return evidence(quote, self.collateral)

    def verify(self, shown: Evidence, at: datetime = AT) -> Claims:
        """Return the claims of ``shown`` for a relying party that accepts this vendor."""
        return DcapVerifier().verify(shown, development_roots={self.root_sha256}, at=at)


def report_of(shown: Evidence) -> TdReport:
    """Return the report inside a quote of version 4."""
    return TdReport.parse(shown.quote[48:632])


def evidence(quote: bytes, *collaterals: bytes) -> Evidence:
    """Return a TDX quote with collateral."""
    return Evidence(
        tee="tdx",
        provider="simulated",
        media_type=TDX_QUOTE,
        quote=quote,
        endorsements=[Endorsements(media_type=DCAP_COLLATERAL, content=one) for one in collaterals],
    )
