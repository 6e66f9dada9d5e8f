r"""The boot event log of a confidential guest (CCEL): the events that its runtime registers are made of.

Firmware, boot loader and kernel note each thing that they measure, and extend a register with its digest:
``RTMR' = SHA-384(RTMR ‖ digest)``. Nobody signs the log. A quote signs the registers, so a log that replays to them is
complete and in order, and one that does not says nothing. Little-endian, and full of 0xFF behind its last event::

    header   index u32 · type u32 = 3 · zeros[20] · u32 size of the rest
             "Spec ID Event03\0" · platform class u32 · version[3] · size of UINTN u8
             u32 number of algorithms, each: id u16 · digest size u16 · u8 size, vendor's octets
    event    index u32 · type u32 · u32 number of digests, each: algorithm u16 · digest · u32 size, data

See: TCG PC Client Platform Firmware Profile §10.2 (crypto-agile log); Intel TDX Virtual Firmware Design Guide §8.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.tee.evidence import Fact
from airflow_provider_atlas.tee.octets import Octets

EV_NO_ACTION = 3
"""The type of an event that informs a reader, and is extended into no register."""

SHA384 = 0x000C
"""The algorithm that TDX extends its registers with, by TCG's number."""

MAX_LOG_SIZE = 1 << 20
"""The largest log that is read, in bytes: firmware sets aside 256 KiB at most."""

