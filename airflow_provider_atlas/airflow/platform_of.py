"""What a task ran on, as its worker says: versions, and a digest of what is installed."""

import os
import platform
import sys
from functools import lru_cache

from airflow_provider_atlas import __version__
from airflow_provider_atlas.encoding import sha256_hex
from airflow_provider_atlas.intoto.environment import Platform


def platform_of(image: str) -> Platform:
    """Return this process's platform; ``image`` is what the operator says of it, or empty."""
    import airflow

    return Platform(
        python=platform.python_version(),
        airflow=airflow.__version__,
        atlas=__version__,
        distributions_sha256=distributions_sha256(),
        image=image or None,
    )


def distributions_sha256() -> str:
    """Return the SHA-256 (hex) of the sorted lines ``name-version`` of what is installed on ``sys.path``.

    ``pip freeze`` by another name. The names of ``*.dist-info`` folders hold both, so no metadata is opened: that
    would cost a second. A name is there once for each folder of the path that has it.
    """
    folders = tuple((folder, _changed(folder)) for folder in dict.fromkeys(sys.path) if os.path.isdir(folder))
    return sha256_hex("\n".join(sorted(line for folder, at in folders for line in _installed(folder, at))).encode())


# A process that forks tasks hands its answers down; one who installs something changes the folder's time.
@lru_cache(maxsize=64)
def _installed(folder: str, _changed_at: int) -> tuple[str, ...]:
    suffix = ".dist-info"
    try:
        with os.scandir(folder) as entries:
            return tuple(entry.name.removesuffix(suffix) for entry in entries if entry.name.endswith(suffix))
    except OSError:
        return ()


def _changed(folder: str) -> int:
    try:
        return os.stat(folder).st_mtime_ns
    except OSError:
        return 0
