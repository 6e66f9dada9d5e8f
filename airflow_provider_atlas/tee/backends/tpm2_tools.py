"""A TPM, reached through the programs of ``tpm2-tools``: one call at a time on each machine, and never without end.

The programs are Debian's, Fedora's and Ubuntu's own packages; the Python binding has no wheels and needs a compiler.
They get files in a private folder and nothing secret. See: ADR 0019; tpm2-tools 5, ``man tpm2_quote``.
"""

import fcntl
import hashlib
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from airflow_provider_atlas.errors import AttesterError, MalformedError
from airflow_provider_atlas.tee.backends.tpm_address import TpmAddress
from airflow_provider_atlas.tee.tpm.attestation_key import AttestationKey
from airflow_provider_atlas.tee.tpm.signed_quote import SignedQuote
from airflow_provider_atlas.tee.tpm.structures import TpmQuote, TpmSignature

TIMEOUT_SECONDS = 45.0
"""How long a quote may take, waiting for other users of the TPM included."""

_ATTEMPTS = 3
_POLL_SECONDS = 0.02
_OWN_KEY = 1 << 16 | 1 << 1  # TPMA_OBJECT: restricted (signs only what the TPM made) and fixedTPM (cannot leave it)
_NO_HANDLE = re.compile(r"0x0*18b\b", re.IGNORECASE)  # TPM_RC_HANDLE for the first handle
_ATTRIBUTES = re.compile(r"^attributes:\n(?:  .*\n)*?  raw: (0x[0-9a-f]+)$", re.MULTILINE)

_MAKE_A_KEY = (
    "make one, as root: tpm2_createek -c ek.ctx -G rsa -u ek.pub; "
    "tpm2_createak -C ek.ctx -c ak.ctx -G ecc -g sha256 -s ecdsa; tpm2_evictcontrol -C o -c ak.ctx {ak:#x}"
)


class Tpm:
    """The TPM at one address, for as many processes as there are."""

    def __init__(self, address: TpmAddress, *, timeout: float = TIMEOUT_SECONDS) -> None:
        self._address = address
        self._timeout = timeout

    def attestation_key(self) -> AttestationKey:
        """Return the public half of the attestation key.

        Raises AttesterError when there is none, with the commands that make one, or it is one that signs anything.
        """
        with self._session() as session:
            out = session.folder / "ak.der"
            told = session.run("tpm2_readpublic", "-c", f"{self._address.ak:#x}", "-f", "der", "-o", out)
            attributes = _ATTRIBUTES.search(told)
            if attributes is None or int(attributes.group(1), 16) & _OWN_KEY != _OWN_KEY:
                raise AttesterError(
                    f"expected the key {self._address.ak:#x} to be fixed to its TPM, and restricted to what that made; "
                    f"another could sign a quote that no TPM gave: {_MAKE_A_KEY.format(ak=self._address.ak)}"
                )
            try:
                return AttestationKey.parse(_read(out))
            except MalformedError as error:
                raise AttesterError(f"cannot use the key {self._address.ak:#x}: {error}") from error

    def quote(self, extra_data: bytes) -> SignedQuote:
        """Return a quote of the PCRs that commits to ``extra_data``.

        Raises AttesterError when the TPM gives none, or its PCRs did not hold still.
        """
        with self._session() as session:
            for _ in range(_ATTEMPTS):
                signed = session.quote(extra_data)
                # An extension between the quote and the reading of the registers is nobody's fault.
                if signed.pcr_digest() == signed.quote.pcr_digest:
                    return signed
        raise AttesterError(
            "expected PCRs that hold still while they are quoted: leave out those that change, by pcrs=…"
        )

    def read_nv(self, index: int) -> bytes:
        """Return all of the non-volatile index ``index``. Raises AttesterError when it cannot be read."""
        with self._session() as session:
            out = session.folder / "nv"
            try:
                session.run("tpm2_nvread", "-C", "o", f"{index:#x}", "-o", out)
            except AttesterError as error:
                raise AttesterError(f"cannot read the index {index:#010x} of the TPM: {error}") from error
            return _read(out)

    @contextmanager
    def _session(self) -> Iterator["_Session"]:
        _check_device(self._address.device)
        end = time.monotonic() + self._timeout
        with _locked(self._address.tcti, end), tempfile.TemporaryDirectory(prefix="atlas-tpm-") as folder:
            yield _Session(self._address, Path(folder), end)


