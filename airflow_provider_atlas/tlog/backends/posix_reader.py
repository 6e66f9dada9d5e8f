"""Reading a log in a folder, as anyone may, from its public files alone."""

from pathlib import Path

from airflow_provider_atlas.tlog.backends.log_reader import LogReader
from airflow_provider_atlas.tlog.backends.sources import FolderSource
from airflow_provider_atlas.tlog.note import VerifierKey


class PosixLogReader(LogReader):
    """The log in ``folder`` (``LogReader``)."""

    def __init__(self, folder: Path, key: VerifierKey) -> None:
        super().__init__(FolderSource(folder), key)
