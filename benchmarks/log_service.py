"""How many entries a second ``atlas log serve`` makes durable, by how many clients write at once.

::

    python benchmarks/log_service.py --seconds 5 --clients 1 16 128 [--rekor]

Each client keeps one connection and writes one entry after the other; every answer is a 201, with a receipt. The
clients are one process beside the service, so on a machine of two cores each has one. ``--rekor`` measures Sigstore's
own Rekor v2 on the same disk, too (needs Go): it publishes a checkpoint every 200 ms, and answers when one covers it.
"""

import argparse
import asyncio
import hashlib
import statistics
import sys
import tempfile
import time
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

sys.path.insert(0, str(Path(__file__).parents[1]))

from airflow_provider_atlas.tlog import rekor
from airflow_provider_atlas.tlog.hashedrekord import HashedRekord
from tests.support.log_server import LogServer
from tests.support.rekor_server import RekorServer

_KEY = ec.generate_private_key(ec.SECP256R1())
_SPKI = _KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def signed_request(number: int) -> bytes:
    """Return an HTTP request to log an entry unlike every other."""
    digest = hashlib.sha256(b"%d" % number).digest()
    signature = _KEY.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    body = rekor.request(HashedRekord(digest=digest, signature=signature, spki=_SPKI))
    head = f"POST /api/v2/log/entries HTTP/1.1\r\nHost: log\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def client(port: int, requests: list[bytes], ends: float, took: list[float]) -> None:
    """Write entries over one connection until ``ends``; note the seconds that each took."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.perf_counter() < ends:
        began = time.perf_counter()
        writer.write(requests.pop())
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 201"):
            raise SystemExit(f"expected a 201, and not {head[:60]!r}")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length))
        took.append(time.perf_counter() - began)
    writer.close()


async def measure(name: str, port: int, clients: int, seconds: float, requests: list[bytes]) -> None:
    """Let so many clients write for so long, and print how fast it was."""
    took: list[float] = []
    began = time.perf_counter()
    await asyncio.gather(*(client(port, requests, began + seconds, took) for _ in range(clients)))
    rate = len(took) / (time.perf_counter() - began)
    p50, p99 = (1000 * statistics.quantiles(took, n=100)[at] for at in (49, 98))
    print(
        f"{name} {clients:4} clients  {rate:7.0f} durable appends/s  p50 {p50:6.1f} ms  p99 {p99:6.1f} ms", flush=True
    )


def main() -> None:
    """Measure each number of clients against a log of its own."""
    parser = argparse.ArgumentParser(description="Measure atlas log serve.")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--clients", type=int, nargs="*", default=[1, 16, 128])
    parser.add_argument("--rekor", action="store_true", help="measure Sigstore's Rekor v2, too")
    options = parser.parse_args()
    servers = {"atlas log serve": LogServer, **({"rekor-server   ": RekorServer} if options.rekor else {})}
    made = iter(range(1 << 40))
    for name, kind in servers.items():
        for clients in options.clients:
            requests = [signed_request(next(made)) for _ in range(int(options.seconds * 6000))]
            with tempfile.TemporaryDirectory() as folder, kind(Path(folder)) as server:
                asyncio.run(measure(name, server.port, clients, options.seconds, requests))


if __name__ == "__main__":
    main()
