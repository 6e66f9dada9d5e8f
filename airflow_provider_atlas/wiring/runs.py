"""Archives of runs, and what judges them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from airflow_provider_atlas.artifacts.archive import Archive, RunFolder, run_path
from airflow_provider_atlas.errors import ConfigError
from airflow_provider_atlas.settings import Settings
from airflow_provider_atlas.signing.trust import TrustedIdentity
from airflow_provider_atlas.tee.evidence import Endorsements
from airflow_provider_atlas.verify.identity_policy import IdentityTrust, trusting_identity
from airflow_provider_atlas.verify.policy import Policy, starting_policy
from airflow_provider_atlas.verify.record_checks import Judge
from airflow_provider_atlas.verify.records import load_run
from airflow_provider_atlas.verify.report import VerificationReport
from airflow_provider_atlas.verify.run import Gate, verify_run
from airflow_provider_atlas.wiring import archives, logs, references, signers, tees


def judge_by(policy: Policy, *, at: datetime, fresh: Sequence[Endorsements] = ()) -> Judge:
    """Return what judges records by ``policy`` at the moment ``at``, with ``fresh`` endorsements of that moment."""
    return Judge(policy=policy, verifiers=tees.evidence_verifiers(), at=at, fresh=fresh)


def verify_run_folder(
    run: Archive,
    policy: Policy,
    *,
    at: datetime,
    gate: Gate | None = None,
    wanted: tuple[str, str] | None = None,
    fresh: Sequence[Endorsements] = (),
) -> VerificationReport:
    """Return the report on the run whose folder ``run`` is rooted at, by ``policy`` at the moment ``at``.

    ``fresh`` endorsements, of that moment, tell what a vendor says of the platforms then.
    Raises MissingError when there is no run in it, ArchiveError when it cannot be read.
    """
    judge = judge_by(policy, at=at, fresh=fresh)
    return verify_run(load_run(run, wanted), judge, store=archives.artifact_store(), gate=gate)


def verify_archive(
    archive: Archive, dag_id: str, run_id: str, policy: Policy, *, at: datetime, gate: Gate | None = None
) -> VerificationReport:
    """Return the report on a run of ``archive``: see ``verify_run_folder``."""
    run = RunFolder(archive, run_path(dag_id, run_id))
    return verify_run_folder(run, policy, at=at, gate=gate, wanted=(dag_id, run_id))


def policy_for(settings: Settings, *, name: str, trust: IdentityTrust | None = None) -> bytes:
    """Return a policy (YAML) that trusts what ``settings`` attest with, made now where it is made at first use.

    For a signer that Fulcio certifies, ``trust`` says whose word on its identity counts, which is asked for now. With
    a simulated TEE it accepts that simulator's own root, by name. Start records are asked for in ``enforce``, and
    witnesses where the log publishes nothing without them. Raises ConfigError for a ``trust`` too little or too much,
    and for a TEE of whose evidence no policy can be made.
    """
    keyless = signers.is_keyless(settings)
    if trust is not None and not keyless:
        raise ConfigError(f"[atlas] signer is {settings.signer}, whose key needs no certificates: leave them out")
    policy = starting_policy(
        name=name,
        signers={} if keyless else {settings.deployment: signers.signer(settings).public_key},
        logs=[logs.trusted_log(settings)],
        tee=_accepted(settings),
        start="required" if settings.mode == "enforce" else "optional",
    )
    return _trusting_worker(policy, settings, trust) if keyless else policy


def _accepted(settings: Settings) -> Mapping[str, Any] | None:
    reference = references.reference_of(tees.attester(settings))
    # A policy takes no other mode unless it says so; and the usual one needs no word.
    modes = {} if settings.attester_mode == "task" else {"modes": [settings.attester_mode]}
    return {"evidence": "required", **modes, "accept": [reference]} if reference else None


def _trusting_worker(policy: bytes, settings: Settings, trust: IdentityTrust | None) -> bytes:
    if trust is None:
        raise ConfigError(
            "whom Fulcio certifies is trusted by somebody's word: name --fulcio-certificates, --ct-key and "
            "--tsa-certificates"
        )
    own = signers.certificate_of_worker(settings)
    worker = TrustedIdentity(name=settings.deployment, identity=own.identity, issuer=own.issuer, fulcio=trust.fulcio)
    return trusting_identity(policy, worker, trust.authority)
