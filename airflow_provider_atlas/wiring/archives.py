"""Settings and paths → where artifacts, archives and spools lie."""

from pathlib import Path

from airflow_provider_atlas.artifacts.archive import Archive
from airflow_provider_atlas.artifacts.spool import Spool
from airflow_provider_atlas.artifacts.store import ArtifactStore
from airflow_provider_atlas.settings import Settings, path_of


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
