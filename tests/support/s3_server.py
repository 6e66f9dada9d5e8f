"""An S3 server on this machine, of its own process: moto, with a record of what was put, and failures on demand.

``python -m tests.support.s3_server`` prints its port and serves until it is ended. ``POST /_atlas/fail`` takes
``{"puts": n, "answer": true}``: after n more puts that count everything fails until it is asked to again, and the last
of the puts is done (though not answered) or not. ``GET /_atlas/put`` returns every key that was put with every SHA-256.
"""

import hashlib
import io
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
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

    def fail(self, puts: int | None, *, done: bool = False) -> None:
        """Fail from the put on that follows ``puts`` more; that one is ``done`` all the same. With None, never."""
        self._ask("POST", "/_atlas/fail", json.dumps({"puts": puts, "done": done}).encode())

    def contents(self) -> dict[str, list[str]]:
        """Return every key that was put, with the SHA-256 of each content that it has had."""
        found: dict[str, list[str]] = json.loads(self._ask("GET", "/_atlas/put"))
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
    """``application``, with a record of its puts, and failures on demand."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._put: dict[str, set[str]] = {}
        self._left: int | None = None
        self._done = False

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path: str = environ["PATH_INFO"]
        if path.startswith("/_atlas/"):
            return self._control(path, environ, start)
        if environ["REQUEST_METHOD"] == "PUT" and self._left is not None:
            self._left -= 1
        if self._left is None or self._left >= 0:
            return self._serve(path, environ, start)
        if self._left == -1 and self._done and environ["REQUEST_METHOD"] == "PUT":
            self._left = -2
            list(self._serve(path, environ, lambda *_: lambda _data: None))
        self._left = min(self._left, -2)
        start("503 Service Unavailable", [("Content-Length", "0")])
        return []

    def _serve(self, path: str, environ: WSGIEnvironment, start: Any) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] != "PUT":
            return self._application(environ, start)
        content = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(content)

        def started(status: str, headers: Any, *rest: Any) -> Any:
            if status.startswith("200"):
                self._put.setdefault(path, set()).add(hashlib.sha256(content).hexdigest())
            return start(status, headers, *rest)

        return self._application(environ, started)

    def _control(self, path: str, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        if path == "/_atlas/fail":
            wanted = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
            self._left, self._done = wanted["puts"], wanted["done"]
        start("200 OK", [("Content-Type", "application/json")])
        return [json.dumps({path: sorted(contents) for path, contents in self._put.items()}).encode()]


def main() -> None:
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    application = Recorder(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, application, threaded=True)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
