"""Attest through the helper of this machine: for workers that may not ask the TEE by themselves."""

import errno
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from airflow_provider_atlas.errors import AttesterError, MalformedError
from airflow_provider_atlas.tee.answer import MAX_ANSWER_SIZE, REQUEST_SIZE, Answer, Problem
from airflow_provider_atlas.tee.evidence import Evidence

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HelperAttester:
    """An ``Attester`` that asks the helper at the socket ``path``. One request takes ``timeout`` seconds at most.

    What the helper says is not believed: whoever judges the evidence checks what it commits to.
    """

    path: Path
    timeout: float = 60.0

    def attest(self, report_data: bytes) -> Evidence:
        """Return the evidence that the helper gives for ``report_data``, 64 bytes.

        Raises AttesterError that says what to do when there is none.
        """
        if len(report_data) != REQUEST_SIZE:
            raise AttesterError(f"expected {REQUEST_SIZE} bytes of report data, not {len(report_data)}")
        until, pause = time.monotonic() + self.timeout, _FIRST_PAUSE
        while True:
            content = self._asked(report_data, until).content
            if isinstance(content, Evidence):
                return content
            if not content.again or time.monotonic() + pause >= until:
                raise AttesterError(f"the attestation helper at {self.path} gives no evidence: {content.detail}")
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _asked(self, report_data: bytes, until: float) -> Answer:
        try:
            return Answer.parse(self._exchanged(report_data, until))
        except BlockingIOError:  # so many wait that the kernel lets no more queue
            return Answer(content=Problem(detail="too many ask at once", again=True))
        except OSError as error:
            raise AttesterError(self._told(error)) from error
        except MalformedError as error:
            told = f"expected an answer of the attestation helper at {self.path}: {error}; is it of the same version?"
            raise AttesterError(told) from error

    def _exchanged(self, report_data: bytes, until: float) -> bytes:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_left(until))
            connection.connect(str(self.path))
            try:
                connection.sendall(report_data)
                connection.shutdown(socket.SHUT_WR)
            except (BrokenPipeError, ConnectionResetError):
                pass  # it has answered already, and hung up: it refuses
            return _received(connection, until)

    def _told(self, error: OSError) -> str:
        if isinstance(error, FileNotFoundError | ConnectionRefusedError):
            return f"no attestation helper at {self.path}: run `atlas tee helper --socket {self.path}` as root"
        if isinstance(error, PermissionError):
            return f"user {os.geteuid()} may not connect to {self.path}: see --mode and --group of `atlas tee helper`"
        if isinstance(error, TimeoutError):
            return f"the attestation helper at {self.path} gave no answer in {self.timeout:.0f} s: see its log"
        return f"cannot ask the attestation helper at {self.path}: {error.strerror or error}"


def _received(connection: socket.socket, until: float) -> bytes:
    answer = bytearray()
    while len(answer) <= MAX_ANSWER_SIZE:
        connection.settimeout(_left(until))
        try:
            part = connection.recv(1 << 16)
        except ConnectionResetError:  # how Linux ends the answer of a helper that has not read the request
            part = b""
        if not part:
            break
        answer += part
    return bytes(answer)


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError(errno.ETIMEDOUT, "no answer in time")
    return left
