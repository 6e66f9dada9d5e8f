"""A witness on a port of this machine, for as long as a test needs it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from airflow_provider_atlas.tlog.backends.witness_folder import WitnessFolder
from airflow_provider_atlas.tlog.backends.witness_server import WitnessServer


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
