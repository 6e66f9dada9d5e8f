"""A cache of collateral (PCCS) on the loopback, which has the simulated vendor's, and says what it was asked."""

import http.server
import json
import threading
from typing import Any, Self
from urllib.parse import quote, urlsplit

_DOCUMENTS = {
    "/tdx/certification/v4/tcb": ("TCB-Info-Issuer-Chain", "tcbInfo", "tcb_info"),
    "/tdx/certification/v4/qe/identity": ("SGX-Enclave-Identity-Issuer-Chain", "enclaveIdentity", "qe_identity"),
}


class PccsServer(http.server.ThreadingHTTPServer):
    """Serves ``collateral`` (JSON as ``dcap-qvl`` has it) as long as the ``with`` block lasts.

    ``asked`` are the paths of all requests. Set ``collateral`` to another, or ``down`` to True, as it goes on.
    """

    daemon_threads = True

    def __init__(self, collateral: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.collateral = collateral
        self.asked: list[str] = []
        self.down = False
        self.url = f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def answer(self, path: str) -> tuple[dict[str, str], bytes] | None:
        """Return the headers and the body for ``path``, or None where there is nothing."""
        has: dict[str, Any] = json.loads(self.collateral)
        documents = {
            "/tdx/certification/v4/tcb": ("TCB-Info-Issuer-Chain", "tcbInfo", "tcb_info"),
            "/tdx/certification/v4/qe/identity": (
                "SGX-Enclave-Identity-Issuer-Chain",
                "enclaveIdentity",
                "qe_identity",
            ),
        }
        if path in documents:
            header, member, name = documents[path]
            body = f'{{"{member}":{has[name]},"signature":"{has[f"{name}_signature"]}"}}'
            return {header: quote(has[f"{name}_issuer_chain"])}, body.encode()
        if path == "/sgx/certification/v4/pckcrl":
            return {"SGX-PCK-CRL-Issuer-Chain": quote(has["pck_crl_issuer_chain"])}, bytes.fromhex(has["pck_crl"])
        if path == "/sgx/certification/v4/rootcacrl":
            return {}, has["root_ca_crl"].encode()
        return None


class _Handler(http.server.BaseHTTPRequestHandler):
    server: PccsServer
    wbufsize = -1  # one packet for each answer

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        found = None if self.server.down else self.server.answer(urlsplit(self.path).path)
        headers, body = found or ({}, b"")
        self.send_response(503 if self.server.down else 200 if found else 404)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass
