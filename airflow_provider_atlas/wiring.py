"""The composition root: settings → parts. The only module that knows the backends; a URI's scheme picks one."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from airflow_provider_atlas.artifacts.archive import Archive, RunFolder, run_path
from airflow_provider_atlas.artifacts.spool import Spool
from airflow_provider_atlas.artifacts.store import ArtifactStore
from airflow_provider_atlas.attest.seal import Sealer
from airflow_provider_atlas.errors import ConfigError
from airflow_provider_atlas.settings import Settings, path_of
from airflow_provider_atlas.signing.keys import PublicKey
from airflow_provider_atlas.signing.signer import Signer
from airflow_provider_atlas.tee.attester import Attester, EvidenceVerifier
from airflow_provider_atlas.tlog.checkpoint import Checkpoint
from airflow_provider_atlas.tlog.log import TransparencyLog
from airflow_provider_atlas.tlog.note import VerifierKey
from airflow_provider_atlas.tlog.reader import LogReader
from airflow_provider_atlas.verify.policy import Policy, starting_policy
from airflow_provider_atlas.verify.record_checks import Judge
from airflow_provider_atlas.verify.records import load_run
from airflow_provider_atlas.verify.report import VerificationReport
from airflow_provider_atlas.verify.run import Gate, verify_run


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """What a worker attests with."""

    settings: Settings
    sealer: Sealer
    archive: Archive
    store: ArtifactStore
    spool: Spool


def worker(settings: Settings) -> Worker:
    """Return the parts that ``settings`` name, opened; default keys, log and folders are made at first use.

    Raises ConfigError for a setting that names nothing usable, and the error of the part that cannot be opened.
    """
    return Worker(
        settings=settings,
        sealer=Sealer(signer=signer(settings), attester=attester(settings), log=transparency_log(settings)),
        archive=open_archive(path_of(settings.archive, "file", "archive")),
        store=artifact_store(),
        spool=spool(settings),
    )


def signer(settings: Settings) -> Signer:
    """Return the signer of tasks. Raises ConfigError when its key cannot be used."""
    from airflow_provider_atlas.signing.backends.key_file import KeyFileSigner

    path = Path(path_of(settings.signer, "file", "signer"))
    return KeyFileSigner.load_or_create(path) if "signer" in settings.made_keys else KeyFileSigner.load(path)


def attester(settings: Settings) -> Attester | None:
    """Return the worker's TEE, or None where the setting says ``none:``. A simulator is never chosen by default."""
    scheme, _, _ = settings.attester.partition(":")
    if scheme == "none":
        return None
    if scheme != "simulated":
        raise ConfigError(f"[atlas] attester is {settings.attester!r}; expected none: or simulated:/an/absolute/path")
    from airflow_provider_atlas.tee.backends.simulated import SimulatedAttester

    return SimulatedAttester(Path(path_of(settings.attester, "simulated", "attester")))


def transparency_log(settings: Settings) -> TransparencyLog:
    """Return the log. Raises ConfigError or LogError when it, or its key, cannot be used."""
    if _is_shared(settings.log):
        return _shared_log(settings)
    from airflow_provider_atlas.tlog.backends.posix import PosixLog

    folder = Path(path_of(settings.log, "posix", "log"))
    return PosixLog(folder, settings.log_origin, _log_key(settings))


def _is_shared(place: str) -> bool:
    return place.startswith(("s3://", "postgresql://"))


def _shared_log(settings: Settings) -> TransparencyLog:
    if "log_signer" in settings.made_keys:
        raise ConfigError("[atlas] log_signer must name the log's key, which all hosts that share the log have")
    key, seen = _log_key(settings), Path(settings.home) / "seen"
    with _extras_installed():
        if settings.log.startswith("s3://"):
            from airflow_provider_atlas.tlog.backends.object_store import ObjectStoreLog

            return ObjectStoreLog(settings.log, settings.log_origin, key, seen=seen)
        from airflow_provider_atlas.tlog.backends.postgres import PostgresLog

        return PostgresLog(settings.log, settings.log_origin, key, seen=seen)


@contextmanager
def _extras_installed() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        extra = {"obstore": "s3", "psycopg": "postgres"}.get(error.name or "")
        if extra is None:
            raise
        raise ConfigError(f"such a log needs {error.name}: install airflow-provider-atlas[{extra}]") from error


def _log_key(settings: Settings) -> Any:  # noqa: ANN401 - the key's type is the backend's own business
    from airflow_provider_atlas.tlog.backends import log_key

    path = Path(path_of(settings.log_signer, "file", "log_signer"))
    return log_key.load_or_create(path) if "log_signer" in settings.made_keys else log_key.load(path)


