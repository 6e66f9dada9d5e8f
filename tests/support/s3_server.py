"""An S3 server on this machine, of its own process: moto, with a record of what was put, and failures on demand.

``python -m tests.support.s3_server`` prints its port and serves until it is ended. ``S3Server`` speaks with it.
"""

import hashlib
import io
import json
import os
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

ROOT = Path(__file__).parents[2]
BUCKET = "atlas-log"
REGION = "us-east-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": REGION}
_SIGNED = f"AWS4-HMAC-SHA256 Credential=test/20260101/{REGION}/s3/aws4_request, SignedHeaders=host, Signature=0"

Application = Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]


class S3Server:
    """The server at ``port``, as a test speaks with it."""

    def __init__(self, port: int) -> None:
        self.endpoint = f"http://127.0.0.1:{port}"
        self._ask("PUT", f"/{BUCKET}")

    def uri(self, prefix: str) -> str:
        """Return what names a log under ``prefix``."""
        return f"s3://{BUCKET}/{prefix}?endpoint={self.endpoint}&region={REGION}"

    def fail(self, puts: int | None, *, done: bool, once: bool = False) -> None:
        """Fail the put that follows ``puts`` more, which is ``done`` all the same, and unless ``once`` all after it.

        With None, nothing fails any more.
        """
        self._ask("POST", "/_atlas/fail", json.dumps({"puts": puts, "done": done, "once": once}).encode())

    def copy(self, old: str, new: str) -> None:
        """Put a copy of all that is under the prefix ``old`` under ``new``."""
        self._ask("POST", "/_atlas/copy", json.dumps({"old": f"{old}/", "new": f"{new}/"}).encode())

    def changed(self, prefix: str) -> list[str]:
        """Return every path under ``prefix`` that was put with two contents, other than checkpoints."""
        put: dict[str, list[str]] = json.loads(self._ask("GET", "/_atlas/put"))
        ours = {path: contents for path, contents in put.items() if path.startswith(f"/{BUCKET}/{prefix}")}
        assert any("/tile/" in path for path in ours), "the record is of another log"
        return [path for path, contents in ours.items() if len(contents) > 1 and not path.endswith("/checkpoint")]

    def requests(self) -> int:
        """Return how many requests there were until now, other than these."""
        found: int = json.loads(self._ask("GET", "/_atlas/requests"))
        return found

    def _ask(self, method: str, path: str, data: bytes | None = None) -> bytes:
        request = urllib.request.Request(self.endpoint + path, data, {"Authorization": _SIGNED}, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            content: bytes = answer.read()
            return content


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Start a server, and end it with the block."""
    command = [sys.executable, "-m", "tests.support.s3_server"]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, cwd=ROOT
    ) as process:
        assert process.stdout
        try:
            yield S3Server(int(process.stdout.readline()))
        finally:
            process.kill()


class Recorder:
    """``application``, with a record of its puts, and failures on demand.

    What S3 promises and moto does not, it adds: one put at a time, since moto asks whether an object is there and then
    stores it, so that two conditional puts at once may both succeed; and no object of a body that was cut off, which is
    what a writer that is killed leaves.
    """

    def __init__(self, application: Application) -> None:
        self._application = application
        self._put: dict[str, set[str]] = {}
        self._requests = 0
        self._lock = threading.Lock()
        self._putting = threading.Lock()
        self._failure: dict[str, Any] = {"puts": None, "done": False, "once": False}

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path: str = environ["PATH_INFO"]
        length = int(environ.get("CONTENT_LENGTH") or 0)
        content = environ["wsgi.input"].read(length)
        environ["wsgi.input"] = io.BytesIO(content)
        if len(content) < length:
            return _answer(start, "400 Bad Request")
        if path.startswith("/_atlas/"):
            start("200 OK", [("Content-Type", "application/json")])
            return [json.dumps(self._control(path.removeprefix("/_atlas/"), content)).encode()]
        put = environ["REQUEST_METHOD"] == "PUT"
        fails, done = self._fails(put)
        if fails and not done:
            return _answer(start, "503 Service Unavailable")

        def started(status: str, headers: Any, *rest: Any) -> Any:
            if put and status.startswith("200"):
                self._put.setdefault(path, set()).add(hashlib.sha256(content).hexdigest())
            return start("503 Service Unavailable" if fails else status, headers, *rest)

        with self._putting if put else nullcontext():
            return list(self._application(environ, started))

    def _fails(self, put: bool) -> tuple[bool, bool]:
        """Return whether a request is to fail, and whether it is to be done all the same."""
        with self._lock:
            self._requests += 1
            left = self._failure["puts"]
            if left is None or left < 0:
                return left is not None, False
            if not put:
                return False, False
            self._failure["puts"] = left - 1 if left or not self._failure["once"] else None
            return left == 0, self._failure["done"]

    def _control(self, what: str, content: bytes) -> Any:
        if what == "fail":
            self._failure = json.loads(content)
        elif what == "copy":
            _copy(**json.loads(content))
        elif what == "requests":
            return self._requests
        elif what == "put":
            with self._putting:
                return {path: sorted(each) for path, each in self._put.items()}
        return None


def _answer(start: StartResponse, status: str) -> Iterable[bytes]:
    start(status, [("Content-Length", "0")])
    return []


def _copy(old: str, new: str) -> None:
    from moto.core import DEFAULT_ACCOUNT_ID
    from moto.s3.models import s3_backends

    backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    for key in list(backend.buckets[BUCKET].keys.values()):
        if key.name.startswith(old):
            backend.put_object(BUCKET, new + key.name.removeprefix(old), key.value)


def main() -> None:
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    application = Recorder(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, application, threaded=True)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
