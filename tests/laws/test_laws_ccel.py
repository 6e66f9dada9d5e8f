"""What holds for every event log, and for every change of one."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.tee.answer import Answer, Problem
from airflow_provider_atlas.tee.ccel import SHA384, Event, EventLog, replayed, trim
from airflow_provider_atlas.tee.evidence import Endorsements, Evidence

REAL = (Path(__file__).parents[1] / "vectors" / "tee" / "cos_113.ccel").read_bytes()
U32 = st.integers(0, 0xFFFFFFFF)
SHA1 = 4


def octets(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size)


digests = st.builds(lambda digest: ((SHA384, digest),), octets(48)) | st.builds(
    lambda sha1, sha384: ((SHA1, sha1), (SHA384, sha384)), octets(20), octets(48)
)
events = st.builds(Event, index=st.integers(0, 4), kind=U32, digests=digests, data=st.binary(max_size=64))
logs = st.builds(
    EventLog,
    index=U32,
    platform_class=U32,
    version=octets(3),
    uintn_size=st.integers(0, 255),
    algorithms=st.just(((SHA1, 20), (SHA384, 48))),
    vendor=st.binary(max_size=32),
    events=st.lists(events, max_size=8).map(tuple),
)


@given(logs)
def test_every_log_reads_as_it_was_written(log: EventLog):
    assert EventLog.parse(log.to_bytes()) == log


@given(logs, st.integers(0, 300), st.sampled_from([b"\0", b"\xff"]))
def test_every_padded_log_is_trimmed_to_itself(log: EventLog, size: int, filler: bytes):
    assert trim(log.to_bytes() + filler * size) == log.to_bytes()


@given(logs, events)
def test_no_event_that_is_extended_can_be_added_unnoticed(log: EventLog, event: Event):
    longer = replace(log, events=(*log.events, event))
    is_extended = event.index > 0 and event.kind != 3
    assert (replayed(longer) != replayed(log)) == is_extended


@given(st.lists(st.tuples(st.integers(0, len(REAL) - 1), st.integers(0, 255)), max_size=8), st.integers(0, len(REAL)))
def test_a_damaged_log_has_one_spelling_or_is_malformed(changes: list[tuple[int, int]], size: int):
    damaged = bytearray(REAL)
    for at, value in changes:
        damaged[at] = value
    for data in (bytes(damaged), bytes(damaged[:size])):
        with suppress(MalformedError):
            assert EventLog.parse(data).to_bytes() == data


@given(st.binary(max_size=512) | st.binary(max_size=512).map(lambda tail: REAL[:65] + tail))
def test_any_bytes_are_a_log_or_malformed(data: bytes):
    for read in (EventLog.parse, trim):
        with suppress(MalformedError):
            read(data)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
evidences = st.builds(
    Evidence,
    tee=texts,
    provider=texts,
    media_type=texts,
    quote=st.binary(max_size=64),
    endorsements=st.lists(st.builds(Endorsements, media_type=texts, content=st.binary(max_size=32)), max_size=3).map(
        tuple
    ),
)
answers = st.builds(Answer, content=evidences | st.builds(Problem, detail=texts, again=st.booleans()))


@given(answers)
def test_every_answer_of_the_helper_reads_as_it_was_written(answer: Answer):
    assert Answer.parse(answer.to_bytes()) == answer


@given(st.binary(max_size=200) | answers.map(Answer.to_bytes), st.integers(0, 400), st.integers(0, 255))
def test_any_bytes_are_an_answer_of_the_helper_or_malformed(data: bytes, at: int, value: int):
    damaged = bytearray(data)
    if at < len(damaged):
        damaged[at] = value
    with suppress(MalformedError):
        assert Answer.parse(bytes(damaged)).to_bytes() == bytes(damaged)
