"""The composition root: settings → parts. The only module that knows the backends; a URI's scheme picks one."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from airflow_provider_atlas.artifacts.archive import Archive, RunFolder, run_path
from airflow_provider_atlas.artifacts.spool import Spool
from airflow_provider_atlas.artifacts.store import ArtifactStore
from airflow_provider_atlas.attest.seal import Sealer
from airflow_provider_atlas.errors import ConfigError, MalformedError
from airflow_provider_atlas.settings import Settings, path_of
from airflow_provider_atlas.signing.keys import PublicKey
from airflow_provider_atlas.signing.signer import Signer
from airflow_provider_atlas.tee.attester import Attester, EvidenceVerifier
from airflow_provider_atlas.tlog.checkpoint import Checkpoint, SignedCheckpoint
from airflow_provider_atlas.tlog.log import TransparencyLog
from airflow_provider_atlas.tlog.monitor import Alarm, Watch
from airflow_provider_atlas.tlog.note import VerifierKey
from airflow_provider_atlas.tlog.policy import MAX_POLICY_BYTES, WitnessPolicy
from airflow_provider_atlas.tlog.receipt import Receipt
from airflow_provider_atlas.tlog.stamper import TimestampAuthority
from airflow_provider_atlas.tlog.trust import TrustedLog
from airflow_provider_atlas.tlog.witness import Cosign
from airflow_provider_atlas.verify.policy import Policy, starting_policy
from airflow_provider_atlas.verify.record_checks import Judge
from airflow_provider_atlas.verify.records import load_run
from airflow_provider_atlas.verify.report import VerificationReport
from airflow_provider_atlas.verify.run import Gate, verify_run

Progress = Callable[[int, int], None]
"""``progress(done, all)`` is called as work goes on."""


class Server(Protocol):
    """What serves until it is told to stop."""

    server_port: int

    def serve_forever(self) -> None:
        """Serve, and return when another thread calls ``shutdown``."""
        ...

    def server_close(self) -> None:
        """Give the port back."""
        ...


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
        sealer=Sealer(
            signer=signer(settings),
            attester=attester(settings),
            log=transparency_log(settings),
            authority=authority(settings),
        ),
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
    if _is_remote(settings):
        return _remote_log(settings)
    if _is_shared(settings):
        return _shared_log(settings)
    log: TransparencyLog = _own_log(settings)
    return log


def _own_log(settings: Settings) -> Any:  # noqa: ANN401 - what it is beyond a TransparencyLog is its backend's business
    from airflow_provider_atlas.tlog.backends.posix import PosixLog

    if settings.log_key:
        raise ConfigError("[atlas] log_key is for a log that others keep; a posix log has log_signer")
    folder = Path(path_of(settings.log, "posix", "log"))
    return PosixLog(folder, settings.log_origin, _log_key(settings), cosign=_witnesses(settings))


def _witnesses(settings: Settings) -> Cosign | None:
    if not settings.log_witnesses:
        return None
    from airflow_provider_atlas.tlog.backends.witness_client import Witnesses

    policy = read_witness_policy(settings.log_witnesses)
    return Witnesses(policy, fail_open=settings.log_witness_failure == "open")


def read_witness_policy(path: str) -> WitnessPolicy:
    """Return the witness policy (tlog-policy) in the file ``path``. Raises ConfigError when there is none."""
    try:
        with Path(path).open("rb") as file:
            return WitnessPolicy.parse(file.read(MAX_POLICY_BYTES + 1))
    except OSError as error:
        raise ConfigError(f"cannot read the witness policy {path}: {error.strerror}") from error
    except MalformedError as error:
        raise ConfigError(f"cannot use the witness policy {path}: {error}") from error


def _is_remote(settings: Settings) -> bool:
    return settings.log.startswith("rekor-v2:")


def _remote_log(settings: Settings) -> TransparencyLog:
    from airflow_provider_atlas.tlog.backends.rekor_http import Bearer, LogHttp
    from airflow_provider_atlas.tlog.backends.rekor_v2 import RekorV2Log, checked_url

    url = checked_url(settings.log.removeprefix("rekor-v2:"), allow_public=settings.allow_public_log)
    token = Path(settings.log_token_file) if settings.log_token_file else None
    trusted = TrustedLog(origin=settings.log_origin, key=log_verifier_key(settings))
    return RekorV2Log(LogHttp(url, Bearer(token)), trusted)


def log_service(
    settings: Settings, *, tokens: Path | None, body: int, rate: float, waiting: int
) -> Callable[..., Awaitable[None]]:
    """Return the ASGI application that serves the log of ``settings``, a folder of this machine, made if need be.

    ``tokens`` is the file of the tokens that may write; without it, everybody who reaches the service may. A request
    has at most ``body`` bytes; there are at most ``rate`` writes a second, and ``waiting`` wait at a time. Raises
    ConfigError or LogError when the log, its key or the tokens cannot be used.
    """
    from airflow_provider_atlas.tlog.backends.private_file import read_private
    from airflow_provider_atlas.tlog.backends.service import Limits, LogService
    from airflow_provider_atlas.tlog.backends.service_limits import Tokens

    known = Tokens(read_private(tokens, "the tokens' file")) if tokens else None
    return LogService(_own_log(settings), known, Limits(body=body, rate=rate, waiting=waiting)).app()


def authority(settings: Settings) -> TimestampAuthority | None:
    """Return the time-stamp authority, or None where no setting names one. Raises ConfigError for what is no URL."""
    if not settings.tsa:
        return None
    from airflow_provider_atlas.tlog.backends.tsa import HttpAuthority

    return HttpAuthority(settings.tsa)


def _is_shared(settings: Settings) -> bool:
    return settings.log.startswith(("s3://", "postgresql://"))


def _shared_log(settings: Settings) -> TransparencyLog:
    from airflow_provider_atlas.tlog.backends.extras import extras_installed

    if settings.log_key:
        raise ConfigError("[atlas] log_key is for a log that others keep; a log that hosts share has log_signer")
    if settings.log_witnesses:
        raise ConfigError("[atlas] log_witnesses is for a posix log; a log that hosts share asks no witnesses")
    if "log_signer" in settings.made_keys:
        raise ConfigError("[atlas] log_signer must name the log's key, which all hosts that share the log have")
    key, seen = _log_key(settings), Path(settings.home) / "seen"
    with extras_installed():
        if settings.log.startswith("s3://"):
            from airflow_provider_atlas.tlog.backends.object_store import ObjectStoreLog

            return ObjectStoreLog(settings.log, settings.log_origin, key, seen=seen)
        from airflow_provider_atlas.tlog.backends.postgres import PostgresLog

        return PostgresLog(settings.log, settings.log_origin, key, seen=seen)


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

    With a simulated TEE it accepts that simulator's own root, by name. Start records are asked for in ``enforce``, and
    witnesses where the log publishes nothing without them.
    """
    return starting_policy(
        name=name,
        signers={settings.deployment: signer(settings).public_key},
        logs={settings.log_origin: log_verifier_key(settings)},
        witnesses=_demanded_witnesses(settings),
        tee=_reference_of(attester(settings)),
        start="required" if settings.mode == "enforce" else "optional",
    )


