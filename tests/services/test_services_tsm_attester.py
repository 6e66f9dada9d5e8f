"""The ``tsm`` attester on the emulated kernel: intruders, failing hosts, many at once, and users without rights."""

import fcntl
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from airflow_provider_atlas.errors import AttesterError, ConfigError
from airflow_provider_atlas.settings import Settings
from airflow_provider_atlas.tee import ccel
from airflow_provider_atlas.tee.backends import tsm_request
from airflow_provider_atlas.tee.backends.dcap import DcapVerifier
from airflow_provider_atlas.tee.backends.tsm import TsmAttester
from airflow_provider_atlas.tee.evidence import DCAP_COLLATERAL, EVENT_LOG
from airflow_provider_atlas.wiring import references, tees
from tests.support.emulated_tsm import EmulatedTsm, as_nobody, emulated_tsm, write

pytestmark = pytest.mark.services

MINE, THEIRS = b"M" * 64, b"T" * 64


@pytest.fixture
def attester(mounted_tsm: EmulatedTsm) -> TsmAttester:
    return TsmAttester(root=mounted_tsm.report)


def test_its_evidence_is_genuine_and_simulated_by_its_root(mounted_tsm: EmulatedTsm):
    shown = mounted_tsm.attester().attest(MINE)
    claims = DcapVerifier().verify(shown, development_roots={mounted_tsm.root_sha256}, at=datetime.now(UTC))
    assert (shown.tee, shown.provider, claims.development, claims.report_data) == ("tdx", "simulated", True, MINE)


def test_its_event_log_is_that_of_the_quote(mounted_tsm: EmulatedTsm):
    shown = mounted_tsm.attester().attest(MINE)
    assert [one.media_type for one in shown.endorsements] == [DCAP_COLLATERAL, EVENT_LOG]
    claims = DcapVerifier().verify(shown, development_roots={mounted_tsm.root_sha256}, at=datetime.now(UTC))
    facts = ccel.facts(ccel.EventLog.parse(shown.endorsements[1].content), claims.measurements)
    registers = {f"event_log_rtmr{number}": True for number in range(4)}
    assert facts == {"event_log": "replayed", "event_log_events": 6, **registers}
    assert facts.items() <= claims.facts.items()


def test_it_leaves_nothing_behind(mounted_tsm: EmulatedTsm, attester: TsmAttester):
    attester.attest(MINE)
    mounted_tsm.fail("ENOTTY")
    with pytest.raises(AttesterError):
        attester.attest(MINE)
    assert os.listdir(mounted_tsm.report) == []


def test_it_removes_what_a_killed_worker_left_and_nothing_else(mounted_tsm: EmulatedTsm, attester: TsmAttester):
    (mounted_tsm.report / "atlas-1-killed").mkdir()
    (mounted_tsm.report / "someone-elses").mkdir()
    try:
        attester.attest(MINE)
        assert os.listdir(mounted_tsm.report) == ["someone-elses"]
    finally:
        (mounted_tsm.report / "someone-elses").rmdir()


def test_an_intruder_who_writes_to_our_request_is_noticed(attester: TsmAttester, monkeypatch: pytest.MonkeyPatch):
    honest = tsm_request._read

    def intruded(path: Path) -> bytes:
        if path.name == "outblob":  # at the worst of moments: after our bytes were counted
            write(path.with_name("inblob"), THEIRS)
        return honest(path)

    monkeypatch.setattr(tsm_request, "_read", intruded)
    with pytest.raises(AttesterError, match=r"expected generation 1 of our request, not 2: somebody else"):
        attester.attest(MINE)


def test_without_the_generation_the_intruders_report_is_refused_all_the_same(
    attester: TsmAttester, monkeypatch: pytest.MonkeyPatch
):
    honest = tsm_request._read

    def intruded(path: Path) -> bytes:
        if path.name == "outblob":
            write(path.with_name("inblob"), THEIRS)
        return honest(path)

    monkeypatch.setattr(tsm_request, "_read", intruded)
    monkeypatch.setattr(tsm_request, "_check_writes", lambda *_: None)
    with pytest.raises(AttesterError, match="commits to something else"):
        attester.attest(MINE)


