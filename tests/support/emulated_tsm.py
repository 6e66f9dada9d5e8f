"""An emulated configfs-tsm, mounted by ``atlas tee simulate`` in a process of its own, gone with the block."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from airflow_provider_atlas.settings import Settings
from airflow_provider_atlas.wiring import tees

NOBODY = 65534


@dataclass(frozen=True)
class EmulatedTsm:
    """Where it is mounted, and what it said of itself."""

    mount: Path
    told: Mapping[str, str]

    @property
    def report(self) -> Path:
        """The folder of requests."""
        return self.mount / "tsm" / "report"

    @property
    def registers(self) -> Path:
        """The folder of measurement registers."""
        return self.mount / "tdx_guest" / "measurements"

    @property
    def attester_uri(self) -> str:
        """What to set ``attester`` to."""
        return self.told["attester"]

    @property
    def root_sha256(self) -> str:
        """What a policy names to accept it."""
        return self.told["development_root"]

    def attester(self):
        """Return the attester that a worker has."""
        return tees.attester(Settings.parse({"attester": self.attester_uri}, home="/"))

    def fail(self, *faults: str) -> None:
        """Let the next reports meet ``faults``: EBUSY, EIO, …, or seconds to take longer."""
        write(self.mount / "faults", " ".join(faults).encode())


@contextmanager
def emulated_tsm(tee: str = "tdx") -> Iterator[EmulatedTsm]:
    """Mount one, and unmount it with the block."""
    folder = Path(tempfile.mkdtemp(prefix="atlas-tsm-"))
    folder.chmod(0o755)  # for those who are not root
    mount = folder / "mount"
    mount.mkdir()
    program = "import sys; from airflow_provider_atlas.cli.main import main; sys.exit(main())"
    arguments = ["tee", "simulate", "--tee", tee, "--mount", mount, "--home", folder / "home", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        told = process.stdout.readline()
        assert told, f"no mount: {process.communicate()[1]}"
        yield EmulatedTsm(mount, json.loads(told))
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=10)
        process.kill()
        if mount.is_mount():
            subprocess.run(["fusermount3", "-u", "-z", mount], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def write(path: Path, content: bytes) -> None:
    """Write ``content`` in one go, as attributes are written."""
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, content)
    finally:
        os.close(descriptor)


def read(path: Path) -> bytes:
    """Read an attribute to its end."""
    with path.open("rb", buffering=0) as file:
        return file.read()


def as_nobody(program: str, *, after: str = "") -> subprocess.CompletedProcess[str]:
    """Run the Python ``program`` as a user without rights, ``after`` what it imports: this one may not read that."""
    drop = f"import os; os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})"
    whole = "\n".join((after, drop, program))
    return subprocess.run([sys.executable, "-c", whole], capture_output=True, text=True, check=False)