def _demanded_witnesses(settings: Settings) -> WitnessPolicy | None:
    if not settings.log_witnesses or settings.log_witness_failure == "open":
        return None
    return read_witness_policy(settings.log_witnesses)


def log_verifier_key(settings: Settings) -> VerifierKey:
    """Return the key that verifies the log's checkpoints. Raises ConfigError or LogError when there is none."""
    if not _is_remote(settings):
        return VerifierKey.of(settings.log_origin, _log_key(settings))
    if not settings.log_key:
        raise ConfigError("[atlas] log_key must name the verifier key of the log, name+keyid+base64: ask who keeps it")
    try:
        return VerifierKey.parse(settings.log_key)
    except MalformedError as error:
        raise ConfigError(f"cannot use [atlas] log_key: {error}") from error


def _reference_of(tee: Attester | None) -> Mapping[str, Any] | None:
    from airflow_provider_atlas.tee.backends.simulated import SimulatedAttester

    if not isinstance(tee, SimulatedAttester):
        return None
    pinned = {name: [value] for name, value in tee.measurements.items() if name in ("mrtd", "rtmr0", "rtmr1", "rtmr2")}
    return {"tee": "tdx", "development_roots": [tee.root_sha256], "measurements": pinned}


def audit_log(place: str, key: VerifierKey, progress: Progress | None = None) -> tuple[Checkpoint, int]:
    """Return the checkpoint of the log at ``place``, and how many tiles were made again and found right.

    ``place`` is a folder, a URL, or the URI of a log that hosts share. ``progress(done, all)`` is told how many entries
    were read. Raises SignatureError or ConsistencyError for a log that is not what ``key`` signs, MissingError or
    MalformedError when a file of it is not there or cannot be read, LogError when the log is away, and ConfigError when
    ``place`` cannot be one.
    """
    from airflow_provider_atlas.tlog.backends.log_reader import LogReader
    from airflow_provider_atlas.tlog.backends.sources import open_source

    audit = LogReader(open_source(place), key).audit(progress)
    return audit.checkpoint, audit.tiles


