"""What holds for every tree, and for every byte that a stranger may send in place of a format of the log."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from airflow_provider_atlas import merkle
from airflow_provider_atlas.errors import ConsistencyError, InclusionError, MalformedError
from airflow_provider_atlas.tlog import rekor_v1
from airflow_provider_atlas.tlog.backends.posix_journal import Position
from airflow_provider_atlas.tlog.backends.posix_state import TreeState
from airflow_provider_atlas.tlog.checkpoint import Checkpoint, SignedCheckpoint
from airflow_provider_atlas.tlog.edge import Edge
from airflow_provider_atlas.tlog.format import Format
from airflow_provider_atlas.tlog.hashedrekord import HashedRekord
from airflow_provider_atlas.tlog.note import ECDSA, NoteSignature, SignedNote, VerifierKey, sign, verify
from airflow_provider_atlas.tlog.receipt import Receipt
from airflow_provider_atlas.tlog.tile import Tile, TileTree, bundle, parse_bundle
from tests.support import logs
from tests.support.logs import KEY, ORIGIN, SIGNING_KEY

SIZE = 1200  # more than four tiles, and not a multiple of 256
LEAVES = [merkle.leaf_hash(b"entry %d" % number) for number in range(SIZE)]
NODE = merkle.nodes_of(LEAVES)

sizes = st.integers(min_value=1, max_value=SIZE)
hashes = st.binary(min_size=32, max_size=32)
names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40).filter(
    lambda name: "+" not in name and not any(character.isspace() or character < " " for character in name)
)
lines = st.text(st.characters(codec="utf-8", min_codepoint=0x20), min_size=1, max_size=40)
texts = st.lists(st.text(st.characters(codec="utf-8", min_codepoint=0x20), max_size=20), min_size=1).map(
    lambda found: "".join(f"{line}\n" for line in found)
)
checkpoints = st.builds(
    Checkpoint,
    origin=lines,
    size=st.integers(min_value=0, max_value=2**63 - 1),
    root=hashes,
    extensions=st.lists(lines, max_size=2).map(tuple),
)
signatures = st.builds(
    NoteSignature, name=names, key_id=st.binary(min_size=4, max_size=4), signature=st.binary(min_size=1, max_size=80)
)
notes = st.builds(SignedNote, text=texts, signatures=st.lists(signatures, min_size=1, max_size=4).map(tuple))
checkpoint_notes = st.builds(
    SignedNote,
    text=checkpoints.map(Checkpoint.to_text),
    signatures=st.lists(signatures, min_size=1, max_size=2).map(tuple),
)
receipts = st.builds(
    Receipt,
    index=st.integers(min_value=0, max_value=2**63 - 1),
    hashes=st.lists(hashes, max_size=63).map(tuple),
    note=checkpoint_notes,
    extra=st.binary(max_size=80),
)
leaves = st.builds(
    HashedRekord, digest=hashes, signature=st.binary(min_size=1, max_size=80), spki=st.binary(min_size=1, max_size=100)
)
tiles = st.builds(
    Tile,
    level=st.integers(min_value=-1, max_value=63),
    number=st.integers(min_value=0, max_value=2**60),
    width=st.integers(min_value=1, max_value=256),
)

PARSERS: dict[str, tuple[Callable[[bytes], object], Callable[[object], bytes], bytes]] = {
    "note": (SignedNote.parse, SignedNote.to_bytes, sign("text\n", ORIGIN, SIGNING_KEY).to_bytes()),
    "receipt": (
        Receipt.parse,
        Receipt.to_bytes,
        Receipt(
            index=0,
            hashes=(LEAVES[1],),
            note=sign(Checkpoint(origin=ORIGIN, size=2, root=merkle.root(2, NODE)).to_text(), ORIGIN, SIGNING_KEY),
        ).to_bytes(),
    ),
    "leaf": (
        HashedRekord.parse,
        HashedRekord.to_bytes,
        HashedRekord(digest=bytes(32), signature=b"s", spki=b"k").to_bytes(),
    ),
    "leaf of a certificate": (
        HashedRekord.parse,
        HashedRekord.to_bytes,
        HashedRekord(digest=bytes(32), signature=b"s", certificate=b"k").to_bytes(),
    ),
    "verifier key": (
        lambda data: VerifierKey.parse(data.decode("latin-1")),
        lambda key: str(key).encode("latin-1"),
        str(KEY).encode(),
    ),
    "ECDSA verifier key": (
        lambda data: VerifierKey.parse(data.decode("latin-1")),
        lambda key: str(key).encode("latin-1"),
        str(VerifierKey(name="x", public_key=logs.leaf(0).spki, kind=ECDSA)).encode(),
    ),
    "leaf of Rekor v1": (rekor_v1.parse_leaf, rekor_v1.leaf, rekor_v1.leaf(logs.leaf(0))),
    "leaf of a certificate in Rekor v1": (
        rekor_v1.parse_leaf,
        rekor_v1.leaf,
        rekor_v1.leaf(HashedRekord(digest=bytes(32), signature=b"s", certificate=bytes(60))),
    ),
    "promise": (
        rekor_v1.Promise.parse,
        rekor_v1.Promise.to_bytes,
        rekor_v1.Promise(index=7, time=1_764_000_000, signature=b"s").to_bytes(),
    ),
    "checkpoint": (
        lambda data: Checkpoint.parse(data.decode("latin-1")),
        lambda checkpoint: checkpoint.to_text().encode("latin-1"),
        Checkpoint(origin=ORIGIN, size=3, root=bytes(32)).to_text().encode(),
    ),
    "tile": (
        lambda data: Tile.parse(data.decode("latin-1")),
        lambda tile: tile.path.encode("latin-1"),
        b"tile/entries/x001/234.p/7",
    ),
}


@st.composite
def damaged(draw: st.DrawFn, good: bytes) -> bytes:
    """Bytes that are nearly right: that is where parsers disagree."""
    start = draw(st.integers(0, len(good)))
    end = draw(st.integers(start, min(len(good), start + 4)))
    return good[:start] + draw(st.binary(max_size=4)) + good[end:]


@given(st.data())
def test_every_leaf_is_provable_and_no_other_is_at_its_place(data):
    size = data.draw(sizes)
    index = data.draw(st.integers(0, size - 1))
    root, proof = merkle.root(size, NODE), merkle.inclusion_proof(index, size, NODE)
    merkle.check_inclusion(index, size, LEAVES[index], proof, root)
    other = data.draw(st.integers(0, size - 1))
    assume(other != index)
    for place, leaf in ((index, LEAVES[other]), (other, LEAVES[index])):
        with pytest.raises(InclusionError):
            merkle.check_inclusion(place, size, leaf, proof, root)


@given(sizes, st.data())
def test_every_prefix_is_consistent_and_a_fork_never(size, data):
    old = data.draw(st.integers(1, size))
    root, proof = merkle.root(size, NODE), merkle.consistency_proof(old, size, NODE)
    merkle.check_consistency(old, size, merkle.root(old, NODE), root, proof)
    forked = LEAVES[:old]
    forked[data.draw(st.integers(0, old - 1))] = merkle.leaf_hash(b"another history")
    with pytest.raises(ConsistencyError):
        merkle.check_consistency(old, size, merkle.root(old, merkle.nodes_of(forked)), root, proof)


@given(sizes, st.data())
def test_proof_with_one_bit_flipped_leads_nowhere(size, data):
    index = data.draw(st.integers(0, size - 1))
    proof = list(merkle.inclusion_proof(index, size, NODE))
    assume(proof)
    at, bit = data.draw(st.integers(0, len(proof) - 1)), data.draw(st.integers(0, 255))
    proof[at] = (int.from_bytes(proof[at], "big") ^ 1 << bit).to_bytes(32, "big")
    with pytest.raises(InclusionError):
        merkle.check_inclusion(index, size, LEAVES[index], proof, merkle.root(size, NODE))


@given(st.lists(st.integers(0, 700), max_size=6))
def test_tiles_do_not_depend_on_how_the_tree_grew(steps):
    at_once, size = Edge(), sum(steps)
    expected = {made.tile.path: made.content for made in at_once.extend(b"%d" % number for number in range(size))}
    found, edge = {}, Edge()
    for step in steps:
        found.update(
            (tile.path, content)
            for tile, content in edge.extend(b"%d" % number for number in range(edge.size, edge.size + step))
        )
        partial = {made.tile.path: made.content for made in edge.partials()}
        edge = Edge.load(edge.size, lambda tile, partial=partial: partial[tile.path])
    assert found == expected
    assert list(edge.partials()) == list(at_once.partials())
    found.update((tile.path, content) for tile, content in edge.partials())
    assert edge.root() == at_once.root() == TileTree(size, lambda tile: found[tile.path]).root()


@given(notes)
def test_note_parses_to_itself(note):
    assert SignedNote.parse(note.to_bytes()) == note


@given(receipts)
def test_receipt_parses_to_itself(receipt):
    assert Receipt.parse(receipt.to_bytes()) == receipt


@given(checkpoints)
def test_checkpoint_parses_to_itself(checkpoint):
    assert Checkpoint.parse(checkpoint.to_text()) == checkpoint


@given(leaves)
def test_leaf_parses_to_itself(leaf):
    assert HashedRekord.parse(leaf.to_bytes()) == leaf


@given(tiles)
def test_path_of_a_tile_parses_to_it(tile):
    assert Tile.parse(tile.path) == tile


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_bundle_parses_to_its_entries(entries):
    assert parse_bundle(bundle(entries), len(entries)) == entries


@given(texts, names)
def test_what_is_signed_verifies(text, name):
    note = SignedNote.parse(sign(text, name, SIGNING_KEY).to_bytes())
    key = VerifierKey.of(name, SIGNING_KEY)
    assert verify(note, [VerifierKey.parse(str(key))]) == (key,)


@pytest.mark.parametrize("what", PARSERS)
@given(data=st.data())
def test_every_format_has_one_spelling_and_everything_else_is_malformed(what, data):
    parse, spell, good = PARSERS[what]
    given_bytes = data.draw(st.one_of(st.binary(max_size=300), damaged(good)))
    try:
        parsed = parse(given_bytes)
    except MalformedError:
        return
    assert spell(parsed) == given_bytes


SIGNED = SignedCheckpoint.parse(
    sign(Checkpoint(origin=ORIGIN, size=3, root=merkle.root(3, NODE)).to_text(), ORIGIN, SIGNING_KEY).to_bytes()
)
STATE = TreeState(position=Position(segment=0, offset=9, size=3, check=7), signed=SIGNED, boot="this boot")
FORMAT = Format(origin=ORIGIN, key=KEY, created=datetime(2026, 1, 31, 12, tzinfo=UTC))


def test_state_of_a_log_parses_to_itself():
    assert TreeState.parse(STATE.to_bytes()) == STATE
    assert Format.parse(FORMAT.to_bytes()) == FORMAT


@given(damaged(STATE.to_bytes().rstrip()))
def test_state_that_was_torn_is_not_believed(data):
    with suppress(MalformedError):
        assert TreeState.parse(data) == STATE  # the damage hit nothing, or only white space


@given(st.one_of(st.binary(max_size=300), damaged(FORMAT.to_bytes())))
def test_format_of_a_log_has_one_spelling(data):
    with suppress(MalformedError):
        assert Format.parse(data).to_bytes() == data
