"""The log's service, killed at whatever it is at: nothing that it acknowledged is lost, and no index is another's."""

import contextlib
import threading
import time

import pytest

from airflow_provider_atlas.errors import LogError
from airflow_provider_atlas.tlog.backends.posix_reader import PosixLogReader
from airflow_provider_atlas.tlog.backends.rekor_http import Bearer, LogHttp
from airflow_provider_atlas.tlog.backends.rekor_v2 import RekorV2Log
from airflow_provider_atlas.tlog.receipt import Receipt
from airflow_provider_atlas.tlog.trust import TrustedLog
from tests.support.log_server import LogServer
from tests.support.logs import record


def write_until_it_dies(server: LogServer, first: int, acknowledged: dict[int, Receipt]) -> None:
    trusted = TrustedLog(origin=server.key.name, key=server.key)
    client = RekorV2Log(LogHttp(server.url, Bearer(None), pause=lambda _: None), trusted)
    with contextlib.suppress(LogError):
        for number in range(first, first + 10_000):
            acknowledged[number] = client.append([record(number)])[0]


@pytest.mark.parametrize("after", [1, 40, 120])
def test_kill_9_under_load_loses_nothing_that_was_acknowledged(tmp_path, after):
    acknowledged: dict[int, Receipt] = {}
    with LogServer(tmp_path) as server:
        writers = [
            threading.Thread(target=write_until_it_dies, args=(server, 10_000 * number, acknowledged))
            for number in range(8)
        ]
        for writer in writers:
            writer.start()
        while len(acknowledged) < after:
            time.sleep(0.001)
        server.kill()
        for writer in writers:
            writer.join()
    with LogServer(tmp_path) as server:
        again = server.client().append([record(number) for number in acknowledged])
        assert [receipt.index for receipt in again] == [receipt.index for receipt in acknowledged.values()]
        for number, receipt in acknowledged.items():
            receipt.check(record(number), server.key.name, [server.key])
        server.client().append([record(99_999)])
        audit = PosixLogReader(tmp_path / "log", server.key).audit()
    assert audit.checkpoint.size > len(acknowledged) >= after
