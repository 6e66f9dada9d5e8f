"""What a log asks of an object store: whole objects, put if absent or if unchanged, and errors that help.

``s3://bucket/prefix?endpoint=https://…&region=…``; credentials come from the environment, as for every S3 client:
``AWS_ACCESS_KEY_ID`` and ``AWS_SECRET_ACCESS_KEY``, a web identity, or the machine's own role.

See: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html, RFC 9110 §13.1.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import NamedTuple, TypeVar
from urllib.parse import parse_qsl, urlsplit

from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import S3Store

from airflow_provider_atlas.errors import ConfigError, LogError

T = TypeVar("T")
R = TypeVar("R")

_OPTIONS = {"endpoint", "region"}
_PARALLEL = 16
_RETRIES = 5
_SHORT, _LONG = timedelta(milliseconds=50), timedelta(seconds=2)
_users: set[int] = set()
"""The process that uses the client, whose threads no fork has: a call in a fork would wait for them for ever."""


class Stored(NamedTuple):
    """The content of an object, and the tag (ETag) that it has as long as it is unchanged."""

    content: bytes
    tag: str


class Bucket:
    """The objects under the prefix that ``uri`` names. Raises ConfigError when it names none."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._threads = ThreadPoolExecutor(_PARALLEL)
        name, prefix, options = _parse(uri)
        with self._explained("open"):
            self._store = S3Store(
                name,
                prefix=prefix,
                client_options={
                    "connect_timeout": "5s",
                    "timeout": "30s",
                    "allow_http": options.get("endpoint", "").startswith("http://"),
                },
                retry_config={
                    "max_retries": _RETRIES,
                    "backoff": {"init_backoff": _SHORT, "max_backoff": _LONG, "base": 2},
                    "retry_timeout": timedelta(seconds=60),
                },
                **options,  # type: ignore[arg-type]  # the endpoint and the region, and nothing else
            )

    def get(self, path: str) -> Stored | None:
        """Return the object at ``path``, or None when there is none. Raises LogError."""
        with self._explained("read"):
            try:
                found = self._store.get(path)
                return Stored(bytes(found.bytes()), found.meta["e_tag"] or "")
            except FileNotFoundError:
                return None

    def create(self, path: str, content: bytes, **about: str) -> str | None:
        """Put ``content`` at ``path`` unless there is an object; return its tag, or None. Raises LogError.

        None may also mean that another put was under way, which may fail yet; or that it was this one, whose first
        answer was lost. Who cares looks.
        """
        with self._explained("append to"):
            try:
                return self._store.put(path, content, mode="create", attributes=_attributes(about))["e_tag"] or ""
            except AlreadyExistsError:
                return None

    def replace(self, path: str, content: bytes, tag: str, **about: str) -> str | None:
        """Put ``content`` at ``path`` if the object there has ``tag``; return its new tag, or None. Raises LogError."""
        with self._explained("append to"):
            try:
                put = self._store.put(path, content, mode={"e_tag": tag}, attributes=_attributes(about))
                return put["e_tag"] or ""
            except PreconditionError:
                return None

    def names(self, prefix: str) -> Iterator[list[str]]:
        """Yield the paths of the objects under ``prefix``, a folder, some at a time. Raises LogError."""
        with self._explained("list"):
            for page in self._store.list(prefix or None):
                yield [each["path"] for each in page]

    def remove(self, paths: list[str]) -> None:
        """Remove the objects at ``paths``, those that are there. Raises LogError."""
        with self._explained("tidy"):
            self._store.delete(paths)

    def each(self, action: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Return ``action`` of each of ``items``, in order, some of them done at once. Raises what it raises."""
        waiting = list(items)
        return list(self._threads.map(action, waiting)) if len(waiting) > 1 else [action(item) for item in waiting]

    @contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        _users.add(os.getpid())
        if len(_users) > 1:
            raise LogError(
                f"cannot {doing} the log in {self.uri} after a fork: open it first in the process that uses it"
            )
        try:
            yield
        except (BaseError, OSError) as error:
            why = str(error).partition("\n")[0].partition(": <?xml")[0][:300]
            raise LogError(
                f"cannot {doing} the log in {self.uri} ({why}): check the store and its credentials"
            ) from error


def _attributes(about: dict[str, str]) -> dict[str, str]:
    return {
        "Content-Type": about.get("kind", "application/octet-stream"),
        "Cache-Control": about.get("cache", "no-cache"),
    }


def _parse(uri: str) -> tuple[str, str, dict[str, str]]:
    """Return the bucket, the prefix and the options that ``uri`` names."""
    try:
        parts = urlsplit(uri)
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError as error:
        raise ConfigError("expected the log to be s3://bucket/prefix?endpoint=https://…&region=…") from error
    if parts.scheme != "s3" or not parts.netloc or parts.fragment or not set(options) <= _OPTIONS:
        raise ConfigError(f"expected the log to be s3://bucket/prefix, with {' and '.join(sorted(_OPTIONS))} at most")
    if "@" in parts.netloc or "@" in options.get("endpoint", ""):
        raise ConfigError("expected no credentials in the log's URI: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    return parts.netloc, parts.path.strip("/"), options
