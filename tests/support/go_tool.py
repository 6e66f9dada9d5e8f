"""Programs that Go builds from sources, once for this machine: the first time takes minutes, and 200 MB of modules."""

import os
import subprocess
import tempfile
from pathlib import Path


def built(name: str, version: str, *arguments: str, folder: Path | None = None) -> Path:
    """Return the program ``name``; ``go`` with ``arguments`` makes it in ``$GOBIN``, when ``version`` is not there yet.

    ``folder`` is the module to build in. ``$ATLAS_TEST_TOOLS`` is where programs are kept, or else the user's cache.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "airflow-provider-atlas"
    tools = Path(os.environ.get("ATLAS_TEST_TOOLS") or cache)
    program = tools / version / name
    if not program.exists():
        program.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=tools) as fresh:  # a build that is cut short leaves nothing behind
            environment = {**os.environ, "GOBIN": fresh, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false"}
            command = ["nice", "-n", "10", "go", *arguments]
            subprocess.run(command, env=environment, cwd=folder, check=True, timeout=1200)
            (Path(fresh) / name).rename(program)
    return program
