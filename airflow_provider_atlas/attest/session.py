"""A session: one quote vouches for a key that a worker made in its memory, and the key for every record it signs.

The quote says nothing of the single record. What it says is that the key was born in a machine with these
measurements; whoever gets hold of the key can sign as that machine, until the policy finds the session too old.
"""

from airflow_provider_atlas.bundle import BoundEvidence
from airflow_provider_atlas.encoding import parse_hex
from airflow_provider_atlas.intoto.beacon import Beacon
from airflow_provider_atlas.signing.keys import PublicKey
from airflow_provider_atlas.tee.attester import Attester
from airflow_provider_atlas.tee.binding import Binding, session_nonce
from airflow_provider_atlas.tlog.stamper import TimestampAuthority


def open_session(
    key: PublicKey, attester: Attester, *, beacon: Beacon | None, nonce: bytes, authority: TimestampAuthority | None
) -> BoundEvidence:
    """Return evidence that vouches for ``key``, which nobody may have signed with before.

    ``beacon`` is a checkpoint of the log that was seen before, ``nonce`` 16 random bytes. Where there is an
    ``authority`` its time-stamp of the key takes the nonce's place: nobody could know it earlier, so it says how old
    the session is at most. Raises AttesterError when the TEE gives no quote, TimestampError when the authority gives
    no time-stamp.
    """
    timestamp = authority.stamp(key.spki) if authority is not None else None
    binding = Binding(
        purpose="session",
        statement=None,
        key=parse_hex(key.sha256, 32),
        nonce=nonce if timestamp is None else session_nonce(timestamp),
        beacon=beacon,
    )
    evidence = attester.attest(binding.report_data())
    return BoundEvidence(evidence=evidence, binding=binding, timestamp=timestamp)
