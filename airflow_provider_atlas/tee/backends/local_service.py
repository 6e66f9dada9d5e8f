"""One question over HTTP to a service beside the guest: never by a proxy, never elsewhere, and not for long."""

import time
from collections.abc import Mapping

import requests

from airflow_provider_atlas.errors import AttesterError

TIMEOUT_SECONDS = 45.0
"""How long an answer may take: what is asked may be a quote."""

_CONNECT_SECONDS = 3.0
_MAX_BYTES = 1 << 20


def get(url: str, headers: Mapping[str, str], what: str, *, parameters: Mapping[str, str] | None = None) -> bytes:
    """Return ``what``, which ``url`` answers with, at most 1 MiB. Raises AttesterError that names it otherwise."""
    try:
        with requests.Session() as session:
            session.trust_env = False  # a proxy would be the one that is attested
            response = session.get(
                url,
                headers=dict(headers),
                params=dict(parameters or {}),
                timeout=(_CONNECT_SECONDS, TIMEOUT_SECONDS),
                allow_redirects=False,
                stream=True,
            )
            with response:
                content = _read(response)
    except (requests.RequestException, OSError) as error:
        raise AttesterError(f"no answer from {url}, which was asked for {what}: is the service running?") from error
    if len(content) > _MAX_BYTES:
        raise AttesterError(f"expected {what} of at most {_MAX_BYTES} bytes from {url}, in {TIMEOUT_SECONDS:.0f} s")
    if response.status_code != requests.codes.ok:
        raise AttesterError(f"{url} has no {what}: it answers {response.status_code}")
    return content


def _read(response: requests.Response) -> bytes:
    """Return what ``response`` holds, or more than may be when it is too long, or does not end."""
    content, end = bytearray(), time.monotonic() + TIMEOUT_SECONDS
    for chunk in response.iter_content(1 << 16):
        content += chunk
        if len(content) > _MAX_BYTES or time.monotonic() > end:
            return bytes(_MAX_BYTES + 1)
    return bytes(content)
