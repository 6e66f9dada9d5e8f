"""Rekor v1, emulated on a port of this machine: a real server needs Trillian, a database and four processes more.

It has Rekor's interface, its canonical leaves, two trees (shards), an ECDSA key, checkpoints with an extra line,
promises (SET), 409 with a ``Location``. Of what is logged it shares no code with the client. ``tests/interop`` holds it
to Rekor's own code.
"""

import base64
import hashlib
import http.server
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qs, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate

from airflow_provider_atlas import merkle
from airflow_provider_atlas.tlog.log import TransparencyLog
from airflow_provider_atlas.tlog.note import ECDSA, VerifierKey
from airflow_provider_atlas.tlog.trust import TrustedLog
from tests.support.log_server import remote_log

HOST = "rekor.example"
TREE = 2605736670972794746
ORIGIN = f"{HOST} - {TREE}"
EARLIER = 1000
"""How many entries an earlier tree of this log has, which is closed."""


class Answer(NamedTuple):
    """What the log answers."""

    status: int
    body: bytes
    headers: dict[str, str]

    @classmethod
    def json(cls, status: int, document: object, **headers: str) -> "Answer":
        return cls(status, json.dumps(document).encode(), headers)


Lie = Callable[[str, Answer], Answer | None]
"""``lie(asked, honest)``: what is answered to "GET /path" instead; None closes the connection."""


