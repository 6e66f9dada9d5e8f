"""Sigstore's own Rekor v2, built by Go from its sources, on ports of this machine; its tiles served as files."""

import http.server
import json
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from airflow_provider_atlas.tlog.log import TransparencyLog
from airflow_provider_atlas.tlog.note import VerifierKey
from tests.support.go_tool import built
from tests.support.log_server import remote_log

MODULE = "github.com/sigstore/rekor-tiles/v2/cmd/rekor-server/posix@v2.3.0"
_ORIGIN = "rekor.example"


class RekorServer:
    """A log in ``folder``, served as long as the ``with`` block lasts, for its clients under one URL."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._signer = Ed25519PrivateKey.generate()
        self.key = VerifierKey.of(_ORIGIN, self._signer)

    def __enter__(self) -> Self:
        storage, pem = self._folder / "rekor", self._folder / "rekor.pem"
        storage.mkdir()
        pem.write_bytes(self._signer.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        ports = _free_ports(3)
        self.port = ports[0]  # where it takes entries itself
        flags = {
            "hostname": _ORIGIN,
            "storage-dir": storage,
            "signer-filepath": pem,
            "http-address": "127.0.0.1",
            "grpc-address": "127.0.0.1",
            "http-port": ports[0],
            "grpc-port": ports[1],
            "http-metrics-port": ports[2],
            "checkpoint-interval": "200ms",
            "batch-max-age": "20ms",
            "persistent-antispam": "true",
        }
        command = [
            built("posix", "rekor-tiles-v2.3.0", "install", MODULE),
            "serve",
            *(f"--{name}={value}" for name, value in flags.items()),
        ]
        self._said = (self._folder / "rekor.log").open("wb")
        self._process = subprocess.Popen(command, stdout=self._said, stderr=subprocess.STDOUT, cwd=self._folder)
        self._front = _Front(storage, f"http://127.0.0.1:{ports[0]}")
        try:
            _await_serving(f"http://127.0.0.1:{ports[0]}/healthz")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._front.close()
        self._process.kill()
        self._process.wait(30)
        self._said.close()

    def client(self, **section: Any) -> TransparencyLog:
        """Return a client, as a worker with these settings has it."""
        return remote_log(self._front.url, str(self.key), self._folder, **section)


class _Front(http.server.ThreadingHTTPServer):
    """What a deployment of Rekor has before it: reads come from the storage's files, writes go to the server."""

    daemon_threads = True

    def __init__(self, storage: Path, writes: str) -> None:
        super().__init__(("127.0.0.1", 0), partial(_Handler, writes, directory=str(storage)))
        self.url = f"http://127.0.0.1:{self.server_port}"
        self._thread = threading.Thread(target=self.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet for each answer

    def __init__(self, writes: str, *arguments: Any, **named: Any) -> None:
        self._writes = writes
        super().__init__(*arguments, **named)

    def do_GET(self) -> None:
        self.path = self.path.removeprefix("/api/v2")
        super().do_GET()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        asked = urllib.request.Request(self._writes + self.path, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(asked, timeout=30) as answer:
                self._answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                self._answer(error.code, error.headers, error.read())

    def _answer(self, status: int, headers: Any, body: bytes) -> None:
        self.send_response(status)
        for name in ("Content-Type", "x-log-index"):
            if name in headers:
                self.send_header(name, headers[name])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _await_serving(url: str) -> None:
    ends = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if json.load(answer)["status"] == "SERVING":
                    return
        except OSError:
            if time.monotonic() > ends:
                raise
        time.sleep(0.05)
