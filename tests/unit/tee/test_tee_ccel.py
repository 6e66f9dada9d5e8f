"""Event logs: a real one makes the registers of the quote that came with it, and no changed one does."""

from dataclasses import replace
from pathlib import Path

import pytest

from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.tee.ccel import EV_NO_ACTION, SHA384, Event, EventLog, extended, facts, replayed, trim
from airflow_provider_atlas.tee.tdx.quote import TdxQuote
from airflow_provider_atlas.tee.tdx.simulation.boot import BOOT_LOG, BOOTED_GUEST

VECTORS = Path(__file__).parents[2] / "vectors" / "tee"
REAL = (VECTORS / "cos_113.ccel").read_bytes()
MEASURED = TdxQuote.parse((VECTORS / "cos_113.quote").read_bytes()).report.measurements()
REGISTERS = ("rtmr0", "rtmr1", "rtmr2", "rtmr3")
HEADER = len(replace(BOOT_LOG, events=()).to_bytes())


def agreeing(log: EventLog) -> list[str]:
    """Name the registers of the real quote that ``log`` makes."""
    told = facts(log, MEASURED)
    assert told["event_log"] == ("replayed" if all(told[f"event_log_{name}"] for name in REGISTERS[:3]) else "differs")
    return [name for name in REGISTERS if told[f"event_log_{name}"]]


def test_a_real_log_makes_all_registers_of_the_quote_that_came_with_it():
    log = EventLog.parse(REAL)
    assert replayed(log) == {name: MEASURED[name] for name in REGISTERS}
    assert facts(log, MEASURED) == {
        "event_log": "replayed",
        "event_log_events": 43,
        **{f"event_log_{name}": True for name in REGISTERS},
    }


def test_a_real_log_reads_as_it_was_written():
    assert EventLog.parse(REAL).to_bytes() == REAL


@pytest.mark.parametrize("padding", [b"\xff" * 244043, bytes(4096), b"\xff", b"\xff" * 3, b"\0", b""], ids=len)
def test_what_firmware_never_wrote_is_trimmed(padding: bytes):
    assert trim(REAL + padding) == REAL


@pytest.mark.parametrize("rest", [b"\xff\xff\xff\xff\0", b"\xff" * 8 + b"\1", bytes(12) + b"\1"])
def test_something_behind_the_log_is_refused(rest: bytes):
    with pytest.raises(MalformedError):
        trim(REAL + rest)


@pytest.mark.parametrize("padding", [b"\xff" * 16, bytes(16)])
def test_a_log_with_padding_has_another_spelling_and_is_refused(padding: bytes):
    with pytest.raises(MalformedError, match="nothing after the last event"):
        EventLog.parse(REAL + padding)


def test_a_changed_digest_is_not_what_the_quote_signs():
    log = EventLog.parse(REAL)
    event = log.events[0]
    ((algorithm, digest),) = event.digests
    changed = replace(event, digests=((algorithm, bytes([digest[0] ^ 1]) + digest[1:]),))
    assert agreeing(replace(log, events=(changed, *log.events[1:]))) == ["rtmr1", "rtmr2", "rtmr3"]


def test_a_missing_event_is_noticed():
    log = EventLog.parse(REAL)
    assert "rtmr0" not in agreeing(replace(log, events=log.events[1:]))


def test_two_events_of_one_register_that_changed_places_are_noticed():
    log = EventLog.parse(REAL)
    first, second = [event for event in log.events if event.index == 1][:2]
    swapped = [second if event is first else first if event is second else event for event in log.events]
    assert "rtmr0" not in agreeing(replace(log, events=swapped))


def test_an_event_that_informs_is_in_no_register():
    told = Event(index=1, kind=EV_NO_ACTION, digests=((SHA384, bytes(48)),), data=b"for readers")
    log = EventLog.parse(REAL)
    assert agreeing(replace(log, events=(*log.events, told))) == list(REGISTERS)


def test_an_event_of_mrtd_is_in_no_runtime_register():
    launch = Event(index=0, kind=1, digests=((SHA384, bytes(48)),), data=b"launch")
    log = EventLog.parse(REAL)
    assert agreeing(replace(log, events=(launch, *log.events))) == list(REGISTERS)