class RekorV1(http.server.ThreadingHTTPServer):
    """A log, served as long as the ``with`` block lasts. ``lie`` changes what it answers, ``asked`` is what it was."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, key: ec.EllipticCurvePrivateKey | None = None, *, promises: bool = True) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._key = key or ec.generate_private_key(ec.SECP256R1())
        self._promises = promises
        self._leaves: list[bytes] = []
        self._times: list[int] = []
        self._checkpoints: dict[int, str] = {}
        self._lock = threading.RLock()
        self.key = VerifierKey(name=HOST, public_key=spki_of(self._key), kind=ECDSA)
        self.trusted = TrustedLog(origin=ORIGIN, key=self.key, entries="hashedrekord 0.0.1")
        self.lie: Lie = lambda _, answer: answer
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def client(self, home: Path, **section: Any) -> TransparencyLog:
        """Return a client, as a worker with these settings has it; what it sees it remembers in ``home``."""
        named = {"log": f"rekor-v1:{self.url}", "log_origin": ORIGIN, **section}
        return remote_log(self.url, str(self.key), home, **named)

    def forget(self, size: int) -> None:
        """Roll the log back to ``size`` entries."""
        with self._lock:
            del self._leaves[size:], self._times[size:]
            self._checkpoints.clear()

    def write(self, content: bytes) -> Answer:
        try:
            leaf = canonical(content)
        except (ValueError, KeyError, TypeError, InvalidSignature):
            return Answer.json(400, {"code": 400, "message": "error processing entry"})
        with self._lock:
            if leaf in self._leaves:
                place = f"/api/v1/log/entries/{self._name(leaf)}"
                known = {"code": 409, "message": f"an equivalent entry already exists at {place}"}
                return Answer.json(409, known, Location=place)
            self._leaves.append(leaf)
            self._times.append(int(time.time()))
            return Answer.json(201, self.entry(len(self._leaves) - 1))

    def read(self, target: str) -> Answer:
        path, asked = urlsplit(target).path, parse_qs(urlsplit(target).query)
        with self._lock:
            if path == "/api/v1/log":
                return Answer.json(200, self._head())
            if path == "/api/v1/log/proof":
                return self._proof(int(asked["firstSize"][0]), int(asked["lastSize"][0]), asked["treeID"][0])
            names = [self._name(leaf) for leaf in self._leaves]
            wanted = path.removeprefix("/api/v1/log/entries/")
            found = [index for index, name in enumerate(names) if wanted in (name, name[16:])]
            return Answer.json(200, self.entry(found[0])) if found else Answer.json(404, {"code": 404})

    def entry(self, index: int) -> dict[str, Any]:
        """Return what is said of the entry ``index``."""
        size, leaf = len(self._leaves), self._leaves[index]
        signed = {
            "body": base64.b64encode(leaf).decode(),
            "integratedTime": self._times[index],
            "logID": self.key.key_hash.hex(),
            "logIndex": EARLIER + index,
        }
        proof = merkle.inclusion_proof(index, size, self._node())
        said: dict[str, Any] = {
            "inclusionProof": {
                "checkpoint": self._checkpoint(),
                "hashes": [each.hex() for each in proof],
                "logIndex": index,
                "rootHash": self._root(size).hex(),
                "treeSize": size,
            }
        }
        if self._promises:
            promise = self._sign(json.dumps(signed, sort_keys=True, separators=(",", ":")).encode())
            said["signedEntryTimestamp"] = base64.b64encode(promise).decode()
        return {self._name(leaf): {"attestation": {}, **signed, "verification": said}}

    def _head(self) -> dict[str, Any]:
        size = len(self._leaves)
        return {
            "inactiveShards": [{"rootHash": "00" * 32, "signedTreeHead": "", "treeID": "7", "treeSize": EARLIER}],
            "rootHash": self._root(size).hex(),
            "signedTreeHead": self._checkpoint(),
            "treeID": str(TREE),
            "treeSize": size,
        }

    def _proof(self, old: int, new: int, tree: str) -> Answer:
        if tree != str(TREE) or not 0 < old <= new <= len(self._leaves):
            return Answer.json(400, {"code": 400, "message": "no such tree"})
        proof = merkle.consistency_proof(old, new, self._node())
        return Answer.json(200, {"rootHash": self._root(new).hex(), "hashes": [each.hex() for each in proof]})

    def _checkpoint(self) -> str:
        size = len(self._leaves)
        if size not in self._checkpoints:
            root = base64.b64encode(self._root(size)).decode()
            text = f"{ORIGIN}\n{size}\n{root}\nTimestamp: {time.time_ns()}\n"
            line = base64.b64encode(self.key.key_id + self._sign(text.encode())).decode()
            self._checkpoints[size] = f"{text}\n\N{EM DASH} {HOST} {line}\n"
        return self._checkpoints[size]

    def _sign(self, message: bytes) -> bytes:
        return self._key.sign(message, ec.ECDSA(hashes.SHA256()))

    def _root(self, size: int) -> bytes:
        return merkle.root(size, self._node())

    def _node(self) -> merkle.Node:
        return merkle.nodes_of([merkle.leaf_hash(leaf) for leaf in self._leaves])

    def _name(self, leaf: bytes) -> str:
        return f"{TREE:016x}{hashlib.sha256(bytes(1) + leaf).hexdigest()}"


def spki_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return the public half of ``key``, as it is named in DER."""
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def canonical(content: bytes) -> bytes:
    """Return the leaf that is logged for the proposed entry in ``content``, once its signature verifies."""
    asked = json.loads(content)
    if (asked["kind"], asked["apiVersion"], asked["spec"]["data"]["hash"]["algorithm"]) != (
        "hashedrekord",
        "0.0.1",
        "sha256",
    ):
        raise ValueError("another kind of entry")
    digest = bytes.fromhex(asked["spec"]["data"]["hash"]["value"])
    signature = base64.b64decode(asked["spec"]["signature"]["content"])
    pem = base64.b64decode(asked["spec"]["signature"]["publicKey"]["content"])
    certificate = load_pem_x509_certificate(pem) if b"CERTIFICATE" in pem else None
    key = certificate.public_key() if certificate else load_pem_public_key(pem)
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(signature, digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    spelled = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    pem = certificate.public_bytes(Encoding.PEM) if certificate else spelled
    spec = {
        "data": {"hash": {"algorithm": "sha256", "value": digest.hex()}},
        "signature": {
            "content": base64.b64encode(signature).decode(),
            "publicKey": {"content": base64.b64encode(pem).decode()},
        },
    }
    entry = {"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": spec}
    return json.dumps(entry, sort_keys=True, separators=(",", ":")).encode()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet for each answer
    server: RekorV1

    def do_GET(self) -> None:
        self._send(self.server.read(self.path))

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self._send(self.server.write(content) if self.path == "/api/v1/log/entries" else Answer(404, b"", {}))

    def _send(self, honest: Answer) -> None:
        asked = f"{self.command} {self.path}"
        self.server.asked.append(asked)
        answer = self.server.lie(asked, honest)
        if answer is None:
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, *_: object) -> None:
        pass
