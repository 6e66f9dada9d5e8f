"""Seal: from a link to a bundle that anyone can verify offline. Statement → quote → signature → log → time-stamp.

Each step takes what the last one gave, so a record that got half-way is finished from there, by this process or by
a later one (``attest.pending``).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from airflow_provider_atlas.bundle import AttestationBundle, BoundEvidence, Role, log_entry, vouching_statement
from airflow_provider_atlas.encoding import parse_hex
from airflow_provider_atlas.errors import LogError
from airflow_provider_atlas.intoto.link import Link
from airflow_provider_atlas.intoto.provenance import provenance_of
from airflow_provider_atlas.intoto.statement import PAYLOAD_TYPE, Statement
from airflow_provider_atlas.signing import dsse
from airflow_provider_atlas.signing.dsse import Envelope
from airflow_provider_atlas.signing.signer import Signer
from airflow_provider_atlas.tee.attester import Attester
from airflow_provider_atlas.tee.binding import Binding
from airflow_provider_atlas.tlog.log import DeferringLog, TransparencyLog
from airflow_provider_atlas.tlog.stamper import TimestampAuthority


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealer:
    """A worker's signer, TEE, log and time-stamp authority.

    ``attester`` and ``authority`` are None where none is configured: records then say so. ``deferring`` is the log,
    where it is to sign for records later than it takes them.
    """

    signer: Signer
    attester: Attester | None
    log: TransparencyLog
    authority: TimestampAuthority | None = None
    deferring: DeferringLog | None = None

    def vouch(self, link: Link, start: AttestationBundle | None = None) -> AttestationBundle:
        """Return the record of ``link``, quoted and signed, not yet logged; ``start`` is the record it ends.

        Raises AttesterError when the TEE gives no quote, SigningError when the key refuses.
        """
        payload = link.to_bytes()
        bound = self._quote(link, payload)
        envelopes: dict[Role, Envelope] = {**start.envelopes} if start else {}
        envelopes["link"] = self._sign(payload)
        envelopes["provenance"] = self._sign(provenance_of(link).to_bytes())
        if bound:
            envelopes["tee"] = self._sign(vouching_statement(link.name, envelopes["link"], bound).to_bytes())
        return AttestationBundle(
            envelopes=envelopes,
            public_key=self.signer.public_key,
            bound_evidence=bound,
            receipts=start.receipts if start else {},
        )

    def declare(self, role: Role, statement: Statement) -> AttestationBundle:
        """Return ``statement`` signed, alone in its bundle, not yet logged. Raises SigningError."""
        return AttestationBundle(envelopes={role: self._sign(statement.to_bytes())}, public_key=self.signer.public_key)

    def enter(self, bundle: AttestationBundle) -> AttestationBundle:
        """Return ``bundle`` with a receipt for every envelope, those that had none logged in one commit.

        Raises LogError when the log is away.
        """
        roles = [role for role in bundle.envelopes if role not in bundle.receipts]
        if not roles:
            return bundle
        receipts = self.log.append([log_entry(bundle.envelopes[role], bundle.public_key) for role in roles])
        return replace(bundle, receipts={**bundle.receipts, **dict(zip(roles, receipts, strict=True))})

    def sequence(self, bundle: AttestationBundle) -> Mapping[Role, int]:
        """Return the index in the log that the entry of each envelope of ``bundle`` has from now on.

        Raises LogError when the log is away, or defers nothing.
        """
        if self.deferring is None:
            raise LogError("expected a log that signs for entries later: set [atlas] log_integration = deferred")
        entries = [log_entry(envelope, bundle.public_key) for envelope in bundle.envelopes.values()]
        return dict(zip(bundle.envelopes, self.deferring.sequence(entries), strict=True))

    def stamp(self, bundle: AttestationBundle) -> AttestationBundle:
        """Return ``bundle`` with a time-stamp of the link's signature, where there is an authority and was none.

        Raises TimestampError when the authority is away, or refuses.
        """
        link = bundle.envelopes.get("link")
        if self.authority is None or link is None or "link" in bundle.timestamps:
            return bundle
        return replace(bundle, timestamps={**bundle.timestamps, "link": self.authority.stamp(link.signature)})

    def _quote(self, link: Link, payload: bytes) -> BoundEvidence | None:
        if self.attester is None:
            return None
        binding = Binding(
            purpose="task",
            statement=hashlib.sha256(payload).digest(),
            key=parse_hex(self.signer.public_key.sha256, 32),
            nonce=link.environment.nonce,
            beacon=link.environment.beacon,
        )
        return BoundEvidence(evidence=self.attester.attest(binding.report_data()), binding=binding)

    def _sign(self, payload: bytes) -> Envelope:
        return dsse.sign(payload, PAYLOAD_TYPE, self.signer)