def test_bytes_that_the_kernel_has_not_taken_are_written_again(attester: TsmAttester, monkeypatch: pytest.MonkeyPatch):
    honest, written = tsm_request._write, []

    def forgetful(path: Path, content: bytes) -> None:
        written.append(content)
        if len(written) > 1:
            honest(path, content)

    monkeypatch.setattr(tsm_request, "_write", forgetful)
    assert attester.attest(MINE).quote
    assert written == [MINE, MINE]


@pytest.mark.parametrize(
    "faults", [["EBUSY"], ["ETIMEDOUT"], ["EAGAIN"], ["EINTR"], ["EIO"], ["EBUSY", "EIO", "EBUSY"]]
)
def test_what_passes_is_tried_again(mounted_tsm: EmulatedTsm, attester: TsmAttester, faults: list[str]):
    mounted_tsm.fail(*faults)
    assert attester.attest(MINE).quote


@pytest.mark.parametrize(
    ("faults", "advice"),
    [
        (["EIO", "EIO"], "look at its quote generation service"),
        (["ENOTTY"], "reboot the guest"),
        (["EINVAL"], "privlevel"),
        (["ENXIO"], "load tdx_guest or sev_guest"),
        (["EACCES"], "atlas tee helper"),
    ],
)
def test_what_does_not_pass_is_not_tried_again_and_says_what_to_do(
    mounted_tsm: EmulatedTsm, attester: TsmAttester, faults: list[str], advice: str
):
    mounted_tsm.fail(*faults)
    with pytest.raises(AttesterError, match=advice):
        attester.attest(MINE)
    assert attester.attest(MINE).quote, "the fault was met once, so nothing was asked twice"


def test_a_host_that_stays_busy_is_given_up_in_time(mounted_tsm: EmulatedTsm, attester: TsmAttester):
    began = time.monotonic()
    mounted_tsm.fail("EBUSY", "EBUSY", "EBUSY")
    with pytest.raises(AttesterError, match="Device or resource busy"):
        replace(attester, timeout=0.5).attest(MINE)
    assert time.monotonic() - began < 2
    attester.attest(MINE)


def test_a_host_that_does_not_answer_is_given_up_in_time(mounted_tsm: EmulatedTsm, attester: TsmAttester):
    began = time.monotonic()
    mounted_tsm.fail("2.5")
    with pytest.raises(AttesterError, match="the host does not answer"):
        replace(attester, timeout=0.5).attest(MINE)
    assert time.monotonic() - began < 2
    assert attester.attest(MINE).quote, "who comes next waits for the quote that is under way, then has its turn"
    assert os.listdir(mounted_tsm.report) == []


