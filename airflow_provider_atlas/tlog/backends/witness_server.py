"""A witness over HTTP: ``POST <prefix>/add-checkpoint`` and, for monitors, ``GET <prefix>/<id>/checkpoint``.

A witness serves a few requests a second at most, and holds a key: the standard library's server has the least in it.
What it does not have (TLS, limits on connections) is a reverse proxy's job.

See: https://c2sp.org/tlog-witness.
"""

import logging
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

from airflow_provider_atlas.errors import AtlasError
from airflow_provider_atlas.tlog.backends.witness_folder import Answer, WitnessFolder
from airflow_provider_atlas.tlog.witness import MAX_REQUEST_BYTES

LOGGER = logging.getLogger(__name__)

_NO_SUCH = Answer(status=404, body=b"expected add-checkpoint, or the checkpoint of a log that this witness knows\n")
_IDLE_SECONDS = 30


class WitnessServer(ThreadingHTTPServer):
    """The server of ``witness`` at ``host`` and ``port`` (0 for any that is free). ``serve_forever`` serves.

    Raises OSError when it cannot listen there.
    """

    daemon_threads = True
    block_on_close = False  # a kept-alive connection must not hold up the end

    def __init__(self, witness: WitnessFolder, host: str, port: int, prefix: str = "") -> None:
        self.witness = witness
        self.prefix = prefix.rstrip("/")
        super().__init__((host, port), _Handler)

    def post(self, path: str, body: bytes) -> Answer:
        """Answer a POST of ``body`` to ``path``."""
        if path != f"{self.prefix}/add-checkpoint":
            return _NO_SUCH
        answer = self.witness.add_checkpoint(body, int(time.time()))
        LOGGER.info("add-checkpoint: %d", answer.status)
        return answer

    def get(self, path: str) -> Answer:
        """Answer a GET of ``path``."""
        identifier = path.removeprefix(f"{self.prefix}/").removesuffix("/checkpoint")
        content = self.witness.checkpoint(identifier)
        if content is None or path != f"{self.prefix}/{identifier}/checkpoint":
            return _NO_SUCH
        return Answer(status=200, body=content)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keep-alive, which the specification asks for
    server_version = "atlas-witness"
    sys_version = ""
    timeout = _IDLE_SECONDS
    wbufsize = 1 << 16  # one packet for an answer, or delayed acknowledgements make each cost 40 ms
    server: WitnessServer
    _LENGTHS: ClassVar[Mapping[bool, int]] = {True: 411, False: 413}

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        known = length.isascii() and length.isdigit() and len(length) < 10
        if not known or int(length) > MAX_REQUEST_BYTES:
            self.close_connection = True  # what follows is not read, so it must not be taken for a request
            self._answer(Answer(status=self._LENGTHS[not known], body=b"expected a length, and a small one\n"))
            return
        body = self.rfile.read(int(length))
        if len(body) == int(length):  # a client that left its request unfinished is gone
            self._try(lambda: self.server.post(self.path, body))

    def do_GET(self) -> None:
        self._try(lambda: self.server.get(self.path))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
        LOGGER.debug(format, *args)

    def _try(self, ask: Callable[[], Answer]) -> None:
        try:
            answer = ask()
        except (AtlasError, OSError):
            LOGGER.exception("the witness could not answer")
            answer = Answer(status=500, body=b"the witness could not answer\n")
        self._answer(answer)

    def _answer(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)
        self.wfile.flush()
