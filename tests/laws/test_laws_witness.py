"""What holds for every witness and every log: no two histories cosigned, one spelling, and no surprise in any byte."""

import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from airflow_provider_atlas import merkle
from airflow_provider_atlas.errors import MalformedError, SignatureError
from airflow_provider_atlas.tlog.backends import witness_folder
from airflow_provider_atlas.tlog.backends.witness_folder import WitnessFolder
from airflow_provider_atlas.tlog.checkpoint import Checkpoint, SignedCheckpoint
from airflow_provider_atlas.tlog.cosignature import COSIGNER_KINDS, Cosignature, cosigned
from airflow_provider_atlas.tlog.monitor import Seen
from airflow_provider_atlas.tlog.note import NoteSignature, SignedNote, VerifierKey, sign
from airflow_provider_atlas.tlog.policy import Group, KnownLog, Witness, WitnessPolicy
from airflow_provider_atlas.tlog.witness import AddCheckpoint, parse_lines
from tests.support.logs import KEY, ORIGIN, SIGNING_KEY, entry
from tests.support.witnesses import QUANTUM, W1, W2, W3, policy_text, signed_checkpoint

MOST = 12
HISTORIES = [
    # Each shares a beginning with the first, and goes another way from the entry of its number on.
    merkle.nodes_of([merkle.leaf_hash(entry(n if n < split else 1000 + split + n)) for n in range(MOST)])
    for split in (MOST, 0, 1, 4, 7)
]
sizes = st.integers(min_value=0, max_value=MOST)
hashes = st.binary(min_size=32, max_size=32)


class WitnessAndLiars(RuleBasedStateMachine):
    """A witness is asked to cosign several histories of one log, in any order, and restarted at will."""

    @initialize()
    def found(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="atlas-witness-")) / "witness"
        (self.key,) = witness_folder.create(self.folder, "w.example", ["ed25519"])
        self.restart()
        self.now = 1000
        self.cosigned: list[tuple[int, bytes, int]] = []

    @rule()
    def restart(self) -> None:
        self.witness = WitnessFolder(self.folder, {ORIGIN: [KEY]})

    @rule(seconds=st.integers(min_value=-100, max_value=100))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule(history=st.sampled_from(HISTORIES), proved=st.sampled_from(HISTORIES), size=sizes, old=sizes)
    def ask(self, history: merkle.Node, proved: merkle.Node, size: int, old: int) -> None:
        text = Checkpoint(origin=ORIGIN, size=size, root=merkle.root(size, history)).to_text()
        proof = merkle.consistency_proof(min(old, size), size, proved)
        note = sign(text, ORIGIN, SIGNING_KEY)
        answer = self.witness.add_checkpoint(AddCheckpoint(old=old, proof=proof, note=note).to_bytes(), self.now)
        assert answer.status in {200, 400, 409, 422}
        if answer.status == 200:
            lines = parse_lines(answer.body)
            (time,) = cosigned(SignedNote(text=text, signatures=lines), [self.key]).values()
            self.cosigned.append((size, merkle.root(size, history), time))

    @rule(history=st.sampled_from(HISTORIES), more=st.integers(min_value=0, max_value=4))
    def grow(self, history: merkle.Node, more: int) -> None:
        old = self.cosigned[-1][0] if self.cosigned else 0
        self.ask(history, history, min(old + more, MOST), old)

    @invariant()
    def one_history_is_behind_all_that_was_cosigned(self) -> None:
        assert any(all(merkle.root(size, history) == root for size, root, _ in self.cosigned) for history in HISTORIES)

    @invariant()
    def trees_and_times_only_grow(self) -> None:
        assert self.cosigned == sorted(self.cosigned, key=lambda one: (one[0], one[2]))
        assert [time for _, _, time in self.cosigned] == sorted(time for _, _, time in self.cosigned)

    def teardown(self) -> None:
        shutil.rmtree(self.folder.parent, ignore_errors=True)


class TestAWitnessNeverCosignsTwoHistories(WitnessAndLiars.TestCase):
    settings = settings(max_examples=40, stateful_step_count=20, deadline=None)


requests = st.builds(
    AddCheckpoint,
    old=st.integers(min_value=0, max_value=2**63 - 1),
    proof=st.lists(hashes, max_size=63).map(tuple),
    note=st.builds(signed_checkpoint, size=st.integers(min_value=0, max_value=2**63 - 1), root=hashes),
)
cosignatures = st.builds(
    Cosignature,
    timestamp=st.integers(min_value=0, max_value=2**63 - 1),
    signature=st.binary(min_size=64, max_size=64),
)
words = st.text(
    st.characters(codec="utf-8", exclude_characters=" #", min_codepoint=0x21), min_size=1, max_size=9
).filter(lambda word: word != "none" and "\x7f" not in word)


