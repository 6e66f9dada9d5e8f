"""A real Airflow on this machine: api-server, scheduler with LocalExecutor, dag-processor, each its own process.

Started and stopped by whoever uses it, on a free port of the loopback, with a home of its own and SQLite.
"""

import os
import secrets
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self


class Cluster:
    """``with Cluster(home, dags, settings) as cluster``: ``settings`` are environment variables (AIRFLOW__…)."""

    def __init__(self, home: Path, dags: Path, settings: Mapping[str, str]) -> None:
        self.home = home
        self.port = _free_port()
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")},
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{self.port}/execution/",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",  # a machine that tests has other things to do, too
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            **settings,
        }
        self._services: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self.home.mkdir(parents=True, exist_ok=True)
        self.airflow("db", "migrate")
        try:
            self._start("api-server")
            self._wait(self._answers, "the api-server answers", 120)
            self._start("dag-processor")
            self._start("scheduler")
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def airflow(self, *arguments: str) -> str:
        """Run ``airflow arguments…`` to its end; return what it printed. Raises AssertionError when it failed."""
        done = subprocess.run(
            [sys.executable, "-m", "airflow", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"airflow {' '.join(arguments)}: {done.stderr[-3000:]}"
        return done.stdout

    def run(self, dag_id: str, *, timeout: float = 300) -> tuple[str, str]:
        """Trigger ``dag_id`` as soon as it is known, wait for its end, and return (run id, state)."""
        self._wait(lambda: self.query("select 1 from dag where dag_id = ?", dag_id), f"{dag_id} is parsed", 120)
        run_id = f"manual__{secrets.token_hex(4)}"
        self.airflow("dags", "trigger", dag_id, "--run-id", run_id)
        state = "select state from dag_run where dag_id = ? and run_id = ? and state in ('success', 'failed')"
        self._wait(lambda: self.query(state, dag_id, run_id), f"{dag_id} ends", timeout)
        return run_id, str(self.query(state, dag_id, run_id)[0][0])

    def query(self, sql: str, *arguments: str) -> list[tuple[object, ...]]:
        """Return what the metadata database answers to ``sql``, read-only."""
        connection = sqlite3.connect(f"file:{self.home / 'airflow.db'}?mode=ro", uri=True, timeout=30)
        try:
            return connection.execute(sql, arguments).fetchall()
        finally:
            connection.close()

    def log(self, service: str) -> str:
        """Return the end of what ``service`` printed."""
        return (self.home / f"{service}.out").read_text(errors="replace")[-5000:]

    def troubles(self) -> list[str]:
        """Return what the tasks' own logs say at ERROR, a line each."""
        lines = [line for path in self.home.glob("logs/dag_id=*/**/*.log") for line in path.read_text().splitlines()]
        return [line[:2000] for line in lines if '"level":"error"' in line]

    def _start(self, service: str) -> None:
        with (self.home / f"{service}.out").open("wb") as output:
            self._services.append(
                subprocess.Popen(
                    [sys.executable, "-m", "airflow", service],
                    env=self.environment,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )

    def _stop(self) -> None:
        for service in reversed(self._services):
            with suppress(ProcessLookupError):
                os.killpg(service.pid, 15)
        for service in reversed(self._services):
            try:
                service.wait(20)
            except subprocess.TimeoutExpired:
                with suppress(ProcessLookupError):
                    os.killpg(service.pid, 9)
                service.wait(10)

    def _wait(self, ready: Callable[[], object], what: str, timeout: float) -> None:
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            with suppress(OSError, sqlite3.Error):
                if ready():
                    return
            dead = [service.args for service in self._services if service.poll() is not None]
            assert not dead, f"{dead} ended while waiting until {what}: {self._logs()}"
            time.sleep(0.25)
        raise AssertionError(f"waited {timeout:.0f} s in vain until {what}: {self._logs()}")

    def _logs(self) -> str:
        return "\n".join(
            f"--- {path.name}\n{path.read_text(errors='replace')[-3000:]}" for path in self.home.glob("*.out")
        )

    def _answers(self) -> bool:
        url = f"http://127.0.0.1:{self.port}/api/v2/version"
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