_SIGNATURE = b"Spec ID Event03\0"
_HEADER_SIZE = 32
_REGISTERS = 4
_OF_THE_BOOT = ("rtmr0", "rtmr1", "rtmr2")
_MAX_ALGORITHMS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that was measured: into register ``index - 1``, or, where the index is 0, into MRTD.

    ``digests`` holds pairs of a TCG algorithm and a digest. What ``data`` says is believed only as far as a digest
    covers it, which differs between types of event.
    """

    index: int
    kind: int
    digests: Sequence[tuple[int, bytes]]
    data: bytes

    def to_bytes(self) -> bytes:
        """Return this event as the log holds it."""
        digests = b"".join([_u16(algorithm) + digest for algorithm, digest in self.digests])
        head = _u32(self.index) + _u32(self.kind) + _u32(len(self.digests))
        return head + digests + _u32(len(self.data)) + self.data


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLog:
    """A whole log. ``algorithms`` holds pairs of a TCG algorithm and the size of its digests, SHA-384 among them."""

    index: int
    platform_class: int
    version: bytes
    uintn_size: int
    algorithms: Sequence[tuple[int, int]]
    vendor: bytes
    events: Sequence[Event]

    @classmethod
    def parse(cls, data: bytes) -> "EventLog":
        """Return the log in ``data``, without padding. Raises MalformedError for anything else."""
        log, end = _parsed(data)
        if end != len(data):
            raise MalformedError("expected nothing after the last event of the log")
        return log

    def to_bytes(self) -> bytes:
        """Return this log, without padding."""
        algorithms = b"".join([_u16(algorithm) + _u16(size) for algorithm, size in self.algorithms])
        spec = b"".join(
            (
                _SIGNATURE,
                _u32(self.platform_class),
                self.version,
                bytes((self.uintn_size,)),
                _u32(len(self.algorithms)),
                algorithms,
                bytes((len(self.vendor),)),
                self.vendor,
            )
        )
        head = _u32(self.index) + _u32(EV_NO_ACTION) + bytes(20) + _u32(len(spec)) + spec
        return head + b"".join([event.to_bytes() for event in self.events])


def is_event_log(content: bytes) -> bool:
    """Return whether ``content`` begins as an event log does; ``trim`` and ``EventLog.parse`` say whether it is one."""
    return content[_HEADER_SIZE : _HEADER_SIZE + len(_SIGNATURE)] == _SIGNATURE


def trim(area: bytes) -> bytes:
    """Return the log at the start of ``area``, whose rest was never written: 0xFF alone, or zeros.

    Raises MalformedError when there is no log, or something else follows.
    """
    _, end = _parsed(area)
    if area[end:].strip(b"\xff") and area[end:].strip(b"\0"):
        raise MalformedError("expected nothing but 0xFF, or zeros, after the last event of the log")
    return area[:end]


def replayed(log: EventLog) -> Mapping[str, str]:
    """Return what the registers hold after all events of ``log``: ``rtmr0`` to ``rtmr3``, in lower-case hex."""
    registers = [bytes(48)] * _REGISTERS
    for register, digest in _measured(log):
        registers[register] = extended(registers[register], digest)
    return {f"rtmr{number}": value.hex() for number, value in enumerate(registers)}


def _measured(log: EventLog) -> Iterator[tuple[int, bytes]]:
    """Yield the register and the digest of each event that is extended into one."""
    for event in log.events:
        digest = dict(event.digests).get(SHA384)
        if event.kind != EV_NO_ACTION and event.index and digest is not None:
            yield event.index - 1, digest


def extended(register: bytes, digest: bytes) -> bytes:
    """Return what ``register`` holds once it was extended with ``digest``, 48 bytes each."""
    return hashlib.sha384(register + digest).digest()


def facts(log: EventLog, measurements: Mapping[str, str]) -> Mapping[str, Fact]:
    """Return what ``log`` tells of the guest with these ``measurements``: which registers it makes, of how many events.

    Only what is extended into a register counts, for whoever passes the log on could add any other event.

    ``event_log`` is ``replayed`` when they make all that is measured until the kernel runs, else ``differs``. A guest
    may extend ``rtmr3`` after its boot, which no boot log knows of: then ``event_log_rtmr3`` is false.
    """
    made = {name: measurements.get(name) == value for name, value in replayed(log).items()}
    return {
        "event_log": "replayed" if all(made[name] for name in _OF_THE_BOOT) else "differs",
        "event_log_events": sum(1 for _ in _measured(log)),
        **{f"event_log_{name}": same for name, same in made.items()},
    }


def _parsed(data: bytes) -> tuple[EventLog, int]:
    """Return the log at the start of ``data`` and where it ends."""
    if len(data) > MAX_LOG_SIZE:
        raise MalformedError(f"expected an event log of at most {MAX_LOG_SIZE} bytes")
    octets = Octets(data, "the event log")
    index = octets.integer(4)
    octets.expect(EV_NO_ACTION, 4, "first event's type")
    if any(octets.take(20)):
        raise MalformedError("expected the first event of the log to have no digest")
    spec = Octets(octets.take(octets.integer(4)), "the event log's specification")
    if spec.take(len(_SIGNATURE)) != _SIGNATURE:
        raise MalformedError("expected an event log in the crypto-agile format")
    platform_class, version, uintn_size = spec.integer(4), spec.take(3), spec.integer(1)
    algorithms = _algorithms(spec)
    vendor = spec.take(spec.integer(1))
    spec.end()
    events = _events(octets, dict(algorithms))
    log = EventLog(
        index=index,
        platform_class=platform_class,
        version=version,
        uintn_size=uintn_size,
        algorithms=algorithms,
        vendor=vendor,
        events=events,
    )
    return log, len(data) - octets.left


def _algorithms(spec: Octets) -> Sequence[tuple[int, int]]:
    number = spec.integer(4)
    if not 0 < number <= _MAX_ALGORITHMS:
        raise MalformedError(f"expected an event log of 1 to {_MAX_ALGORITHMS} algorithms")
    algorithms = tuple((spec.integer(2), spec.integer(2)) for _ in range(number))
    sizes = dict(algorithms)
    if len(sizes) != number or sizes.get(SHA384) != 48:
        raise MalformedError("expected an event log with SHA-384 digests, and each algorithm once")
    return algorithms


def _events(octets: Octets, sizes: Mapping[int, int]) -> Sequence[Event]:
    """Return the events, up to where nothing more was written."""
    events: list[Event] = []
    while any(octets.ahead(12)) and octets.ahead(4).strip(b"\xff"):
        events.append(_event(octets, sizes))
    return tuple(events)


def _event(octets: Octets, sizes: Mapping[int, int]) -> Event:
    index, kind, number = octets.integer(4), octets.integer(4), octets.integer(4)
    if index > _REGISTERS:
        raise MalformedError(f"expected an event of a register from 0 to {_REGISTERS}, not {index}")
    if not 0 < number <= len(sizes):
        raise MalformedError("expected an event with one digest for each algorithm, at most")
    digests = tuple(_digest(octets, sizes) for _ in range(number))
    if len(dict(digests)) != number:
        raise MalformedError("expected an event to have one digest of each algorithm")
    return Event(index=index, kind=kind, digests=digests, data=octets.take(octets.integer(4)))


def _digest(octets: Octets, sizes: Mapping[int, int]) -> tuple[int, bytes]:
    algorithm = octets.integer(2)
    if algorithm not in sizes:
        raise MalformedError("expected an event's digests to be of the log's algorithms")
    return algorithm, octets.take(sizes[algorithm])


def _u16(value: int) -> bytes:
    return value.to_bytes(2, "little")


def _u32(value: int) -> bytes:
    return value.to_bytes(4, "little")
