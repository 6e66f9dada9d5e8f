"""The emulated configfs-tsm against what Linux's source says of its own: rule by rule, errno for errno."""

import errno
import hashlib
import os
import stat
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_provider_atlas.tee import ccel
from airflow_provider_atlas.tee.tdx.quote import TdxQuote
from tests.support.emulated_tsm import NOBODY, EmulatedTsm, as_nobody, emulated_tsm, read, write

pytestmark = pytest.mark.services

A, B = b"A" * 64, b"B" * 64


@pytest.fixture
def entry(mounted_tsm: EmulatedTsm):
    made = mounted_tsm.report / uuid.uuid4().hex
    made.mkdir()
    yield made
    if made.exists():
        made.rmdir()


def errno_of(act: Callable[[], object]) -> str:
    with pytest.raises(OSError) as caught:  # noqa: PT011 - its errno is what is asked
        act()
    return errno.errorcode[caught.value.errno]


def generation(entry: Path) -> int:
    return int(read(entry / "generation"))


def report_data(entry: Path) -> bytes:
    return TdxQuote.parse(read(entry / "outblob")).report.report_data


def test_a_tdx_request_has_its_four_files_with_the_modes_of_linux(entry: Path):
    found = {path.name: stat.S_IMODE(path.stat().st_mode) for path in entry.iterdir()}
    assert found == {"generation": 0o444, "provider": 0o444, "inblob": 0o200, "outblob": 0o444}
    assert read(entry / "provider") == b"tdx_guest\n"
    assert (entry.stat().st_uid, stat.S_IMODE(entry.stat().st_mode)) == (0, 0o755)


def test_a_report_commits_to_what_was_written(entry: Path):
    write(entry / "inblob", A)
    assert report_data(entry) == A


def test_the_generation_counts_the_writes_and_no_reads(entry: Path):
    assert generation(entry) == 0
    write(entry / "inblob", A)
    read(entry / "outblob")
    assert generation(entry) == 1
    write(entry / "inblob", B)
    assert generation(entry) == 2


def test_a_report_is_kept_until_the_next_write(entry: Path):
    write(entry / "inblob", A)
    first = read(entry / "outblob")
    assert read(entry / "outblob") == first
    write(entry / "inblob", A)
    assert read(entry / "outblob") != first, "an ECDSA signature never comes twice"


def test_reading_before_anything_is_asked_is_einval(entry: Path):
    assert errno_of(lambda: read(entry / "outblob")) == "EINVAL"


@pytest.mark.parametrize("size", [1, 32, 63])
def test_fewer_than_64_bytes_are_taken_and_refused_when_the_report_is_read(entry: Path, size: int):
    write(entry / "inblob", bytes(size))
    assert generation(entry) == 1
    assert errno_of(lambda: read(entry / "outblob")) == "EINVAL"


def test_more_than_64_bytes_are_efbig_and_leave_nothing_to_report_on(entry: Path):
    write(entry / "inblob", A)
    assert errno_of(lambda: write(entry / "inblob", bytes(65))) == "EFBIG"
    assert generation(entry) == 2, "closing the file counts, though the write has failed"
    assert errno_of(lambda: read(entry / "outblob")) == "EINVAL"


def test_bytes_are_taken_when_the_file_is_closed_and_not_before(entry: Path):
    descriptor = os.open(entry / "inblob", os.O_WRONLY)
    os.write(descriptor, A[:32])
    os.write(descriptor, A[32:])
    assert generation(entry) == 0
    os.close(descriptor)
    assert generation(entry) == 1
    assert report_data(entry) == A


@pytest.mark.parametrize(
    ("name", "flags"), [("inblob", os.O_RDONLY), ("outblob", os.O_WRONLY), ("provider", os.O_RDWR)]
)
def test_modes_are_enforced_for_root_too(entry: Path, name: str, flags: int):
    assert errno_of(lambda: os.open(entry / name, flags)) == "EACCES"


def test_a_second_folder_of_one_name_is_eexist(entry: Path):
    assert errno_of(entry.mkdir) == "EEXIST"


def test_nothing_but_requests_can_be_made_or_removed(mounted_tsm: EmulatedTsm, entry: Path):
    assert errno_of((mounted_tsm.mount / "tsm" / "other").mkdir) == "EPERM"
    assert errno_of((entry / "below").mkdir) == "EPERM"
    assert errno_of(mounted_tsm.report.rmdir) == "EPERM"
    assert errno_of((mounted_tsm.report / "file").touch) == "EACCES"
    assert errno_of((entry / "inblob").unlink) == "EPERM"
    assert errno_of(lambda: entry.rename(mounted_tsm.report / "other")) == "EPERM"


