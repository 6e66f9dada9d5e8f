"""``atlas log serve`` as a process of its own, on a port of this machine that is free, and clients of it."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

from airflow_provider_atlas.settings import Settings
from airflow_provider_atlas.tlog.log import TransparencyLog
from airflow_provider_atlas.tlog.note import VerifierKey
from airflow_provider_atlas.wiring import logs

_PROGRAM = "import sys; from airflow_provider_atlas.cli.main import main; sys.exit(main())"
_ROOT = Path(__file__).parents[2]


class LogServer:
    """The log in ``home``/log, served as long as the ``with`` block lasts; ``arguments`` are the command's."""

    def __init__(self, home: Path, *arguments: object) -> None:
        self.home = home
        self._command = [sys.executable, "-c", _PROGRAM, "log", "serve", "--home", str(home), "--port", "0"]
        self._command += map(str, arguments)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, cwd=_ROOT, stdout=subprocess.PIPE, env={"AIRFLOW_HOME": str(self.home)}, text=True
        )
        assert self._process.stdout
        said = self._process.stdout.readline()
        assert said.startswith("serving "), said
        self.url = said.split()[3].rstrip(",")
        self.port = int(self.url.rpartition(":")[2])
        self.vkey = said.split()[-1]
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            assert self.stop() == 0

    @property
    def key(self) -> VerifierKey:
        """The key that verifies the log's checkpoints."""
        return VerifierKey.parse(self.vkey)

    def stop(self) -> int:
        """Ask it to stop, as an orchestrator does, and return its exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self._ended()

    def kill(self) -> None:
        """Kill it at whatever it is at."""
        self._process.kill()
        self._ended()

    def client(self, **section: Any) -> TransparencyLog:
        """Return a client, as a worker with these settings has it."""
        return remote_log(self.url, self.vkey, self.home, **section)

    def _ended(self) -> int:
        code = self._process.wait(40)
        assert self._process.stdout
        self._process.stdout.close()
        return code


def remote_log(url: str, vkey: str, home: Path, **section: Any) -> TransparencyLog:
    """Return the client of the log at ``url`` whose checkpoints ``vkey`` verifies."""
    named = {"log": f"rekor-v2:{url}", "log_key": vkey, **section}
    return logs.transparency_log(Settings.parse(named, home=str(home)))
