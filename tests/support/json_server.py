"""An HTTP server on a loopback port that answers with fixed JSON, and keeps what it was asked."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Page = Any | Callable[[Mapping[str, str]], Any]
"""What a path answers with: JSON, or a function of the query's parameters that returns JSON; bytes go as they are."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request."""

    path: str
    parameters: Mapping[str, str]
    headers: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class JsonServer:
    """The server at ``url``, and the requests that it answered."""

    url: str
    requests: list[Request] = field(default_factory=list)


@contextmanager
def json_server(pages: Mapping[str, Page]) -> Iterator[JsonServer]:
    """Serve ``pages`` by their paths, 404 for all others, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            split = urlsplit(self.path)
            parameters = dict(parse_qsl(split.query))
            running.requests.append(Request(path=split.path, parameters=parameters, headers=dict(self.headers)))
            if split.path not in pages:
                self.send_error(404)
                return
            page = pages[split.path]
            value = page(parameters) if callable(page) else page
            body = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running = JsonServer(url=f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
