"""Attest through Linux's configfs-tsm: Intel TDX, AMD SEV-SNP and Arm CCA guests, on Linux 6.7 and newer."""

import errno
import os
import queue
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from airflow_provider_atlas.errors import AttesterError, MalformedError
from airflow_provider_atlas.tee import ccel
from airflow_provider_atlas.tee.backends.tsm_request import one_at_a_time, request
from airflow_provider_atlas.tee.evidence import EVENT_LOG, Endorsements, Evidence
from airflow_provider_atlas.tee.tsm import TsmReport, evidence_of

CONFIGFS_TSM = Path("/sys/kernel/config/tsm/report")
"""Where Linux has it, once configfs is mounted."""

_TRANSIENT = {errno.EBUSY, errno.EINTR, errno.ETIMEDOUT, errno.EAGAIN}
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
_GRACE_SECONDS = 0.5  # so that whoever asks can say why there is no quote, before it is given up

_ADVICE: Mapping[int, str] = {
    errno.EACCES: "only root may: run `atlas tee helper` as root, and set attester = helper:/run/atlas/tee.sock",
    errno.ENOENT: "expected configfs there, of Linux 6.7 or newer: mount -t configfs none /sys/kernel/config",
    errno.ENXIO: "no driver serves it: load tdx_guest or sev_guest, in a guest that the host runs as a TDX or SNP one",
    errno.EINVAL: "the driver refuses the request: a privlevel, if one is set, must not be below privlevel_floor",
    errno.ENOTTY: "the driver has wiped the guest's key after a failure: reboot the guest",
    errno.EIO: "the hypervisor fails: ask who runs the host to look at its quote generation service",
    errno.EBUSY: "the host still works on an earlier quote: ask who runs it to look at its quote generation service",
    errno.ETIMEDOUT: "the host does not answer: ask who runs it to look at its quote generation service",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TsmAttester:
    """An ``Attester`` by the folder ``root``, the kernel's or one that behaves as it does.

    ``privlevel`` is the SEV-SNP VMPL to ask for, None for the driver's own choice. ``event_log`` names the guest's
    CCEL, which then goes with the evidence. One request takes ``timeout`` seconds at most, all tries and the wait for
    other workers of this machine included.
    """

    root: Path = CONFIGFS_TSM
    privlevel: int | None = None
    event_log: Path | None = None
    timeout: float = 45.0

    def __post_init__(self) -> None:
        """Raise AttesterError when this process could not ask ``root``."""
        if not self.root.is_dir():
            raise AttesterError(self._told(errno.ENOENT))
        if not os.access(self.root, os.W_OK | os.X_OK):
            raise AttesterError(self._told(errno.EACCES))

    def attest(self, report_data: bytes) -> Evidence:
        """Return evidence that commits to ``report_data``, 64 bytes.

        Raises AttesterError that says what to do when the kernel, or the host below it, gives none.
        """
        if len(report_data) != 64:
            raise AttesterError(f"expected 64 bytes of report data, not {len(report_data)}")
        try:
            evidence = evidence_of(self._report(report_data), report_data)
        except MalformedError as error:
            raise AttesterError(f"cannot use what {self.root} gave: {error}") from error
        return self._with_event_log(evidence)

    def _report(self, report_data: bytes) -> TsmReport:
        """Ask from a thread of its own: an alarm in this one must not interrupt the driver in the middle of a quote."""
        answers: queue.SimpleQueue[TsmReport | BaseException] = queue.SimpleQueue()
        until = time.monotonic() + self.timeout

        def ask() -> None:
            try:
                answers.put(self._tried(report_data, until))
            except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
                answers.put(error)

        threading.Thread(target=ask, name="atlas-tsm", daemon=True).start()
        try:
            answer = answers.get(timeout=self.timeout + _GRACE_SECONDS)
        except queue.Empty:
            raise AttesterError(self._told(errno.ETIMEDOUT)) from None
        if isinstance(answer, OSError):
            raise AttesterError(self._told(answer.errno or errno.EIO)) from answer
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _tried(self, report_data: bytes, until: float) -> TsmReport:
        pause, failures = _FIRST_PAUSE, 0
        with one_at_a_time(self.root, until):
            while True:
                try:
                    return request(self.root, report_data, self.privlevel)
                except OSError as error:
                    failures += error.errno == errno.EIO
                    again = error.errno in _TRANSIENT or (error.errno == errno.EIO and failures == 1)
                    if not again or time.monotonic() + pause >= until:
                        raise
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    def _with_event_log(self, evidence: Evidence) -> Evidence:
        if self.event_log is None:
            return evidence
        try:
            with self.event_log.open("rb") as file:
                content = ccel.trim(file.read(ccel.MAX_LOG_SIZE + 1))
        except OSError as error:
            raise AttesterError(f"cannot read the event log {self.event_log}: {error.strerror}") from error
        except MalformedError as error:
            raise AttesterError(f"cannot use the event log {self.event_log}: {error}") from error
        log = Endorsements(media_type=EVENT_LOG, content=content)
        return replace(evidence, endorsements=(*evidence.endorsements, log))

    def _told(self, number: int) -> str:
        reason = _ADVICE.get(number, "see the kernel's log")
        return f"no quote from {self.root} ({os.strerror(number)}): {reason}"
