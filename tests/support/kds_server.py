"""A key distribution service (KDS) on the loopback, which has the simulated vendor's, and says what it was asked."""

import http.server
import threading
from typing import Any, Self
from urllib.parse import urlsplit

from airflow_provider_atlas.tee.pem import parse_pem, to_pem
from airflow_provider_atlas.tee.sev_snp.kds import vcek_path
from tests.support.simulated_snp import SnpVendor


class KdsServer(http.server.ThreadingHTTPServer):
    """Serves what vouches for ``vendor``'s platform as long as the ``with`` block lasts.

    ``asked`` are the paths of all requests. ``busy`` is how many more requests it turns away, ``status`` with which
    answer. Put other bodies into ``answers`` as it goes on.
    """

    daemon_threads = True

    def __init__(self, vendor: SnpVendor) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []
        self.busy = 0
        self.status = 429
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.answers = answers_of(vendor)

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


def answers_of(vendor: SnpVendor) -> dict[str, bytes]:
    """Return what a service that knows ``vendor`` has, by path."""
    product = vendor.authority.product
    leaf, *issuers = parse_pem(vendor.authority.chain())
    kind = vendor.platform.pattern.signing_key.lower()
    answers = {f"/{kind}/v1/{product}/cert_chain": to_pem(*issuers), f"/{kind}/v1/{product}/crl": vendor.crl}
    return answers if kind == "vlek" else {vcek_path(vendor.platform.pattern, product): leaf, **answers}


class _Handler(http.server.BaseHTTPRequestHandler):
    server: KdsServer
    wbufsize = -1  # one packet for each answer

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        found = self.server.answers.get(self.path)
        status = 200 if found is not None else 400 if urlsplit(self.path).query else 404
        if self.server.busy:
            self.server.busy -= 1
            found, status = None, self.server.status
        self.send_response(status)
        self.send_header("Content-Length", str(len(found or b"")))
        self.end_headers()
        self.wfile.write(found or b"")

    def log_message(self, *_: Any) -> None:
        pass