class _Session:
    """One caller's turn at the TPM, with a ``folder`` of its own, until the monotonic moment ``end``."""

    def __init__(self, address: TpmAddress, folder: Path, end: float) -> None:
        self.folder = folder
        self._address = address
        self._end = end

    def quote(self, extra_data: bytes) -> SignedQuote:
        message, signature, values = (self.folder / name for name in ("message", "signature", "values"))
        selection = "sha256:" + ",".join(map(str, self._address.pcrs))
        outputs = ("-m", message, "-s", signature, "-o", values, "-F", "values")
        key = f"{self._address.ak:#x}"
        self.run("tpm2_quote", "-Q", "-c", key, "-l", selection, "-q", extra_data.hex(), "-g", "sha256", *outputs)
        try:
            quote, parsed = TpmQuote.parse(_read(message)), TpmSignature.parse(_read(signature))
        except MalformedError as error:
            raise AttesterError(f"cannot read what the TPM gave: {error}") from error
        registers = _read(values)
        if quote.selection != self._address.pcrs or len(registers) != 32 * len(quote.selection):
            raise AttesterError(f"expected a TPM with a SHA-256 bank that has the PCRs {selection}")
        pcrs = {index: registers[32 * at : 32 * at + 32] for at, index in enumerate(quote.selection)}
        return SignedQuote(quote=quote, signature=parsed, pcrs=pcrs)

    def run(self, program: str, *arguments: str | Path) -> str:
        """Return what ``program`` prints. Raises AttesterError that tells what to do."""
        command = [program, "-T", self._address.tcti, *map(str, arguments)]
        try:
            done = subprocess.run(  # noqa: S603 - no shell, and the address is one of two patterns
                command,
                cwd=self.folder,
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TSS2_LOG": "all+none"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=max(0.0, self._end - time.monotonic()),
            )
        except FileNotFoundError as error:
            raise AttesterError(f"expected the program {program}: install tpm2-tools") from error
        except subprocess.TimeoutExpired as error:
            raise AttesterError(f"the TPM at {self._address.tcti} gave no answer in time") from error
        if done.returncode:
            raise AttesterError(self._advice(program, done.stderr))
        return done.stdout

    def _advice(self, program: str, told: str) -> str:
        if program != "tpm2_nvread" and _NO_HANDLE.search(told):
            ak = self._address.ak
            return f"no attestation key at {ak:#x} in the TPM: {_MAKE_A_KEY.format(ak=ak)}"
        words = " ".join(told.split())[-300:]
        return f"{program} failed at the TPM {self._address.tcti}: {words or 'it gave no reason'}"


def _check_device(path: str | None) -> None:
    if path is None:
        return
    if not Path(path).exists():
        raise AttesterError(
            f"no TPM at {path}: give this machine a TPM 2.0 (a virtual one will do), or set attester = none:"
        )
    if not os.access(path, os.R_OK | os.W_OK):
        raise AttesterError(f"this user cannot open {path}: add it to the group that owns it, tss by custom")


@contextmanager
def _locked(tcti: str, end: float) -> Iterator[None]:
    """Hold the lock of the TPM at ``tcti`` against all users of this machine.

    A TPM without a resource manager refuses a second caller, and with one it may run out of room.
    """
    name = f"atlas-tpm-{hashlib.sha256(tcti.encode()).hexdigest()[:16]}.lock"
    descriptor = _open_lock(Path(tempfile.gettempdir()) / name)
    try:
        while not _try(descriptor):
            if time.monotonic() > end:
                raise AttesterError(f"the TPM at {tcti} was busy all the time: is there a process that holds {name}?")
            time.sleep(_POLL_SECONDS)
        try:
            yield
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # a process forked meanwhile has the descriptor too
    finally:
        os.close(descriptor)


def _open_lock(path: Path) -> int:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        try:
            # Another user's file may be locked, but where Linux protects /tmp, not opened as one to be made.
            return os.open(path, flags)
        except FileNotFoundError:
            return os.open(path, flags | os.O_CREAT, 0o644)
    except OSError as error:
        raise AttesterError(f"cannot lock {path} ({error.strerror}): remove it, or let this user read it") from error


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise AttesterError(f"expected the TPM's programs to write {path.name} ({error.strerror})") from error
