"""``atlas export --format sigstore``: each logged envelope as a Sigstore bundle, and whom to trust beside them.

::

    train[0].1.link.sigstore.json   the link of the first try of train[0]; so for start, provenance and tee
    manifest.sigstore.json          how the run ended
    trusted_root.json               the logs and authorities that the policy trusts
    1f0c….pub                       a key that the policy trusts, by the SHA-256 of its SubjectPublicKeyInfo; PEM

What is written here was verified: signatures, keys and logs by the policy, before a first file is there.
"""

from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from airflow_provider_atlas.artifacts.archive import Archive
from airflow_provider_atlas.bundle import AttestationBundle, Role
from airflow_provider_atlas.cli.arguments import empty_folder, read_file, run_folder, write_file
from airflow_provider_atlas.cli.output import Output
from airflow_provider_atlas.encoding import JsonObject
from airflow_provider_atlas.errors import ConfigError, MalformedError, MissingError, SignatureError
from airflow_provider_atlas.signing.certificate import Certificate
from airflow_provider_atlas.signing.keys import PublicKey
from airflow_provider_atlas.sigstore.bundle import SigstoreBundle
from airflow_provider_atlas.sigstore.trusted_root import TrustedRoot
from airflow_provider_atlas.verify.policy import Policy
from airflow_provider_atlas.verify.record_checks import Judge, check_signature
from airflow_provider_atlas.wiring import archives
from airflow_provider_atlas.wiring.runs import judge_by

TRUSTED_ROOT = "trusted_root.json"
"""The name of the trusted root in an exported folder."""

SUFFIX = ".sigstore.json"
"""What the name of a Sigstore bundle ends in, by Sigstore's own custom."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What a run's folder holds: by file name the envelopes with their receipts; and those that no log has."""

    logged: Mapping[str, tuple[AttestationBundle, Role]]
    unlogged: Sequence[str]


def run(options: Namespace) -> int:
    """Export a run, and say what was written."""
    output = Output(json=options.json)
    policy = _policy(options)
    found = _find(archives.open_run(str(run_folder(options))))
    judge = judge_by(policy, at=datetime.now(UTC))
    bundles = {f"{name}{SUFFIX}": _verified(name, *place, judge) for name, place in found.logged.items()}
    # Also those that the policy trusts for a session's evidence: what is left out of it is not exported.
    attested = [bundle.public_key for bundle, _ in found.logged.values() if bundle.certificate is None]
    trusted = [*(signer.key for signer in policy.signers), *attested]
    keys = {f"{key.sha256}.pub": key.pem.encode("ascii") for key in trusted}
    folder = empty_folder(options.out)
    for name, content in keys.items():
        write_file(folder / name, content)
    for name, bundle in bundles.items():
        write_file(folder / name, bundle.to_bytes())
    # Last: a folder whose export was cut short has no root, and nothing in it verifies.
    write_file(folder / TRUSTED_ROOT, _root(policy).to_bytes())
    _report(output, str(folder), sorted(bundles), sorted(keys), found.unlogged)
    return 0


def _policy(options: Namespace) -> Policy:
    # The bundles' own word on keys and logs would be a root of trust that whoever made them chose.
    if options.policy is None:
        raise ConfigError("name whose keys and logs the tools shall trust with --policy FILE")
    return Policy.parse(read_file(options.policy, "the policy"))


def _root(policy: Policy) -> TrustedRoot:
    fulcios = [identity.fulcio for identity in policy.identities]
    return TrustedRoot(
        logs=[log.key for log in policy.logs],
        authorities=policy.timestamps.authorities if policy.timestamps else (),
        fulcios=list(dict.fromkeys(tuple(fulcio.certificates) for fulcio in fulcios)),
        ct_keys=list(dict.fromkeys(key for fulcio in fulcios for key in fulcio.ct_keys)),
    )


def _find(run: Archive) -> _Found:
    logged: dict[str, tuple[AttestationBundle, Role]] = {}
    unlogged: list[str] = []
    for stem, bundle in _bundles(run):
        for role in bundle.envelopes:
            name = stem if role == "manifest" else f"{stem}.{role}"
            if role not in bundle.receipts:
                unlogged.append(name)
            elif logged.setdefault(name, (bundle, role))[0].envelopes[role] != bundle.envelopes[role]:
                raise MalformedError(f"the run cannot be exported whole: it has two of {name}, and they differ")
    if not logged:
        raise MissingError("nothing of the run is logged: expected bundles with receipts in it")
    # A start lies alone until its task ends, and may have reached the log after that.
    return _Found(logged, [name for name in unlogged if name not in logged])


def _bundles(run: Archive) -> Iterator[tuple[str, AttestationBundle]]:
    for name in run.list(()):
        if name.startswith("manifest.") and name.endswith(".bundle.json"):
            yield name.removesuffix(".bundle.json"), _read(run, (name,))
    for segment in run.list(("tasks",)):
        for name in run.list(("tasks", segment)):
            number, _, kind = name.partition(".")
            if kind in ("bundle.json", "start.json"):
                yield f"{segment}.{number}", _read(run, ("tasks", segment, name))


def _read(run: Archive, path: Sequence[str]) -> AttestationBundle:
    try:
        return AttestationBundle.parse(run.get(path))
    except MalformedError as error:
        raise MalformedError(f"the run cannot be exported whole: {'/'.join(path)}: {error}") from error


def _verified(name: str, bundle: AttestationBundle, role: Role, judge: Judge) -> SigstoreBundle:
    policy = judge.policy
    receipt = bundle.receipts[role]
    log = policy.log(receipt.checkpoint.origin)
    signer = _trusted_signer(name, bundle, role, judge)
    if log is None:
        raise SignatureError(f"{name}: expected a log that the policy trusts, not {receipt.checkpoint.origin}")
    exported = SigstoreBundle.of(bundle.envelopes[role], signer, receipt, log)
    return replace(exported, timestamp=_trusted_timestamp(bundle, role, policy))


def _trusted_signer(name: str, bundle: AttestationBundle, role: Role, judge: Judge) -> PublicKey | Certificate:
    try:
        check_signature(bundle, judge)
    except SignatureError as error:
        raise SignatureError(f"{name}: expected a key that the policy trusts: {error}") from error
    return bundle.certificate_of(role) or bundle.public_key


def _trusted_timestamp(bundle: AttestationBundle, role: Role, policy: Policy) -> bytes | None:
    # A tool refuses a bundle whose time-stamp is of an authority that its root has not.
    timestamp = bundle.timestamps.get(role)
    if timestamp is None or policy.timestamps is None:
        return None
    policy.timestamps.moment_of(timestamp, bundle.envelopes[role].signature)
    return timestamp


def _report(output: Output, folder: str, bundles: Sequence[str], keys: Sequence[str], unlogged: Sequence[str]) -> None:
    document: JsonObject = {
        "bundles": [f"{folder}/{name}" for name in bundles],
        "keys": [f"{folder}/{name}" for name in keys],
        "trusted_root": f"{folder}/{TRUSTED_ROOT}",
        "unlogged": sorted(unlogged),
    }
    output.say(f"{len(bundles)} Sigstore bundles are in {folder}, with the keys (*.pub) and the logs ({TRUSTED_ROOT})")
    output.say("that your policy trusts. A tool finds the key by the bundle's hint: the base64 of its SHA-256.")
    for name in sorted(unlogged):
        output.remark(f"{name} is in no log yet, and no tool would accept it: it was left out.")
    output.document(document)
