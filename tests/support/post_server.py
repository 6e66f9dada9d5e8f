"""A service on loopback that answers what is posted to one path, in a thread of this process, gone with the block."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@contextmanager
def serving_posts(path: str, answer: Callable[[bytes], tuple[int, bytes]], *, media_type: str) -> Iterator[str]:
    """Serve ``answer``, which gives status and body for a body posted to ``path``; yield the URL of the server."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, told = answer(body) if self.path == path else (404, b"{}")
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Location", f"http://{self.headers['Host']}{self.path}")  # for who would follow it
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
