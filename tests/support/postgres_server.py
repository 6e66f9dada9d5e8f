"""A PostgreSQL server on this machine, with a data folder of its own, gone with the block that started it."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import psycopg


class PostgresServer:
    """The server on ``port``, as a test speaks with it."""

    def __init__(self, port: int) -> None:
        self.port = port

    def uri(self, schema: str, port: int | None = None) -> str:
        """Return what names the log in ``schema``, which is made when it is not there."""
        with psycopg.connect(f"{self._database(self.port)}?connect_timeout=5", autocommit=True) as connection:
            connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')  # type: ignore[arg-type]
        return f"{self._database(port or self.port)}?options={quote(f'-csearch_path={schema}')}"

    def _database(self, port: int) -> str:
        return f"postgresql://atlas@127.0.0.1:{port}/postgres"


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Start a server, and end it with the block. PostgreSQL refuses to run as root, so it runs as another user then."""
    programs, folder = _programs(), Path(tempfile.mkdtemp(prefix="atlas-postgres-"))
    user = _other_user() if os.geteuid() == 0 else None
    try:
        if user:
            shutil.chown(folder, user)
        initdb = [programs / "initdb", "--auth=trust", "--username=atlas", "--no-sync", "--pgdata", folder / "data"]
        subprocess.run(initdb, check=True, capture_output=True, user=user, cwd=folder)
        port = _free_port()
        settings = ("listen_addresses=127.0.0.1", f"port={port}", f"unix_socket_directories={folder}")
        command = [programs / "postgres", "-D", folder / "data", *(each for s in settings for each in ("-c", s))]
        quiet = subprocess.DEVNULL
        with subprocess.Popen(command, stdout=quiet, stderr=quiet, user=user, cwd=folder) as process:
            try:
                _wait_for(port)
                yield PostgresServer(port)
            finally:
                process.terminate() if process.poll() is None else None
                with suppress(subprocess.TimeoutExpired):
                    process.wait(10)
                process.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    """Return the folder of the server's programs, which Debian does not put on the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    place = shutil.which("initdb") or (str(found[-1]) if found else None)
    assert place, "PostgreSQL is not installed: apt-get install postgresql"
    return Path(place).resolve().parent


def _other_user() -> str:
    names = {each.pw_name for each in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in names)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _wait_for(port: int) -> None:
    end = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(f"postgresql://atlas@127.0.0.1:{port}/postgres?connect_timeout=2").close()
        except psycopg.OperationalError:
            assert time.monotonic() < end, "the server did not start"
            time.sleep(0.05)
        else:
            return
