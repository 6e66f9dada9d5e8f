"""A policy: what a relying party trusts, and what it asks of a run. YAML, strictly by ``policy_schema``.

::

    version: 1
    name: production
    signers:
      - name: workers
        public_key: |
          -----BEGIN PUBLIC KEY-----
          …
      - name: workers without keys
        identity: https://cluster.example/ns/airflow/sa/worker
        issuer: https://oidc.cluster.example
        fulcio:
          certificates: |
            -----BEGIN CERTIFICATE-----
            …
          ct_keys:
            - |
              -----BEGIN PUBLIC KEY-----
              …
    logs:
      - origin: atlas.example.org/log
        key: atlas.example.org/log+3f2a…+AR8…
        witnesses: |
          witness one w1.example+c74f20a3+BBpc2QcU…
          witness two w2.example+2ab9e1f4+BKx8pZ0d…
          group both all one two
          quorum both
    tee:
      evidence: required
      accept:
        - tee: tdx
          tcb_status: [UpToDate]
          measurements: {mrtd: [9f2c…], rtmr0: […]}
    timestamps:
      link: required
      within: 3600
      authorities:
        - name: our own
          certificates: |
            -----BEGIN CERTIFICATE-----
            …
    records: {manifest: required, start: required}
    artifacts: present

See: ``docs/format.md`` §9, ``docs/policy.schema.json``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Literal, cast

from airflow_provider_atlas.encoding import sha256_hex
from airflow_provider_atlas.errors import ConfigError, InclusionError, MalformedError, SignatureError
from airflow_provider_atlas.signing.keys import PublicKey
from airflow_provider_atlas.signing.trust import TrustedFulcio, TrustedIdentity
from airflow_provider_atlas.tlog.note import VerifierKey
from airflow_provider_atlas.tlog.policy import WitnessPolicy
from airflow_provider_atlas.tlog.timestamp import TrustedAuthority
from airflow_provider_atlas.tlog.trust import Entries, TrustedLog
from airflow_provider_atlas.verify.policy_schema import POLICY_SCHEMA
from airflow_provider_atlas.verify.strict_yaml import load
from airflow_provider_atlas.verify.tee_policy import TeePolicy

_ENTRIES: Entries = "hashedrekord 0.0.2"

ArtifactDemand = Literal["required", "present", "ignored"]
"""Artifacts must all be there and the same; those that are there must be the same; nobody looks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedSigner:
    """A key that may sign records, and what people call it."""

    name: str
    key: PublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class TimestampDemand:
    """Who may say when a link was signed, and how long after the end of its task that may be.

    With ``required`` a record without a time-stamp fails.
    """

    authorities: Sequence[TrustedAuthority]
    within: timedelta
    required: bool

    def moment_of(self, timestamp: bytes, signature: bytes) -> datetime:
        """Return when one of the authorities saw ``signature``. Raises InclusionError when none of them did."""
        reasons: list[str] = []
        for authority in self.authorities:
            try:
                return _seen(authority, timestamp, signature)
            except (MalformedError, SignatureError) as error:
                reasons.append(str(error))
        raise InclusionError("; ".join(dict.fromkeys(reasons)))


