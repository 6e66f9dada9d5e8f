"""Witnesses on ports of this machine, for as long as a test needs them."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from airflow_provider_atlas.tlog.backends import witness_folder
from airflow_provider_atlas.tlog.backends.witness_client import Witnesses
from airflow_provider_atlas.tlog.backends.witness_folder import WitnessFolder
from airflow_provider_atlas.tlog.backends.witness_server import WitnessServer
from airflow_provider_atlas.tlog.policy import WitnessPolicy
from airflow_provider_atlas.tlog.trust import TrustedLog
from tests.support.logs import KEY, ORIGIN


@contextmanager
def serving(witness: WitnessFolder, prefix: str = "") -> Iterator[str]:
    """Serve ``witness`` and yield its URL."""
    server = WitnessServer(witness, "127.0.0.1", 0, prefix)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{prefix}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Witnessed:
    """Some witnesses, each of them served, and policies that ask for some of them."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self.stack = folder, stack
        self.lines: list[str] = []

    def settle(self, name: str, *, url: str | None = None) -> WitnessFolder:
        """Make the witness ``name``, and serve it, unless it is said to be at ``url``."""
        (key,) = witness_folder.create(self.folder / name, f"{name}.example", ["ed25519"])
        witness = WitnessFolder(self.folder / name, {ORIGIN: [KEY]})
        self.lines.append(f"witness {name} {key} {url or self.stack.enter_context(serving(witness))}")
        return witness

    def policy(self, threshold: int) -> WitnessPolicy:
        """Return the policy that asks for ``threshold`` of them."""
        names = " ".join(line.split(" ")[1] for line in self.lines)
        return WitnessPolicy.parse("\n".join([*self.lines, f"group g {threshold} {names}", "quorum g", ""]).encode())

    def cosign(self, threshold: int, *, fail_open: bool = False, timeout: float = 20) -> Witnesses:
        """Return what a log asks them with."""
        return Witnesses(self.policy(threshold), fail_open=fail_open, timeout=timeout)

    def trusted(self, threshold: int) -> TrustedLog:
        """Return the tests' log, as who asks for ``threshold`` of them trusts it."""
        return TrustedLog(origin=ORIGIN, key=KEY, witnesses=self.policy(threshold))
