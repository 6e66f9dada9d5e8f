"""Secrets in files: tokens, read only from files that strangers can neither read nor change."""

import os
import stat
from pathlib import Path

from airflow_provider_atlas.errors import ConfigError

_MAX_BYTES = 65_536
_REFUSED = stat.S_IWGRP | stat.S_IRWXO
"""Group members may read, because that is how orchestrators hand secrets to a service; they may not write."""


def read_private(path: Path, what: str) -> str:
    """Return the ASCII text in the file ``path``.

    Raises ConfigError, which names ``what``, when it cannot be read, is open to others, or is not such a text.
    """
    try:
        with path.open("rb") as file:
            mode, content = os.fstat(file.fileno()).st_mode, file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"cannot read {what} {path}: {error.strerror}") from error
    if mode & _REFUSED:
        raise ConfigError(f"{what} {path} is open to others: run chmod 600 on it, or mount it with mode 0440")
    if len(content) > _MAX_BYTES or not content.isascii():
        raise ConfigError(f"expected {what} {path} to hold at most {_MAX_BYTES} characters of ASCII")
    return content.decode("ascii")
