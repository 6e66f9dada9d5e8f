"""An attestation helper in a thread of this process, gone with the block."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from airflow_provider_atlas.tee.attester import Attester
from airflow_provider_atlas.tee.backends.attester_server import AttesterServer, ServerLimits
from airflow_provider_atlas.tee.backends.attester_socket import listening_at


@contextmanager
def attestation_helper(
    folder: Path, attester: Attester, uids: tuple[int, ...] = (os.geteuid(),), **limits: float
) -> Iterator[Path]:
    """Serve ``attester`` at the path it yields, to this user alone unless it is told otherwise."""
    path = folder / "tee.sock"
    server = AttesterServer(attester, uids, ServerLimits(**{"patience": 0.5, **limits}))
    with listening_at(path, mode=0o600, group=None) as listener:
        thread = threading.Thread(target=server.serve, args=(listener,))
        thread.start()
        try:
            yield path
        finally:
            server.stop()
            thread.join(20)
            assert not thread.is_alive()
