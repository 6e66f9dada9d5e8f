"""A TPM 2.0 in software (swtpm) on a loopback port of its own, gone with the block that started it."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

RSA_AK = 0x81010002
ECC_AK = 0x81010003
LOOSE_AK = 0x81010004


class Swtpm:
    """The TPM on ``port``, as its owner speaks with it."""

    def __init__(self, port: int, folder: Path) -> None:
        self.tcti = f"swtpm:host=127.0.0.1,port={port}"
        self._folder = folder

    def address(self, ak: int = RSA_AK, **parameters: str) -> str:
        """Return what follows ``tpm:`` in the setting."""
        return f"{self.tcti}?" + "&".join([f"ak={ak:#x}", *(f"{name}={value}" for name, value in parameters.items())])

    def owner(self, command: str) -> str:
        """Run a program of tpm2-tools on this TPM, and forget what it left in the TPM's few slots."""
        done = subprocess.run(
            [*command.split(), "-T", self.tcti],
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        subprocess.run(["tpm2_flushcontext", "-T", self.tcti, "-t"], capture_output=True, check=True, timeout=30)
        return done.stdout

    def make_keys(self) -> None:
        """Make the attestation keys: RSA, ECC, and one that would sign anything."""
        self.owner("tpm2_createek -Q -c ek.ctx -G rsa -u ek.pub")
        self.make_ak(RSA_AK, "-G rsa -g sha256 -s rsassa")
        self.make_ak(ECC_AK, "-G ecc -g sha256 -s ecdsa")
        loose = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign"
        self.owner(f"tpm2_createprimary -Q -C o -c loose.ctx -G ecc:ecdsa-sha256:null -g sha256 -a {loose}")
        self.owner(f"tpm2_evictcontrol -Q -C o -c loose.ctx {LOOSE_AK:#x}")

    def make_ak(self, handle: int, kind: str) -> None:
        """Make a restricted key at ``handle``."""
        self.owner(f"tpm2_createak -Q -C ek.ctx -c ak.ctx {kind}")
        self.owner(f"tpm2_evictcontrol -Q -C o -c ak.ctx {handle:#x}")

    def write_nv(self, index: int, content: bytes) -> None:
        """Define the index and fill it."""
        (self._folder / "nv").write_bytes(content)
        with suppress(AssertionError):
            self.owner(f"tpm2_nvundefine -Q -C o {index:#x}")
        self.owner(f"tpm2_nvdefine -Q -C o -s {len(content)} -a ownerread|ownerwrite|authread|authwrite {index:#x}")
        self.owner(f"tpm2_nvwrite -Q -C o -i nv {index:#x}")


@contextmanager
def swtpm() -> Iterator[Swtpm]:
    """Start a TPM, and end it with the block."""
    assert shutil.which("swtpm"), "swtpm is not installed: apt-get install swtpm tpm2-tools"
    folder = Path(tempfile.mkdtemp(prefix="atlas-swtpm-"))
    port = _two_free_ports()
    bind = "bindaddr=127.0.0.1"
    command = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={folder}", "--flags", "not-need-init,startup-clear"]
    command += ["--server", f"type=tcp,port={port},{bind}", "--ctrl", f"type=tcp,port={port + 1},{bind}"]
    quiet = subprocess.DEVNULL
    try:
        with subprocess.Popen(command, stdout=quiet, stderr=quiet, env={**os.environ, "HOME": str(folder)}) as process:
            try:
                _wait_for(process, port)
                yield Swtpm(port, folder)
            finally:
                process.terminate() if process.poll() is None else None
                with suppress(subprocess.TimeoutExpired):
                    process.wait(10)
                process.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _two_free_ports() -> int:
    """Return a port that is free and has a free one above it: tools reckon the control port from the other."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port: int = server.getsockname()[1]
            with suppress(OSError, OverflowError), socket.create_server(("127.0.0.1", port + 1)):
                return port


def _wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    end = time.monotonic() + 20
    while True:
        assert process.poll() is None, "swtpm ended"
        try:
            socket.create_connection(("127.0.0.1", port + 1), timeout=2).close()
        except OSError:
            assert time.monotonic() < end, "swtpm did not start"
            time.sleep(0.05)
        else:
            return
