"""What a worker attests with: settings → signer, TEE, log, archive, store, spool."""

from dataclasses import dataclass, replace

from airflow_provider_atlas.artifacts.archive import Archive
from airflow_provider_atlas.artifacts.spool import Spool
from airflow_provider_atlas.artifacts.store import ArtifactStore
from airflow_provider_atlas.attest.seal import Sealer
from airflow_provider_atlas.settings import Settings, path_of
from airflow_provider_atlas.tlog.stamper import TimestampAuthority
from airflow_provider_atlas.wiring import archives, logs, sessions, signers, tees


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
    log = logs.transparency_log(settings)
    return Worker(
        settings=settings,
        sealer=sessions.sealer(
            settings,
            signer=lambda: signers.signer(settings),
            attester=tees.attester(settings),
            log=log,
            authority=authority(settings),
        ),
        archive=archives.open_archive(path_of(settings.archive, "file", "archive")),
        store=archives.artifact_store(),
        spool=archives.spool(settings),
    )


def declarer(worker: Worker) -> Sealer:
    """Return what seals run manifests: by the configured key in every mode.

    A manifest is the scheduler's word, and a scheduler need not run in a TEE. Raises ConfigError when the key cannot be
    used.
    """
    if worker.sealer.session is None:
        return worker.sealer
    return replace(worker.sealer, signer=signers.signer(worker.settings), session=None)


def authority(settings: Settings) -> TimestampAuthority | None:
    """Return the time-stamp authority, or None where no setting names one. Raises ConfigError for what is no URL."""
    if not settings.tsa:
        return None
    from airflow_provider_atlas.tlog.backends.tsa import HttpAuthority

    return HttpAuthority(settings.tsa)
