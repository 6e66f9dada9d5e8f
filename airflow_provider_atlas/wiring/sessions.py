"""The attester's mode: a quote for each record, for a worker's session, or for a batch of records.

A session's key is born in this process's memory and is never on a disk. What is forked afterwards inherits it, with
the evidence that vouches for it; what is forked before makes a session of its own at its first signature.
"""

import os
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypedDict

from airflow_provider_atlas.attest.execution import NONCE_SIZE, beacon_of
from airflow_provider_atlas.attest.seal import Sealer
from airflow_provider_atlas.attest.session import open_session
from airflow_provider_atlas.bundle import BoundEvidence
from airflow_provider_atlas.settings import Settings
from airflow_provider_atlas.signing.keys import PublicKey
from airflow_provider_atlas.signing.signer import Signer
from airflow_provider_atlas.tee.attester import Attester
from airflow_provider_atlas.tlog.log import DeferringLog, TransparencyLog
from airflow_provider_atlas.tlog.stamper import TimestampAuthority
from airflow_provider_atlas.wiring import logs


@dataclass(frozen=True, slots=True)
class _Opened:
    signer: Signer
    evidence: BoundEvidence


class Session:
    """A ``Signer`` whose key is made, and vouched for, when it is first asked for.

    Every method raises AttesterError when the TEE gives no quote, LogError when the log shows no beacon, TimestampError
    when the authority gives no time-stamp. The next call tries again, with another key.
    """

    def __init__(self, attester: Attester, log: TransparencyLog, authority: TimestampAuthority | None) -> None:
        self._attester = attester
        self._log = log
        self._authority = authority
        self._once = threading.Lock()
        self._process = os.getpid()

    @property
    def public_key(self) -> PublicKey:
        """The public half of the session's key."""
        return self._get().signer.public_key

    def sign(self, message: bytes) -> bytes:
        """Return the signature of ``message`` by the session's key, in DER."""
        return self._get().signer.sign(message)

    def evidence(self) -> BoundEvidence:
        """Return what vouches for the session's key."""
        return self._get().evidence

    def _get(self) -> _Opened:
        if self._process != os.getpid():
            # Forked while another thread of the parent was making the session, the lock would stay taken for ever.
            self._process, self._once = os.getpid(), threading.Lock()
        with self._once:
            return self._opened

    @cached_property
    def _opened(self) -> _Opened:
        from airflow_provider_atlas.signing.backends.memory_key import MemoryKeySigner

        signer = MemoryKeySigner.generate()
        evidence = open_session(
            signer.public_key,
            self._attester,
            beacon=beacon_of(self._log.latest()),
            nonce=secrets.token_bytes(NONCE_SIZE),
            authority=self._authority,
        )
        return _Opened(signer, evidence)


class _Parts(TypedDict):
    log: TransparencyLog
    authority: TimestampAuthority | None
    deferring: DeferringLog | None


def sealer(
    settings: Settings,
    *,
    signer: Callable[[], Signer],
    attester: Attester | None,
    log: TransparencyLog,
    authority: TimestampAuthority | None = None,
) -> Sealer:
    """Return a sealer in the ``attester_mode`` of ``settings``.

    ``signer`` opens the configured key, and raises what that raises. In a session it is not asked: the session's key
    signs, and the configured one need not be on this machine.
    """
    parts: _Parts = {"log": log, "authority": authority, "deferring": logs.deferring_log(settings, log)}
    if attester is not None and settings.attester_mode == "session":
        session = Session(attester, log, authority)
        return Sealer(signer=session, attester=attester, session=session.evidence, **parts)
    if attester is not None and settings.attester_mode == "batch":
        return Sealer(signer=signer(), attester=_batching(settings, attester), batched=True, **parts)
    return Sealer(signer=signer(), attester=attester, **parts)


def _batching(settings: Settings, attester: Attester) -> Attester:
    if settings.attester.startswith("helper:"):
        return attester  # its server makes the batches, of all processes that ask it
    from airflow_provider_atlas.tee.backends.batching import BatchingAttester

    return BatchingAttester(attester)
