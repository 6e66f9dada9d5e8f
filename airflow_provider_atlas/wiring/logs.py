"""Settings and places → transparency logs: to append to, serve, read, watch and witness."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, cast

from airflow_provider_atlas.errors import ConfigError, MalformedError
from airflow_provider_atlas.settings import Settings, path_of
from airflow_provider_atlas.tlog.checkpoint import Checkpoint, SignedCheckpoint
from airflow_provider_atlas.tlog.log import DeferringLog, TransparencyLog
from airflow_provider_atlas.tlog.monitor import Alarm, Watch
from airflow_provider_atlas.tlog.note import VerifierKey
from airflow_provider_atlas.tlog.policy import MAX_POLICY_BYTES, WitnessPolicy
from airflow_provider_atlas.tlog.receipt import Receipt
from airflow_provider_atlas.tlog.trust import Entries, TrustedLog
from airflow_provider_atlas.tlog.witness import Cosign

_REMOTE: Mapping[str, Entries] = {"rekor-v2:": "hashedrekord 0.0.2", "rekor-v1:": "hashedrekord 0.0.1"}

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


def transparency_log(settings: Settings) -> TransparencyLog:
    """Return the log. Raises ConfigError or LogError when it, or its key, cannot be used."""
    if _is_remote(settings):
        return _remote_log(settings)
    if _is_shared(settings):
        return _shared_log(settings)
    log: TransparencyLog = _own_log(settings)
    return log


def deferring_log(settings: Settings, log: TransparencyLog) -> DeferringLog | None:
    """Return ``log``, that of ``settings``, where it is to sign for entries later than it takes them."""
    return cast("DeferringLog", log) if settings.log_integration == "deferred" else None


def integrate_log(settings: Settings) -> Checkpoint | None:
    """Have the log of this machine sign for all that it took; return the checkpoint, None when it is empty.

    Raises ConfigError when ``settings`` name another kind of log, or it cannot be used; LogError when it cannot sign.
    """
    log: DeferringLog = _own_log(settings)
    return log.integrate()


def _own_log(settings: Settings) -> Any:  # noqa: ANN401 - what it is beyond a TransparencyLog is its backend's business
    from airflow_provider_atlas.tlog.backends.posix import PosixLog

    if settings.log_key:
        raise ConfigError("[atlas] log_key is for a log that others keep; a posix log has log_signer")
    folder = Path(path_of(settings.log, "posix", "log"))
    key, shared = _log_key(settings), settings.allow_network_log
    return PosixLog(folder, settings.log_origin, key, cosign=_witnesses(settings), shared=shared)


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
    return settings.log.startswith(tuple(_REMOTE))


def _remote_log(settings: Settings) -> TransparencyLog:
    from airflow_provider_atlas.fetching import checked_url
    from airflow_provider_atlas.tlog.backends.rekor_http import Bearer, LogHttp
    from airflow_provider_atlas.tlog.backends.rekor_v1 import RekorV1Log
    from airflow_provider_atlas.tlog.backends.rekor_v2 import RekorV2Log

    scheme, _, rest = settings.log.partition(":")
    told = None if settings.allow_public_log else "entries stay there for everybody and for ever"
    url = checked_url(rest, setting="[atlas] log", public=told)
    token = Path(settings.log_token_file) if settings.log_token_file else None
    http, trusted, seen = LogHttp(url, Bearer(token)), trusted_log(settings), Path(settings.home) / "seen"
    if scheme == "rekor-v2":
        return RekorV2Log(http, trusted, seen=seen)
    try:
        return RekorV1Log(http, trusted, seen=seen)
    except MalformedError as error:
        raise ConfigError(
            "[atlas] log_origin must be the first line of the log's checkpoints, host - tree id: ask who keeps it"
        ) from error


def trusted_log(settings: Settings) -> TrustedLog:
    """Return the log of ``settings`` as who verifies its receipts trusts it. Raises as ``log_verifier_key`` does.

    With ``log_witnesses`` its checkpoints need their quorum, unless ``log_witness_failure`` is ``open``.
    """
    asked = settings.log_witnesses and settings.log_witness_failure == "closed"
    return TrustedLog(
        origin=settings.log_origin,
        key=log_verifier_key(settings),
        witnesses=read_witness_policy(settings.log_witnesses) if asked else None,
        entries=_REMOTE.get(settings.log.partition(":")[0] + ":", "hashedrekord 0.0.2"),
    )


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


def _is_shared(settings: Settings) -> bool:
    return settings.log.startswith(("s3://", "postgresql://"))


def _shared_log(settings: Settings) -> TransparencyLog:
    from airflow_provider_atlas.tlog.backends.extras import extras_installed

    if settings.log_key:
        raise ConfigError("[atlas] log_key is for a log that others keep; a log that hosts share has log_signer")
    if "log_signer" in settings.made_keys:
        raise ConfigError("[atlas] log_signer must name the log's key, which all hosts that share the log have")
    key, seen, cosign = _log_key(settings), Path(settings.home) / "seen", _witnesses(settings)
    with extras_installed():
        if settings.log.startswith("s3://"):
            from airflow_provider_atlas.tlog.backends.object_store import ObjectStoreLog

            return ObjectStoreLog(settings.log, settings.log_origin, key, seen=seen, cosign=cosign)
        from airflow_provider_atlas.tlog.backends.postgres import PostgresLog

        return PostgresLog(settings.log, settings.log_origin, key, seen=seen, cosign=cosign)


def _log_key(settings: Settings) -> Any:  # noqa: ANN401 - the key's type is the backend's own business
    from airflow_provider_atlas.tlog.backends import log_key

    path = Path(path_of(settings.log_signer, "file", "log_signer"))
    return log_key.load_or_create(path) if "log_signer" in settings.made_keys else log_key.load(path)


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
