"""A way to a server that is cut at a moment of the test's choice: before or after what a client sends arrives."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_CHUNK = 1 << 20


class CuttingProxy:
    """The way to the port ``target`` of this machine, at ``port``."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._lock = threading.Lock()
        self._left: int | None = None
        self._done = self._once = False
        threading.Thread(target=self._serve, daemon=True).start()

    def cut(self, messages: int | None, *, done: bool = False, once: bool = False) -> None:
        """Cut after ``messages`` more from a client; one more arrives, though it is not answered, when ``done``.

        Unless ``once``, it stays cut. With None it is mended.
        """
        with self._lock:
            self._left, self._done, self._once = messages, done, once

    def close(self) -> None:
        self._server.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                # An answer that is waited for must not be let through behind a cut, so both ways end together.
                threading.Thread(target=self._up, args=(client, server), daemon=True).start()
                threading.Thread(target=_pipe, args=(server, client), daemon=True).start()

    def _up(self, client: socket.socket, server: socket.socket) -> None:
        with client, server, suppress(OSError):
            while data := client.recv(_CHUNK):
                cut, arrives = self._turn()
                if cut:
                    _end(client)
                if arrives:
                    server.sendall(data)
                if cut:
                    break
            server.shutdown(socket.SHUT_WR)
            _drain(server)
            _end(client)

    def _turn(self) -> tuple[bool, bool]:
        """Return whether to cut now, and whether what was sent arrives."""
        with self._lock:
            if self._left is None:
                return False, True
            self._left -= 1
            if self._left >= 0:
                return False, True
            arrives = self._done and self._left == -1
            if self._once:
                self._left = None
            return True, arrives


def _pipe(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(_CHUNK):
            sink.sendall(data)
    _end(sink)


def _end(client: socket.socket) -> None:
    with suppress(OSError):
        client.shutdown(socket.SHUT_RDWR)


def _drain(server: socket.socket) -> None:
    """Wait until the server has taken what arrived, and ended the connection."""
    server.settimeout(1)
    with suppress(OSError):
        while server.recv(_CHUNK):
            pass


@contextmanager
def cutting_proxy(target: int) -> Iterator[CuttingProxy]:
    """Open a way to the port ``target``, and close it with the block."""
    proxy = CuttingProxy(target)
    try:
        yield proxy
    finally:
        proxy.close()