def test_an_event_without_a_sha384_digest_is_in_no_register():
    log = replace(BOOT_LOG, algorithms=((4, 20), (SHA384, 48)))
    sha1 = Event(index=1, kind=1, digests=((4, bytes(20)),), data=b"")
    both = EventLog.parse(replace(log, events=(*log.events, sha1)).to_bytes())
    assert replayed(both) == replayed(BOOT_LOG)


def test_an_event_that_is_in_no_register_is_not_told_of():
    log = EventLog.parse(REAL)
    informing = replace(log.events[0], kind=EV_NO_ACTION)
    of_another = replace(log.events[0], index=0)
    padded = EventLog.parse(replace(log, events=(informing, *log.events, of_another)).to_bytes())
    assert facts(padded, MEASURED) == facts(log, MEASURED)


def test_a_guest_that_extends_rtmr3_after_its_boot_differs_from_its_boot_log_there_alone():
    later = {**MEASURED, "rtmr3": extended(bytes.fromhex(MEASURED["rtmr3"]), bytes(48)).hex()}
    told = facts(EventLog.parse(REAL), later)
    assert [name for name in REGISTERS if not told[f"event_log_{name}"]] == ["rtmr3"]
    assert told["event_log"] == "replayed"


def test_the_simulated_guest_has_booted_as_its_log_says():
    assert replayed(BOOT_LOG) == {name: BOOTED_GUEST.measurements()[name] for name in REGISTERS}
    assert BOOTED_GUEST.rtmr3 == bytes(48)


def event_at(offset: int, value: bytes) -> bytes:
    """Return the simulated log with ``value`` at ``offset`` of its first event."""
    data = bytearray(BOOT_LOG.to_bytes())
    data[HEADER + offset : HEADER + offset + len(value)] = value
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "at least 4 bytes"),
        (bytes(1 << 20) + b"\1", "at most"),
        (event_at(0, b"\5\0\0\0"), "register from 0 to 4, not 5"),
        (event_at(8, b"\0\0\0\0"), "one digest for each algorithm"),
        (event_at(8, b"\2\0\0\0"), "one digest for each algorithm"),
        (event_at(8, b"\xff\xff\xff\xff"), "one digest for each algorithm"),
        (event_at(12, b"\4\0"), "of the log's algorithms"),
        (event_at(62, b"\xff\xff\xff\xff"), "at least"),
        (REAL[:-1], "at least"),
        (REAL.replace(b"Spec ID Event03", b"Spec ID Event02"), "crypto-agile"),
        (REAL[:4] + b"\4" + REAL[5:], "first event's type"),
        (REAL[:8] + b"\1" + REAL[9:], "to have no digest"),
        (replace(BOOT_LOG, algorithms=()).to_bytes(), "1 to 8 algorithms"),
        (replace(BOOT_LOG, algorithms=((4, 20),)).to_bytes(), "SHA-384"),
        (replace(BOOT_LOG, algorithms=((SHA384, 32),)).to_bytes(), "SHA-384"),
        (replace(BOOT_LOG, algorithms=((SHA384, 48), (SHA384, 48))).to_bytes(), "each algorithm once"),
        (replace(BOOT_LOG, algorithms=tuple((n, 48) for n in range(9))).to_bytes(), "1 to 8 algorithms"),
    ],
)
def test_what_is_no_log_is_refused(data: bytes, said: str):
    for read in (EventLog.parse, trim):
        with pytest.raises(MalformedError, match=said):
            read(data)


def test_an_event_with_two_digests_of_one_algorithm_is_refused():
    log = replace(BOOT_LOG, algorithms=((4, 20), (SHA384, 48)))
    twice = Event(index=1, kind=1, digests=((SHA384, bytes(48)), (SHA384, bytes(48))), data=b"")
    with pytest.raises(MalformedError, match="one digest of each algorithm"):
        EventLog.parse(replace(log, events=(twice,)).to_bytes())
