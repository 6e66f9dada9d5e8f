"""Open what this process attests with.

In ``observe``, a part that cannot be opened is away, and the rest goes on: what was measured is spooled then, and
finished by a task that finds the part back.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn, TypeVar

from airflow_provider_atlas.airflow.trouble import tell
from airflow_provider_atlas.errors import AtlasError, AttesterError, LogError, SigningError
from airflow_provider_atlas.settings import Settings, path_of
from airflow_provider_atlas.signing.keys import PublicKey
from airflow_provider_atlas.wiring import archives, logs, sessions, signers, tees, workers
from airflow_provider_atlas.wiring.workers import Worker

T = TypeVar("T")

# Nothing in a worker is bound to the process that opened it, so that a task's process has what its parent opened: to
# open it anew costs 10 ms there. A key that is exchanged counts from the next start of the parent on, and a session
# (attester_mode) is as long as the parent lives.
_opened: dict[Settings, Worker] = {}


def worker(settings: Settings) -> Worker:
    """Return the parts that ``settings`` name, opened once in this process or before it was forked.

    In ``observe`` never for want of a signer, a TEE or a log; otherwise raises what ``workers.worker`` does.
    """
    if settings not in _opened:
        try:
            _opened[settings] = workers.worker(settings)
        except AtlasError:
            if settings.mode != "observe":
                raise
            return _what_there_is(settings)
    return _opened[settings]


def open_session(settings: Settings) -> None:
    """Make the session's key and its quote now, where ``settings`` have sessions: what is forked inherits both.

    Raises AtlasError when the TEE gives no quote: each task then makes a session of its own.
    """
    if settings.attester_mode == "session":
        _ = worker(settings).sealer.signer.public_key


def _what_there_is(settings: Settings) -> Worker:
    log = _or_away(lambda: logs.transparency_log(settings), _NoLog)
    return Worker(
        settings=settings,
        sealer=sessions.sealer(
            settings,
            signer=lambda: _or_away(lambda: signers.signer(settings), _NoSigner),
            attester=_or_away(lambda: tees.attester(settings), _NoAttester),
            log=log,
        ),
        archive=archives.open_archive(path_of(settings.archive, "file", "archive")),
        store=archives.artifact_store(),
        spool=archives.spool(settings),
    )


def _or_away(open_part: Callable[[], T], away: Callable[[str], T]) -> T:
    try:
        return open_part()
    except AtlasError as error:
        tell(error)
        return away(str(error))


@dataclass(frozen=True, slots=True)
class _NoSigner:
    reason: str

    @property
    def public_key(self) -> PublicKey:
        raise SigningError(self.reason)

    def sign(self, message: bytes) -> NoReturn:  # noqa: ARG002 - as Signer has it
        raise SigningError(self.reason)


@dataclass(frozen=True, slots=True)
class _NoAttester:
    reason: str

    def attest(self, report_data: bytes) -> NoReturn:  # noqa: ARG002 - as Attester has it
        raise AttesterError(self.reason)


@dataclass(frozen=True, slots=True)
class _NoLog:
    reason: str

    def append(self, entries: Sequence[bytes]) -> NoReturn:  # noqa: ARG002 - as TransparencyLog has it
        raise LogError(self.reason)

    def sequence(self, entries: Sequence[bytes]) -> NoReturn:  # noqa: ARG002 - as DeferringLog has it
        raise LogError(self.reason)

    def integrate(self) -> NoReturn:
        raise LogError(self.reason)

    def latest(self) -> NoReturn:
        raise LogError(self.reason)