@lru_cache(maxsize=4096)
def _seen(authority: TrustedAuthority, timestamp: bytes, signature: bytes) -> datetime:
    # Three questions ask it of each record. What raises is asked again.
    return authority.check(timestamp, signature)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A policy as parsed; ``sha256`` (hex) is of the bytes it was parsed from, so that a report names exactly them.

    ``signers`` are known by their keys, ``identities`` by their certificates; ``attested_signers`` are names for keys
    that nobody listed: those that a session vouches for. ``tee`` says what is accepted of evidence. ``timestamps`` is
    None where nobody asks for time-stamps.
    """

    name: str
    sha256: str
    signers: Sequence[TrustedSigner]
    attested_signers: Sequence[str]
    identities: Sequence[TrustedIdentity]
    logs: Sequence[TrustedLog]
    tee: TeePolicy
    start_required: bool
    manifest_required: bool
    artifacts: ArtifactDemand
    timestamps: TimestampDemand | None

    @classmethod
    def parse(cls, content: bytes) -> "Policy":
        """Return the policy in ``content``, YAML in UTF-8.

        Raises ConfigError, with one sentence that says where and what, when it is no policy: an unknown or repeated
        key, a key or a digest that cannot be read.
        """
        document = load(content, POLICY_SCHEMA)
        try:
            return cls._of(document, sha256_hex(content))
        except MalformedError as error:
            raise ConfigError(f"the policy is not usable: {error}") from error

    @classmethod
    def _of(cls, document: Mapping[str, Any], sha256: str) -> "Policy":
        records = document.get("records", {})
        _check_sessions(document)
        policy = cls(
            name=document["name"],
            sha256=sha256,
            signers=[
                TrustedSigner(name=item["name"], key=PublicKey.from_pem(item["public_key"].encode("utf-8")))
                for item in document["signers"]
                if "public_key" in item
            ],
            attested_signers=[item["name"] for item in document["signers"] if "attested" in item],
            identities=_identities(document),
            logs=[_log(item) for item in document["logs"]],
            tee=TeePolicy.parse(document.get("tee", {}), sha256),
            start_required=records.get("start", "optional") == "required",
            manifest_required=records.get("manifest", "required") == "required",
            artifacts=cast("ArtifactDemand", document.get("artifacts", "present")),
            timestamps=_timestamps(document["timestamps"]) if "timestamps" in document else None,
        )
        if policy.tee.at == "attested" and not (policy.timestamps and policy.timestamps.required):
            raise MalformedError(
                "expected timestamps.link: required, since tee.at: attested trusts nobody else's clock"
            )
        return policy

    @property
    def is_witnessed(self) -> bool:
        """Whether every log that counts must have its checkpoints cosigned by a quorum of witnesses."""
        return all(log.is_witnessed for log in self.logs)

    def signer(self, key: PublicKey) -> TrustedSigner | None:
        """Return who ``key`` is to this policy, or None for a stranger."""
        return next((signer for signer in self.signers if signer.key == key), None)

    def log(self, origin: str) -> TrustedLog | None:
        """Return the trusted log of that ``origin``, or None."""
        return next((log for log in self.logs if log.origin == origin), None)


def _identities(document: Mapping[str, Any]) -> Sequence[TrustedIdentity]:
    identities = [_identity(item) for item in document["signers"] if "identity" in item]
    if identities and "timestamps" not in document:
        raise MalformedError(
            f"expected timestamps beside the identity {identities[0].identity}: its certificates hold for minutes, and "
            "an authority must say that they did"
        )
    return identities


def _identity(item: Mapping[str, Any]) -> TrustedIdentity:
    fulcio = item["fulcio"]
    return TrustedIdentity(
        name=item["name"],
        identity=item["identity"],
        issuer=item["issuer"],
        fulcio=TrustedFulcio.from_pem(
            fulcio["certificates"].encode("utf-8"), [key.encode("utf-8") for key in fulcio["ct_keys"]]
        ),
    )


def _log(item: Mapping[str, Any]) -> TrustedLog:
    key = VerifierKey.parse(item["key"])
    entries = item.get("entries", _ENTRIES)
    if "witnesses" not in item:
        return TrustedLog(origin=item["origin"], key=key, entries=entries)
    witnesses = WitnessPolicy.parse(item["witnesses"].encode("utf-8"))
    if witnesses.logs and key not in [log.key for log in witnesses.logs]:
        raise MalformedError(f"expected the log lines among the witnesses of {item['origin']} to name its key")
    if any(witness.key.public_key == key.public_key for witness in witnesses.witnesses):
        raise MalformedError(f"expected no witness of {item['origin']} to have the log's own key")
    return TrustedLog(origin=item["origin"], key=key, witnesses=witnesses, entries=entries)


def _item_of(log: TrustedLog) -> Mapping[str, str]:
    item = {"origin": log.origin, "key": str(log.key)}
    if log.entries != _ENTRIES:
        item["entries"] = log.entries
    return {**item, "witnesses": log.witnesses.to_text()} if log.witnesses else item


def _check_sessions(document: Mapping[str, Any]) -> None:
    """Refuse what asks for sessions, and could never be answered well."""
    tee = document.get("tee", {})
    if "session" not in tee.get("modes", ["task"]):
        if "session_max_age" in tee or any("attested" in item for item in document["signers"]):
            raise MalformedError("expected 'session' among tee.modes, for signers that a session attests and its age")
    elif "session_max_age" in tee and "timestamps" not in document:
        raise MalformedError("expected timestamps with tee.session_max_age: nothing else tells the age of a session")


def _timestamps(item: Mapping[str, Any]) -> TimestampDemand:
    return TimestampDemand(
        authorities=[
            TrustedAuthority.from_pem(authority["name"], authority["certificates"].encode("utf-8"))
            for authority in item["authorities"]
        ],
        within=timedelta(seconds=item["within"]),
        required=item["link"] == "required",
    )


def starting_policy(
    *,
    name: str,
    signers: Mapping[str, PublicKey],
    logs: Sequence[TrustedLog],
    tee: Mapping[str, Any] | None = None,
    start: Literal["required", "optional"] = "optional",
) -> bytes:
    """Return a policy that trusts ``signers`` and ``logs``, as YAML for people to go on from.

    ``tee`` is the section of that name; without it no evidence is asked for. Where it takes sessions, the keys that
    these vouch for are trusted too.
    """
    import yaml

    attested = [{"name": "sessions", "attested": "session"}] if tee and "session" in tee.get("modes", ()) else []
    document: dict[str, Any] = {
        "version": 1,
        "name": name,
        "signers": [*({"name": who, "public_key": key.pem} for who, key in signers.items()), *attested],
        "logs": list(map(_item_of, logs)),
        **({"tee": dict(tee)} if tee else {}),
        "records": {"manifest": "required", "start": start},
        "artifacts": "present",
    }
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1000)
    return text.encode("utf-8")
