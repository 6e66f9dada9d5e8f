"""Seal: from a link to a bundle that anyone can verify offline. Statement → quote → signature → log → time-stamp.

In a session (``attest.session``) the quote was made before, for the key; in a batch it is made for many at once.

What a short-lived certificate signs is worth nothing without the word of somebody else that it held then. So it is
shown to the time-stamp authority as it is signed, before anything else: a record without that word is not begun.

Each step takes what the last one gave, so a record that got half-way is finished from there, by this process or by
a later one (``attest.pending``).
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from airflow_provider_atlas.bundle import AttestationBundle, BoundEvidence, Role, vouching_statement
from airflow_provider_atlas.encoding import parse_hex
from airflow_provider_atlas.errors import AttesterError, LogError, SigningError, TimestampError
from airflow_provider_atlas.intoto.link import Link
from airflow_provider_atlas.intoto.provenance import provenance_of
from airflow_provider_atlas.intoto.statement import PAYLOAD_TYPE, Statement
from airflow_provider_atlas.signing import dsse
from airflow_provider_atlas.signing.certificate import Certificate
from airflow_provider_atlas.signing.dsse import Envelope
from airflow_provider_atlas.signing.signer import KeylessSigner, Signer
from airflow_provider_atlas.tee.attester import Attester
from airflow_provider_atlas.tee.binding import Binding
from airflow_provider_atlas.tlog.log import DeferringLog, TransparencyLog
from airflow_provider_atlas.tlog.stamper import TimestampAuthority


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealer:
    """A worker's signer, TEE, log and time-stamp authority.

    ``attester`` and ``authority`` are None where none is configured: records then say so. In a session, ``session``
    gives what vouches for the key of ``signer``, and raises AttestingError when nothing does. With ``batched`` the
    attester makes one quote for many at once. ``deferring`` is the log, where it is to sign for records later than it
    takes them.
    """

    signer: Signer
    attester: Attester | None
    log: TransparencyLog
    authority: TimestampAuthority | None = None
    session: Callable[[], BoundEvidence] | None = None
    batched: bool = False
    deferring: DeferringLog | None = None

    def vouch(self, link: Link, start: AttestationBundle | None = None) -> AttestationBundle:
        """Return the record of ``link``, quoted and signed, not yet logged; ``start`` is the record it ends.

        Raises AttesterError when the TEE gives no quote, SigningError when the key refuses, or is not the one that
        signed ``start``: a record has one, unless certificates name whose both are. TimestampError when the key has a
        certificate and the authority does not say when it signed.
        """
        key = _KeyInHand.of(self.signer)
        if start is not None and start.certificate is None and start.public_key != key.signer.public_key:
            raise SigningError("expected the key that signed the start record; it ended with its session")
        payload = link.to_bytes()
        bound = self._quote(link, payload, key)
        envelopes: dict[Role, Envelope] = {"link": key.sign(payload)}
        envelopes["provenance"] = key.sign(provenance_of(link).to_bytes())
        if bound:
            envelopes["tee"] = key.sign(vouching_statement(link.name, envelopes["link"], bound).to_bytes())
        bundle = self._shown(key.bundle(envelopes, bound))
        return _joined(start, bundle) if start else bundle

    def declare(self, role: Role, statement: Statement) -> AttestationBundle:
        """Return ``statement`` signed, alone in its bundle, not yet logged. Raises SigningError and TimestampError."""
        key = _KeyInHand.of(self.signer)
        return self._shown(key.bundle({role: key.sign(statement.to_bytes())}))

    def enter(self, bundle: AttestationBundle) -> AttestationBundle:
        """Return ``bundle`` with a receipt for every envelope, those that had none logged in one commit.

        Raises LogError when the log is away.
        """
        roles = [role for role in bundle.envelopes if role not in bundle.receipts]
        if not roles:
            return bundle
        receipts = self.log.append([bundle.log_entry(role) for role in roles])
        return replace(bundle, receipts={**bundle.receipts, **dict(zip(roles, receipts, strict=True))})

    def sequence(self, bundle: AttestationBundle) -> Mapping[Role, int]:
        """Return the index in the log that the entry of each envelope of ``bundle`` has from now on.

        Raises LogError when the log is away, or defers nothing.
        """
        if self.deferring is None:
            raise LogError("expected a log that signs for entries later: set [atlas] log_integration = deferred")
        entries = [bundle.log_entry(role) for role in bundle.envelopes]
        return dict(zip(bundle.envelopes, self.deferring.sequence(entries), strict=True))

    def stamp(self, bundle: AttestationBundle) -> AttestationBundle:
        """Return ``bundle`` with a time-stamp of the link's signature, where there is an authority and was none.

        Raises TimestampError when the authority is away, or refuses.
        """
        link = bundle.envelopes.get("link")
        if self.authority is None or link is None or "link" in bundle.timestamps:
            return bundle
        return replace(bundle, timestamps={**bundle.timestamps, "link": self.authority.stamp(link.signature)})

    def _shown(self, bundle: AttestationBundle) -> AttestationBundle:
        """Return ``bundle`` with a time-stamp of each of its envelopes, where a certificate's key signed them."""
        if bundle.certificate is None:
            return bundle
        if self.authority is None:
            raise TimestampError("expected a time-stamp authority: name it as [atlas] tsa, which a certificate needs")
        authority = self.authority
        stamps = {role: authority.stamp(envelope.signature) for role, envelope in bundle.envelopes.items()}
        return replace(bundle, timestamps=stamps)

    def _quote(self, link: Link, payload: bytes, key: "_KeyInHand") -> BoundEvidence | None:
        if self.session is not None:
            return self.session()
        if self.attester is None:
            return None
        binding = Binding(
            purpose="batch" if self.batched else "task",
            statement=hashlib.sha256(payload).digest(),
            key=parse_hex(key.signer.public_key.sha256, 32),
            nonce=link.environment.nonce,
            beacon=link.environment.beacon,
        )
        evidence = self.attester.attest(binding.report_data())
        if (evidence.batch is not None) != self.batched:
            raise AttesterError("expected a quote of the mode that was asked for: see [atlas] attester_mode")
        return BoundEvidence(evidence=evidence, binding=binding)


@dataclass(frozen=True, slots=True)
class _KeyInHand:
    """The one key that signs all envelopes of a bundle, though its signer may go on to another meanwhile."""

    signer: Signer
    certificate: Certificate | None = None

    @classmethod
    def of(cls, signer: Signer) -> "_KeyInHand":
        if not isinstance(signer, KeylessSigner):
            return cls(signer)
        certified = signer.certified()
        return cls(certified, certified.certificate)

    def sign(self, payload: bytes) -> Envelope:
        return dsse.sign(payload, PAYLOAD_TYPE, self.signer)

    def bundle(self, envelopes: Mapping[Role, Envelope], bound: BoundEvidence | None = None) -> AttestationBundle:
        return AttestationBundle(
            envelopes=envelopes,
            public_key=self.signer.public_key,
            certificate=self.certificate,
            bound_evidence=bound,
        )


def _joined(start: AttestationBundle, end: AttestationBundle) -> AttestationBundle:
    """Return the record ``end`` with the start that it ends, as that was signed, logged and stamped."""
    return replace(
        end,
        envelopes={**start.envelopes, **end.envelopes},
        receipts=start.receipts,
        timestamps={**start.timestamps, **end.timestamps},
        start_certificate=start.certificate if start.certificate != end.certificate else None,
    )
