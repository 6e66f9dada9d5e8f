"""The emulated kernel without its files: counters, privilege levels and limits, as report.c has them."""

import errno
from collections.abc import Callable

import pytest

from airflow_provider_atlas.tee.backends.tsm_emulation import OUTBLOB_MAX, Driver, Request, TsmEmulation

ASKED = bytes(64)
SEV = Driver(
    name="sev_guest", report=lambda inblob, level: (inblob + bytes([level]), b"certificates"), privlevel_floor=1
)


@pytest.fixture
def tsm() -> TsmEmulation:
    emulation = TsmEmulation(SEV)
    emulation.make("one")
    return emulation


@pytest.fixture
def request_(tsm: TsmEmulation) -> Request:
    return tsm.requests["one"]


def errno_of(act: Callable[[], object]) -> str:
    with pytest.raises(OSError) as caught:  # noqa: PT011 - its errno is what is asked
        act()
    return errno.errorcode[caught.value.errno]


def test_without_a_driver_nothing_can_be_asked():
    assert errno_of(lambda: TsmEmulation(None).make("one")) == "ENXIO"


def test_a_driver_that_is_unloaded_leaves_requests_that_answer_nothing(tsm: TsmEmulation, request_: Request):
    tsm.write_inblob(request_, ASKED)
    tsm.driver = None
    assert errno_of(lambda: tsm.blob(request_, "outblob")) == "ENXIO"
    assert errno_of(lambda: tsm.attribute(request_, "provider")) == "ENXIO"


def test_what_is_not_there_cannot_be_removed(tsm: TsmEmulation):
    assert errno_of(lambda: tsm.remove("two")) == "ENOENT"


def test_the_write_before_the_counters_would_meet_is_ebusy(tsm: TsmEmulation, request_: Request):
    tsm.write_inblob(request_, ASKED)
    tsm.blob(request_, "outblob")
    request_.written = request_.read - 1  # 2^64 - 2 writes later
    assert errno_of(lambda: tsm.write_inblob(request_, ASKED)) == "EBUSY"
    tsm.blob(request_, "outblob")
    tsm.write_inblob(request_, ASKED)


def test_the_generation_wraps_as_an_unsigned_long_does(tsm: TsmEmulation, request_: Request):
    request_.written = request_.read = (1 << 64) - 1
    tsm.write_inblob(request_, ASKED)
    assert tsm.attribute(request_, "generation") == b"0\n"


def test_an_auxblob_goes_with_the_report(tsm: TsmEmulation, request_: Request):
    tsm.write_inblob(request_, ASKED)
    assert tsm.blob(request_, "auxblob") == b"certificates"


@pytest.mark.parametrize(("text", "level"), [(b"1", 1), (b"3\n", 3), (b"0x2", 2), (b"+2", 2), (b"03", 3)])
def test_a_privilege_level_is_a_number_as_the_kernel_reads_one(
    tsm: TsmEmulation, request_: Request, text: bytes, level: int
):
    tsm.write_privlevel(request_, text)
    tsm.write_inblob(request_, ASKED)
    assert tsm.blob(request_, "outblob") == ASKED + bytes([level])
    assert tsm.attribute(request_, "generation") == b"2\n"


@pytest.mark.parametrize("text", [b"0", b"4", b"-1", b"", b"\1", b"one", b"1 ", b"2\n\n", b"0x", b"09"])
def test_what_is_no_privilege_level_of_the_guest_is_einval_and_not_counted(
    tsm: TsmEmulation, request_: Request, text: bytes
):
    assert errno_of(lambda: tsm.write_privlevel(request_, text)) == "EINVAL"
    assert tsm.attribute(request_, "generation") == b"0\n"


def test_a_number_that_an_int_does_not_hold_is_erange(tsm: TsmEmulation, request_: Request):
    assert errno_of(lambda: tsm.write_privlevel(request_, b"4294967296")) == "ERANGE"


def test_the_floor_is_told(tsm: TsmEmulation, request_: Request):
    assert tsm.attribute(request_, "privlevel_floor") == b"1\n"


def test_a_report_longer_than_any_is_efbig():
    tsm = TsmEmulation(Driver(name="tdx_guest", report=lambda *_: (bytes(OUTBLOB_MAX + 1), None)))
    tsm.make("one")
    tsm.write_inblob(tsm.requests["one"], ASKED)
    assert errno_of(lambda: tsm.blob(tsm.requests["one"], "outblob")) == "EFBIG"