def test_a_request_goes_with_its_files(mounted_tsm: EmulatedTsm, entry: Path):
    write(entry / "inblob", A)
    entry.rmdir()
    assert entry.name not in os.listdir(mounted_tsm.report)
    assert errno_of(lambda: read(entry / "outblob")) == "ENOENT"


@pytest.mark.parametrize("fault", ["EBUSY", "ETIMEDOUT", "EIO", "ENOTTY"])
def test_a_fault_is_met_once_and_the_next_read_gives_the_report(mounted_tsm: EmulatedTsm, entry: Path, fault: str):
    write(entry / "inblob", A)
    mounted_tsm.fail(fault)
    assert errno_of(lambda: read(entry / "outblob")) == fault
    assert report_data(entry) == A


@pytest.mark.parametrize("fault", ["EWHAT", "-1", "nan"])
def test_a_fault_that_is_none_is_refused(mounted_tsm: EmulatedTsm, fault: str):
    assert errno_of(lambda: mounted_tsm.fail(fault)) == "EINVAL"


def test_an_intruders_write_wins_and_the_generation_tells(entry: Path):
    before = generation(entry)
    write(entry / "inblob", A)
    write(entry / "inblob", B)  # as an intruder would, between our write and our read
    assert report_data(entry) == B
    assert generation(entry) == before + 2


def test_a_user_who_is_not_root_makes_no_request(mounted_tsm: EmulatedTsm):
    told = as_nobody(f"import os; os.mkdir({str(mounted_tsm.report / 'mine')!r})")
    assert "PermissionError: [Errno 13]" in told.stderr


def test_owning_the_folder_is_not_enough(mounted_tsm: EmulatedTsm):
    # What a well-meant chown in a start script comes to: the files of each new request are root's all the same.
    mine = mounted_tsm.report / uuid.uuid4().hex
    os.chown(mounted_tsm.report, NOBODY, NOBODY)
    try:
        told = as_nobody(f"import os; os.mkdir({str(mine)!r}); os.open({str(mine / 'inblob')!r}, os.O_WRONLY)")
    finally:
        os.chown(mounted_tsm.report, 0, 0)
        mine.rmdir()
    assert "PermissionError: [Errno 13]" in told.stderr
    assert "inblob" in told.stderr


def test_extending_a_register_shows_in_it_and_in_the_next_quote():
    with emulated_tsm() as own:  # what is extended stays so
        register, digest = own.registers / "rtmr3:sha384", hashlib.sha384(b"event").digest()
        wanted = hashlib.sha384(read(register) + digest).digest()
        write(register, digest)
        assert read(register) == wanted
        entry = own.report / "one"
        entry.mkdir()
        write(entry / "inblob", A)
        assert TdxQuote.parse(read(entry / "outblob")).report.rtmr3 == wanted
        entry.rmdir()


def test_a_register_takes_digests_of_its_own_length_alone(mounted_tsm: EmulatedTsm):
    register = mounted_tsm.registers / "rtmr2:sha384"
    before = read(register)
    for size in (1, 32, 47, 49):
        assert errno_of(lambda size=size: write(register, bytes(size))) == "EINVAL"
    with register.open("wb", buffering=0) as file:
        assert errno_of(lambda: os.pwrite(file.fileno(), bytes(48), 1)) == "EINVAL"
    assert read(register) == before


@pytest.mark.parametrize("name", ["mrtd:sha384", "mrconfigid", "mrowner", "mrownerconfig"])
def test_what_was_measured_at_launch_cannot_be_extended(mounted_tsm: EmulatedTsm, name: str):
    assert len(read(mounted_tsm.registers / name)) == 48
    assert errno_of(lambda: write(mounted_tsm.registers / name, bytes(48))) == "EACCES"


def test_the_event_log_replays_to_the_registers(mounted_tsm: EmulatedTsm):
    area = read(mounted_tsm.mount / "acpi" / "tables" / "data" / "CCEL")
    replayed = ccel.replayed(ccel.EventLog.parse(ccel.trim(area)))
    assert len(area) == 65536
    assert replayed == {name: read(mounted_tsm.registers / f"{name}:sha384").hex() for name in replayed}


def test_it_unmounts_when_it_is_told_to_end():
    with emulated_tsm() as own:
        assert own.mount.is_mount()
    assert not own.mount.exists()