def test_others_are_waited_for_no_longer_than_the_time_out(mounted_tsm: EmulatedTsm, attester: TsmAttester):
    descriptor = os.open(mounted_tsm.report, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        with pytest.raises(AttesterError, match="Connection timed out"):
            replace(attester, timeout=0.3).attest(MINE)
    finally:
        os.close(descriptor)


def test_fifty_threads_at_once_each_have_the_quote_that_they_asked_for(attester: TsmAttester):
    quotes: dict[int, bytes] = {}

    def ask(number: int) -> None:
        quotes[number] = attester.attest(bytes([number]) * 64).quote

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {number: quote[568:632] for number, quote in quotes.items()} == {n: bytes([n]) * 64 for n in range(50)}


WORKER = """
import sys
from pathlib import Path
from airflow_provider_atlas.tee.backends.tsm import TsmAttester

wanted = bytes([int(sys.argv[2])]) * 64
for _ in range(5):
    assert TsmAttester(root=Path(sys.argv[1])).attest(wanted).quote[568:632] == wanted
"""


def test_no_two_processes_of_a_machine_ask_at_once():
    with emulated_tsm() as own:
        begin = [sys.executable, "-c", WORKER, str(own.report)]
        workers = [subprocess.Popen([*begin, str(number)], stderr=subprocess.PIPE) for number in range(6)]
        most = 0
        while any(worker.poll() is None for worker in workers):
            most = max(most, len(os.listdir(own.report)))
        assert [worker.communicate()[1].decode() for worker in workers] == [""] * 6
        assert most == 1


def test_an_alarm_in_the_task_does_not_interrupt_the_driver(mounted_tsm: EmulatedTsm):
    program = f"""
import signal
from pathlib import Path
from airflow_provider_atlas.tee.backends.tsm import TsmAttester

def expire(*_):
    raise TimeoutError("the task has taken too long")

signal.signal(signal.SIGALRM, expire)
signal.setitimer(signal.ITIMER_REAL, 0.3)
try:
    TsmAttester(root=Path({str(mounted_tsm.report)!r})).attest(bytes(64))
except TimeoutError as error:
    print(error)
"""
    mounted_tsm.fail("1")
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (told.stdout, told.stderr) == ("the task has taken too long\n", "")


def test_a_user_who_is_not_root_is_told_of_the_helper(mounted_tsm: EmulatedTsm):
    imports = """
from pathlib import Path
from airflow_provider_atlas.errors import AttesterError
from airflow_provider_atlas.tee.backends.tsm import TsmAttester
"""
    program = f"""
try:
    TsmAttester(root=Path({str(mounted_tsm.report)!r}))
except AttesterError as error:
    print(error)
"""
    told = as_nobody(program, after=imports)
    assert "(Permission denied): only root may: run `atlas tee helper`" in told.stdout, told.stderr


def test_a_tdx_guest_has_no_privilege_levels(attester: TsmAttester):
    with pytest.raises(AttesterError, match="tdx_guest has no privilege levels: leave privlevel out"):
        replace(attester, privlevel=0).attest(MINE)


def test_where_there_is_no_configfs_the_message_says_how_to_have_it(tmp_path: Path):
    with pytest.raises(AttesterError, match=r"Linux 6\.7 or newer: mount -t configfs"):
        TsmAttester(root=tmp_path / "report")


@pytest.mark.parametrize(
    ("file", "said"), [("event_log", "cannot read the event log"), ("collateral", "cannot read the collateral")]
)
def test_a_file_that_should_go_with_it_and_is_not_there_is_an_error(
    mounted_tsm: EmulatedTsm, tmp_path: Path, file: str, said: str
):
    uri = f"tsm:{mounted_tsm.report}?{file}={tmp_path / 'nothing'}"
    with pytest.raises(AttesterError, match=said):
        tees.attester(Settings.parse({"attester": uri}, home="/")).attest(MINE)


def test_an_event_log_that_is_none_is_an_error(attester: TsmAttester, tmp_path: Path):
    (tmp_path / "log").write_bytes(b"not a log")
    with pytest.raises(AttesterError, match="cannot use the event log"):
        replace(attester, event_log=tmp_path / "log").attest(MINE)


@pytest.mark.parametrize(
    "options", ["privlevel=4", "privlevel=-1", "privlevel=", "level=1", "event_log=relative", "collateral", "a=b=c&"]
)
def test_options_that_are_none_are_refused(mounted_tsm: EmulatedTsm, options: str):
    with pytest.raises(ConfigError, match="attester"):
        tees.attester(Settings.parse({"attester": f"tsm:{mounted_tsm.report}?{options}"}, home="/"))


def test_a_policy_that_is_made_of_it_pins_what_booted_and_trusts_no_root_by_its_word(mounted_tsm: EmulatedTsm):
    reference = references.reference_of(mounted_tsm.attester())
    assert reference is not None
    assert sorted(reference["measurements"]) == ["mrtd", "rtmr0", "rtmr1", "rtmr2"]
    assert "development_roots" not in reference