def make_receipt(
    place: str, key: VerifierKey, wanted: int | bytes, progress: Progress | None = None
) -> tuple[Receipt, bytes]:
    """Return a receipt of the log at ``place`` for the entry ``wanted``, by its index or itself, and the entry.

    Raises MissingError when the log has no such entry, and as ``audit_log`` does.
    """
    from airflow_provider_atlas.tlog.backends.log_reader import LogReader
    from airflow_provider_atlas.tlog.backends.sources import open_source

    reader = LogReader(open_source(place), key)
    index = reader.find(wanted, progress) if isinstance(wanted, bytes) else wanted
    receipt = reader.receipt(index)
    entry = wanted if isinstance(wanted, bytes) else next(reader.entries(index, index + 1))
    receipt.check(entry, key.name, (key,))
    return receipt, entry


def watch_log(
    place: str, key: VerifierKey, watch: Watch, state: str, now: datetime
) -> tuple[SignedCheckpoint | None, SignedCheckpoint | None, Sequence[Alarm]]:
    """Compare the log at ``place`` with what the file ``state`` has of it, and keep what is shown if all is well.

    Returns the checkpoint that was seen before, the one that is shown now, and what is wrong. Raises ConfigError when
    ``state`` cannot be used, LogError or MissingError when the log is away or lacks what the answer needs.
    """
    from airflow_provider_atlas.tlog.backends.monitor import look
    from airflow_provider_atlas.tlog.backends.sources import open_source

    sighting = look(open_source(place), key, watch, Path(state), now)
    return sighting.seen, sighting.shown, sighting.alarms


def make_witness(folder: str, name: str, algorithms: Sequence[str]) -> Sequence[VerifierKey]:
    """Make a witness called ``name`` in ``folder``; return its verifier keys. Raises ConfigError or LogError."""
    from airflow_provider_atlas.tlog.backends.witness_folder import create

    return create(Path(folder), name, algorithms)


def witness_server(
    folder: str, keys: Mapping[str, Sequence[VerifierKey]], address: tuple[str, int], prefix: str
) -> tuple[Server, Sequence[VerifierKey]]:
    """Return a server, not serving yet, of the witness in ``folder`` for the logs of ``keys``; and its verifier keys.

    Raises ConfigError when there is no witness, or it cannot listen at ``address``.
    """
    from airflow_provider_atlas.tlog.backends.witness_folder import WitnessFolder
    from airflow_provider_atlas.tlog.backends.witness_server import WitnessServer

    witness = WitnessFolder(Path(folder), keys)
    try:
        server = WitnessServer(witness, *address, prefix)
    except OSError as error:
        raise ConfigError(f"cannot listen at {address[0]}:{address[1]}: {error.strerror}") from error
    return server, [cosigner.verifier_key for cosigner in witness.cosigners]


def make_key(path: str) -> PublicKey:
    """Make a key that signs tasks in the new file ``path``; return its public half. Raises ConfigError."""
    from airflow_provider_atlas.signing.backends.key_file import KeyFileSigner

    return KeyFileSigner.create(path).public_key


def public_half(path: str) -> PublicKey:
    """Return the public half of the private key in the file ``path``. Raises ConfigError when it cannot be used."""
    from airflow_provider_atlas.signing.backends.key_file import KeyFileSigner

    return KeyFileSigner.load(path).public_key
