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
from typing import Any, Literal, cast

from airflow_provider_atlas.encoding import sha256_hex
from airflow_provider_atlas.errors import ConfigError, InclusionError, MalformedError, SignatureError
from airflow_provider_atlas.signing.keys import PublicKey
from airflow_provider_atlas.signing.trust import TrustedFulcio, TrustedIdentity
from airflow_provider_atlas.tee.appraisal import ReferenceValues
from airflow_provider_atlas.tlog.note import VerifierKey
from airflow_provider_atlas.tlog.policy import WitnessPolicy
from airflow_provider_atlas.tlog.timestamp import TrustedAuthority
from airflow_provider_atlas.tlog.trust import Entries, TrustedLog
from airflow_provider_atlas.verify.policy_schema import POLICY_SCHEMA

MAX_POLICY_SIZE = 1 << 20
"""The largest policy that is read, in bytes."""

_ENTRIES: Entries = "hashedrekord 0.0.2"

ArtifactDemand = Literal["required", "present", "ignored"]
"""Artifacts must all be there and the same; those that are there must be the same; nobody looks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedSigner:
    """A key that may sign records, and what people call it."""

    name: str
    key: PublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedTee:
    """Reference values, and the development roots (SHA-256 of the certificate, hex) that they are accepted under.

    The roots belong to these values alone: what one simulator measures is nothing to another.
    """

    reference: ReferenceValues
    development_roots: frozenset[str]


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
                return authority.check(timestamp, signature)
            except (MalformedError, SignatureError) as error:
                reasons.append(str(error))
        raise InclusionError("; ".join(dict.fromkeys(reasons)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A policy as parsed; ``sha256`` (hex) is of the bytes it was parsed from, so that a report names exactly them.

    ``signers`` are known by their keys, ``identities`` by their certificates. ``tees`` are those that are
    accepted; none means that evidence is not asked for. With ``evidence_required`` a record without evidence fails.
    ``timestamps`` is None where nobody asks for time-stamps.
    """

    name: str
    sha256: str
    signers: Sequence[TrustedSigner]
    identities: Sequence[TrustedIdentity]
    logs: Sequence[TrustedLog]
    tees: Sequence[AcceptedTee]
    evidence_required: bool
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
        document = _load(content)
        try:
            return cls._of(document, sha256_hex(content))
        except MalformedError as error:
            raise ConfigError(f"the policy is not usable: {error}") from error

    @classmethod
    def _of(cls, document: Mapping[str, Any], sha256: str) -> "Policy":
        tee, records = document.get("tee", {}), document.get("records", {})
        return cls(
            name=document["name"],
            sha256=sha256,
            signers=[
                TrustedSigner(name=item["name"], key=PublicKey.from_pem(item["public_key"].encode("utf-8")))
                for item in document["signers"]
                if "public_key" in item
            ],
            identities=_identities(document),
            logs=[_log(item) for item in document["logs"]],
            tees=[_accepted(item) for item in tee.get("accept", [])],
            evidence_required=tee.get("evidence") == "required",
            start_required=records.get("start", "optional") == "required",
            manifest_required=records.get("manifest", "required") == "required",
            artifacts=cast("ArtifactDemand", document.get("artifacts", "present")),
            timestamps=_timestamps(document["timestamps"]) if "timestamps" in document else None,
        )

    @property
    def development_roots(self) -> frozenset[str]:
        """Every development root that some TEE is accepted under."""
        return frozenset(root for tee in self.tees for root in tee.development_roots)

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


def _accepted(item: Mapping[str, Any]) -> AcceptedTee:
    roots = frozenset(item.get("development_roots", []))
    reference = ReferenceValues(
        tees=frozenset({item["tee"]}),
        measurements={name: frozenset(values) for name, values in item["measurements"].items()},
        tcb_status=frozenset(item.get("tcb_status", ["UpToDate"])),
        allow_development=bool(roots),
    )
    return AcceptedTee(reference=reference, development_roots=roots)


def _timestamps(item: Mapping[str, Any]) -> TimestampDemand:
    return TimestampDemand(
        authorities=[
            TrustedAuthority.from_pem(authority["name"], authority["certificates"].encode("utf-8"))
            for authority in item["authorities"]
        ],
        within=timedelta(seconds=item["within"]),
        required=item["link"] == "required",
    )


def _load(content: bytes) -> Mapping[str, Any]:
    import jsonschema
    import yaml

    if len(content) > MAX_POLICY_SIZE:
        raise ConfigError(f"the policy is larger than {MAX_POLICY_SIZE} bytes")
    try:
        document = yaml.load(content.decode("utf-8"), Loader=_strict_loader())  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"the policy is not YAML: {' '.join(str(error).split())[:300]}") from error
    validator = jsonschema.Draft202012Validator(cast("Mapping[str, Any]", POLICY_SCHEMA))
    problem = jsonschema.exceptions.best_match(validator.iter_errors(document))
    if problem is not None:
        where = ".".join(map(str, problem.absolute_path)) or "the policy"
        raise ConfigError(f"the policy is not usable: {where}: {problem.message[:300]}")
    return cast("Mapping[str, Any]", document)


def _strict_loader() -> Any:  # noqa: ANN401 - yaml has no type for a loader class
    import yaml

    class StrictLoader(yaml.SafeLoader):
        """YAML without aliases (which can be made to explode) and without repeated keys (the last would win)."""

        def compose_node(self, parent: Any, index: Any) -> Any:  # noqa: ANN401 - yaml's own signature
            if self.check_event(yaml.events.AliasEvent):
                raise yaml.YAMLError("aliases are not allowed in a policy")
            return super().compose_node(parent, index)

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:  # noqa: ANN401
            mapping = super().construct_mapping(node, deep=deep)
            if len(mapping) != len(node.value):
                raise yaml.YAMLError(f"a key is given twice{node.start_mark}")
            return mapping

    return StrictLoader


def starting_policy(
    *,
    name: str,
    signers: Mapping[str, PublicKey],
    logs: Sequence[TrustedLog],
    tee: Mapping[str, Any] | None = None,
    start: Literal["required", "optional"] = "optional",
) -> bytes:
    """Return a policy that trusts ``signers`` and ``logs``, as YAML for people to go on from.

    ``tee`` is one entry of ``tee.accept``; without it no evidence is
    asked for.
    """
    import yaml

    document: dict[str, Any] = {
        "version": 1,
        "name": name,
        "signers": [{"name": who, "public_key": key.pem} for who, key in signers.items()],
        "logs": list(map(_item_of, logs)),
        **({"tee": {"evidence": "required", "accept": [dict(tee)]}} if tee else {}),
        "records": {"manifest": "required", "start": start},
        "artifacts": "present",
    }
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1000)
    return text.encode("utf-8")
