"""The log as a service: Rekor v2's interface to write, tlog-tiles to read. One process holds the key for all workers.

::

    POST /api/v2/log/entries                    201 the entry with its proof · 409 and x-log-index when it is there
    GET  /checkpoint, /tile/…                   the same below /api/v2, where Rekor's clients look
    GET  /healthz, /metrics                     for the operator

An entry is in the log only when its signature verifies. Every refusal is a status of gRPC as JSON, as Rekor has it.
See: rekor-tiles, ``rekor_service.proto`` and ``CLIENTS.md``; https://c2sp.org/tlog-tiles.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from airflow_provider_atlas.errors import LogError, MalformedError, MissingError, SignatureError
from airflow_provider_atlas.tlog.backends.group_commit import BusyError, GroupCommit
from airflow_provider_atlas.tlog.backends.posix import PosixLog
from airflow_provider_atlas.tlog.backends.service_limits import Rate, Tokens
from airflow_provider_atlas.tlog.backends.service_metrics import MEDIA_TYPE, ServiceMetrics
from airflow_provider_atlas.tlog.hashedrekord import HashedRekord
from airflow_provider_atlas.tlog.rekor import MAX_REQUEST_BYTES, LogEntry, parse_request
from airflow_provider_atlas.tlog.tile import Tile

_BODY_SECONDS = 10
_RETRY = {"Retry-After": "1"}
_GRPC = {400: 3, 401: 16, 403: 7, 404: 5, 405: 12, 408: 4, 409: 6, 413: 3, 429: 8, 500: 13, 503: 14}
_IMMUTABLE = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
_MUTABLE = {"Cache-Control": "public, max-age=1", "X-Content-Type-Options": "nosniff"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How large a request may be (bytes), how many writes there may be a second, and how many may wait."""

    body: int = MAX_REQUEST_BYTES
    rate: float = 10_000
    waiting: int = 4_096


class LogService:
    """Serves ``log``; who writes must bear one of ``tokens``, unless it is None."""

    def __init__(self, log: PosixLog, tokens: Tokens | None, limits: Limits) -> None:
        self._log = log
        self._tokens = tokens
        self._limits = limits
        self._rate = Rate(limits.rate)
        self._commits = GroupCommit(log, most_waiting=limits.waiting)
        self._metrics = ServiceMetrics(self._commits)

    def app(self) -> ASGIApp:
        """Return the ASGI application. Its lifespan ends when all that was accepted is committed."""
        reads = (("/checkpoint", self._checkpoint), ("/tile/{name:path}", self._tile))
        routes = [
            Route("/api/v2/log/entries", self._create, methods=["POST"]),
            *(Route(f"{prefix}{path}", endpoint) for prefix in ("", "/api/v2") for path, endpoint in reads),
            Route("/healthz", _healthz),
            Route("/metrics", self._told),
        ]
        handlers = {HTTPException: _refuse, Exception: _fail}
        return self._metrics.counting(Starlette(routes=routes, exception_handlers=handlers, lifespan=self._lifespan))

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        yield
        await self._commits.close()

    async def _create(self, request: Request) -> Response:
        self._admit(request)
        leaf = _leaf(await self._body(request))
        entry = leaf.to_bytes()
        try:
            committed = await self._commits.append(entry)
        except BusyError as error:
            raise HTTPException(503, str(error), _RETRY) from error
        except LogError as error:
            # The message names folders of this machine, which are nobody else's business.
            raise HTTPException(503, "the log cannot be written", _RETRY) from error
        if not committed.fresh:
            index = str(committed.receipt.index)
            raise HTTPException(409, "an equivalent entry already exists in the log", {"x-log-index": index})
        answer = LogEntry(body=entry, receipt=committed.receipt, log_id=self._log.key.key_hash)
        return Response(answer.to_bytes(), 201, media_type="application/json")

    def _admit(self, request: Request) -> None:
        """Refuse who may not write, and who writes too much."""
        if self._tokens:
            scheme, _, token = request.headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not token:
                raise HTTPException(401, "expected a bearer token", {"WWW-Authenticate": "Bearer"})
            if not self._tokens.knows(token):
                raise HTTPException(403, "expected a bearer token that may write")
        if not self._rate.admits():
            raise HTTPException(429, "too many writes: try again", _RETRY)

    async def _body(self, request: Request) -> bytes:
        body = bytearray()
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                async for part in request.stream():
                    body += part
                    if len(body) > self._limits.body:
                        told = f"expected a request of at most {self._limits.body} bytes"
                        raise HTTPException(413, told, {"Connection": "close"})
        except TimeoutError as error:
            raise HTTPException(408, "expected the request sooner", {"Connection": "close"}) from error
        except ClientDisconnect as error:
            raise HTTPException(400, "expected the whole request") from error
        return bytes(body)

    def _checkpoint(self, _: Request) -> Response:
        signed = self._log.reader.latest()
        if signed is None:
            raise HTTPException(404, "the log has signed nothing yet")
        return Response(signed.note.to_bytes(), media_type="text/plain; charset=utf-8", headers=_MUTABLE)

    def _tile(self, request: Request) -> Response:
        try:
            content = self._log.reader.tile(Tile.parse(f"tile/{request.path_params['name']}"))
        except (MalformedError, MissingError) as error:
            raise HTTPException(404, "the log has no such tile") from error
        return Response(content, media_type="application/octet-stream", headers=_IMMUTABLE)

    async def _told(self, _: Request) -> Response:
        return Response(self._metrics.text(), media_type=MEDIA_TYPE)


def _leaf(body: bytes) -> HashedRekord:
    try:
        leaf = parse_request(body)
        leaf.verify()
    except (MalformedError, SignatureError) as error:
        raise HTTPException(400, f"invalid hashedrekord request: {error}") from error
    return leaf


async def _healthz(_: Request) -> Response:
    return JSONResponse({"status": "SERVING"})


async def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for no other
    return _status(error.status_code, error.detail, dict(error.headers or {}))


async def _fail(_: Request, __: Exception) -> Response:
    return _status(500, "the log failed", {})


def _status(code: int, message: str, headers: dict[str, str]) -> Response:
    # What is not there yet may be there in a second, and no cache may say otherwise.
    headers = {**headers, "Cache-Control": "no-store"}
    return JSONResponse({"code": _GRPC.get(code, 2), "message": message, "details": []}, code, headers)