@st.composite
def policies(draw: st.DrawFn) -> WitnessPolicy:
    keys = [each.verifier_key for each in draw(st.permutations([W1, W2, W3, QUANTUM]))]
    urls = st.none() | words
    count = draw(st.integers(min_value=0, max_value=4))
    names = draw(st.lists(words, min_size=7, max_size=7, unique=True))
    witnesses = [Witness(name=names[at], key=keys[at], url=draw(urls)) for at in range(count)]
    free, groups = names[:count], list[Group]()
    for name in names[4 : 4 + draw(st.integers(min_value=0, max_value=3))]:
        if free:
            members = draw(st.lists(st.sampled_from(free), min_size=1, unique=True))
            threshold = draw(st.integers(min_value=1, max_value=len(members)))
            groups.append(Group(name=name, threshold=threshold, members=tuple(members)))
            free = [one for one in free if one not in members] + [name]
    defined = [witness.name for witness in witnesses] + [group.name for group in groups]
    return WitnessPolicy(
        logs=tuple(draw(st.sampled_from([[], [KnownLog(key=KEY, url=None)]]))),
        witnesses=tuple(witnesses),
        groups=tuple(groups),
        quorum=draw(st.sampled_from([None, *defined])),
    )


@given(requests)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_a_request_is_read_as_it_was_written(request: AddCheckpoint):
    assert AddCheckpoint.parse(request.to_bytes()) == request


def test_what_a_monitor_saw_is_read_as_it_was_written():
    seen = Seen(signed=SignedCheckpoint.parse(signed_checkpoint().to_bytes()), changed=datetime.now(UTC))
    assert Seen.parse(seen.to_bytes()) == seen


@given(cosignatures)
def test_a_cosignature_is_read_as_it_was_written(cosignature: Cosignature):
    assert Cosignature.parse(cosignature.to_bytes(), COSIGNER_KINDS[0]) == cosignature


@given(policies())
def test_a_policy_is_read_as_it_was_written(policy: WitnessPolicy):
    text = policy.to_text()
    assert WitnessPolicy.parse(text.encode()) == policy
    spaced = "".join(f" \t{line.replace(' ', '  ')}\t\n# {line}\n\n" for line in text.split("\n")[:-1])
    assert WitnessPolicy.parse(spaced.encode()) == policy


@given(policies(), st.sets(st.sampled_from(range(4))))
def test_one_witness_more_never_breaks_a_quorum(policy: WitnessPolicy, chosen: set[int]):
    names = [witness.name for witness in policy.witnesses]
    some = [name for at, name in enumerate(names) if at in chosen]
    if policy.holds(some):
        assert policy.holds(names)
    assert policy.holds([]) == (policy.quorum is None)


LINE = str(W1.cosign(signed_checkpoint().text, 5))
PARSERS: dict[str, tuple[Callable[[bytes], object], Callable[[object], bytes] | None, bytes]] = {
    "request": (
        AddCheckpoint.parse,
        AddCheckpoint.to_bytes,
        AddCheckpoint(old=3, proof=(bytes(32),), note=signed_checkpoint()).to_bytes(),
    ),
    "Ed25519 cosignature": (lambda data: Cosignature.parse(data, COSIGNER_KINDS[0]), Cosignature.to_bytes, bytes(72)),
    "ML-DSA cosignature": (lambda data: Cosignature.parse(data, COSIGNER_KINDS[1]), Cosignature.to_bytes, bytes(2428)),
    "signature lines": (
        parse_lines,
        lambda lines: "".join(f"{line}\n" for line in lines).encode(),
        f"{LINE}\n{LINE}\n".encode(),
    ),
    "verifier key": (
        lambda data: VerifierKey.parse(data.decode("utf-8", "surrogateescape"), kinds=COSIGNER_KINDS),
        lambda key: str(key).encode(),
        str(W1.verifier_key).encode(),
    ),
    "what a monitor saw": (
        Seen.parse,
        Seen.to_bytes,
        Seen(
            signed=SignedCheckpoint.parse(signed_checkpoint().to_bytes()), changed=datetime(2026, 1, 31, tzinfo=UTC)
        ).to_bytes(),
    ),
    "policy": (WitnessPolicy.parse, None, policy_text([W1, QUANTUM], 2).encode()),
}


@pytest.mark.parametrize("name", PARSERS)
@given(data=st.data())
def test_any_bytes_are_read_as_they_are_spelled_or_are_malformed(name: str, data: st.DataObject):
    parse, spell, sample = PARSERS[name]
    start = data.draw(st.integers(min_value=0, max_value=len(sample)))
    end = data.draw(st.integers(min_value=start, max_value=min(start + 40, len(sample))))
    hostile = data.draw(st.sampled_from([sample[:start], b""])) + data.draw(st.binary(max_size=60)) + sample[end:]
    with suppress(MalformedError):
        parsed = parse(hostile)
        if spell:
            assert spell(parsed) == hostile
        else:
            assert WitnessPolicy.parse(parsed.to_text().encode()) == parsed  # type: ignore[attr-defined]


@given(st.binary(max_size=3000), st.sampled_from([W1, QUANTUM]))
def test_any_line_under_a_known_key_is_a_cosignature_or_is_refused(blob: bytes, witness):
    note = signed_checkpoint()
    key = witness.verifier_key
    line = NoteSignature(name=key.name, key_id=key.key_id, signature=blob or b"x")
    with pytest.raises(SignatureError):
        cosigned(SignedNote(text=note.text, signatures=(*note.signatures, line)), [key])