def spool(settings: Settings) -> Spool:
    """Return the worker's spool."""
    from airflow_provider_atlas.artifacts.backends.folder_spool import FolderSpool

    return FolderSpool(Path(path_of(settings.spool, "file", "spool")))


def artifact_store() -> ArtifactStore:
    """Return the store that reads artifacts: files of this machine."""
    from airflow_provider_atlas.artifacts.backends.file import FileStore

    return FileStore()


def open_archive(folder: str) -> Archive:
    """Return the archive in ``folder``."""
    from airflow_provider_atlas.artifacts.backends.folder_archive import FolderArchive

    return FolderArchive(Path(folder))


def open_run(folder: str) -> Archive:
    """Return an archive rooted at the run folder ``folder``, which may have come from a stranger."""
    from airflow_provider_atlas.artifacts.backends.folder_archive import FolderArchive

    return FolderArchive.at(Path(folder))


def evidence_verifiers() -> Mapping[str, EvidenceVerifier]:
    """Return the verifiers of evidence, by TEE."""
    from airflow_provider_atlas.tee.backends.dcap import DcapVerifier

    return {"tdx": DcapVerifier()}


def verify_run_folder(
    run: Archive, policy: Policy, *, at: datetime, gate: Gate | None = None, wanted: tuple[str, str] | None = None
) -> VerificationReport:
    """Return the report on the run whose folder ``run`` is rooted at, by ``policy`` at the moment ``at``.

    Raises MissingError when there is no run in it, ArchiveError when it cannot be read.
    """
    judge = Judge(policy=policy, verifiers=evidence_verifiers(), at=at)
    return verify_run(load_run(run, wanted), judge, store=artifact_store(), gate=gate)


def verify_archive(
    archive: Archive, dag_id: str, run_id: str, policy: Policy, *, at: datetime, gate: Gate | None = None
) -> VerificationReport:
    """Return the report on a run of ``archive``: see ``verify_run_folder``."""
    run = RunFolder(archive, run_path(dag_id, run_id))
    return verify_run_folder(run, policy, at=at, gate=gate, wanted=(dag_id, run_id))


def policy_for(settings: Settings, *, name: str) -> bytes:
    """Return a policy (YAML) that trusts what ``settings`` attest with, made now where it is made at first use.

    With a simulated TEE it accepts that simulator's own root, by name. Start records are asked for in ``enforce``.
    """
    return starting_policy(
        name=name,
        signers={settings.deployment: signer(settings).public_key},
        logs={settings.log_origin: log_verifier_key(settings)},
        tee=_reference_of(attester(settings)),
        start="required" if settings.mode == "enforce" else "optional",
    )


def log_verifier_key(settings: Settings) -> VerifierKey:
    """Return the key that verifies the log's checkpoints. Raises ConfigError or LogError when there is none."""
    return VerifierKey.of(settings.log_origin, _log_key(settings))


def _reference_of(tee: Attester | None) -> Mapping[str, Any] | None:
    from airflow_provider_atlas.tee.backends.simulated import SimulatedAttester

    if not isinstance(tee, SimulatedAttester):
        return None
    pinned = {name: [value] for name, value in tee.measurements.items() if name in ("mrtd", "rtmr0", "rtmr1", "rtmr2")}
    return {"tee": "tdx", "development_roots": [tee.root_sha256], "measurements": pinned}


def audit_log(place: str, key: VerifierKey) -> tuple[Checkpoint, int]:
    """Return the checkpoint of the log in the folder or at the URI ``place``, and how many tiles were found right.

    Raises SignatureError or ConsistencyError for a log that is not what ``key`` signs, MissingError or MalformedError
    when a part of it is not there or cannot be read, LogError when the whole cannot, ConfigError for no such place.
    """
    audit = _log_reader(place, key).audit()
    return audit.checkpoint, audit.tiles


def _log_reader(place: str, key: VerifierKey) -> LogReader:
    with _extras_installed():
        if place.startswith("s3://"):
            from airflow_provider_atlas.tlog.backends.object_store import ObjectStoreReader

            return ObjectStoreReader(place, key)
        if place.startswith("postgresql://"):
            from airflow_provider_atlas.tlog.backends.postgres import PostgresReader

            return PostgresReader(place, key)
    from airflow_provider_atlas.tlog.backends.posix_reader import PosixLogReader

    return PosixLogReader(Path(place), key)


def make_key(path: str) -> PublicKey:
    """Make a key that signs tasks in the new file ``path``; return its public half. Raises ConfigError."""
    from airflow_provider_atlas.signing.backends.key_file import KeyFileSigner

    return KeyFileSigner.create(path).public_key


def public_half(path: str) -> PublicKey:
    """Return the public half of the private key in the file ``path``. Raises ConfigError when it cannot be used."""
    from airflow_provider_atlas.signing.backends.key_file import KeyFileSigner

    return KeyFileSigner.load(path).public_key
