"""What the log's service tells of itself, to Prometheus.

::

    # HELP atlas_log_requests_total Requests that were answered.
    # TYPE atlas_log_requests_total counter
    atlas_log_requests_total{method="POST",code="201"} 3

See: the Prometheus text-based exposition format, version 0.0.4.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_provider_atlas.tlog.backends.group_commit import GroupCommit

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""The media type of what ``ServiceMetrics.text`` returns."""

_METHODS = {"GET", "HEAD", "POST"}


class ServiceMetrics:
    """Counts the requests that ``counting`` lets through, and reads off ``commits`` what the log does."""

    def __init__(self, commits: GroupCommit) -> None:
        self._commits = commits
        self._requests: Counter[tuple[str, int]] = Counter()
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def counting(self, app: ASGIApp) -> ASGIApp:
        """Return ``app``, counted."""

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            """Answer as ``app`` does."""
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            # A stranger's methods must not become labels without end.
            method = scope["method"] if scope["method"] in _METHODS else "other"
            began = time.perf_counter()

            async def send_counted(message: Message) -> None:
                """Send ``message``, and count it where it begins an answer."""
                if message["type"] == "http.response.start":
                    self._requests[method, message["status"]] += 1
                    self._seconds[method] += time.perf_counter() - began
                await send(message)

            await app(scope, receive, send_counted)

        return counted

    def text(self) -> str:
        """Return all of it, as Prometheus reads it."""
        requests = {f'{{method="{method}",code="{code}"}}': n for (method, code), n in sorted(self._requests.items())}
        seconds = {f'{{method="{method}"}}': round(total, 6) for method, total in sorted(self._seconds.items())}
        commits = self._commits
        return "".join(
            (
                _metric("atlas_log_requests_total", "counter", "Requests that were answered.", requests),
                _metric("atlas_log_request_seconds_total", "counter", "Seconds until they were.", seconds),
                _metric("atlas_log_entries", "gauge", "Entries that a signed checkpoint covers.", {"": commits.size}),
                _metric("atlas_log_commits_total", "counter", "Commits since the start.", {"": commits.commits}),
                _metric("atlas_log_waiting", "gauge", "Entries that wait for a commit.", {"": commits.waiting}),
            )
        )


def _metric(name: str, kind: str, told: str, samples: Mapping[str, float]) -> str:
    lines = "".join(f"{name}{labels} {value}\n" for labels, value in samples.items())
    return f"# HELP {name} {told}\n# TYPE {name} {kind}\n{lines}"
