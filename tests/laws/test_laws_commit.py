"""Laws of commits, and of the trees that grow by them: one spelling, one meaning, whoever reads them."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_atlas import merkle
from airflow_provider_atlas.errors import ConsistencyError, MalformedError, SignatureError
from airflow_provider_atlas.tlog.commit import Commit
from airflow_provider_atlas.tlog.edge import Edge
from airflow_provider_atlas.tlog.growth import Growth
from airflow_provider_atlas.tlog.note import SignedNote, sign
from airflow_provider_atlas.tlog.tile import FULL, tiles_of
from tests.support.logs import KEY, ORIGIN, SIGNING_KEY, entries

BATCHES = st.lists(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=5), min_size=1, max_size=6)
SIZES = st.lists(st.integers(1, 300), min_size=1, max_size=4)


def grown(batches: Sequence[Sequence[bytes]]) -> Growth:
    growth = Growth(Edge())
    for batch in batches:
        growth.apply(growth.propose(batch))
    return growth


def some_commit() -> Commit:
    growth = grown([entries(0, 3)])
    return growth.propose(entries(3, 5))


@given(BATCHES)
def test_commit_is_read_as_it_was_written(batches: list[list[bytes]]):
    commit = grown(batches[:-1]).propose(batches[-1])
    data = commit.to_bytes(ORIGIN, SIGNING_KEY)
    assert Commit.parse(data, KEY) == commit
    assert Commit.parse(data, KEY).to_bytes(ORIGIN, SIGNING_KEY) == data
    assert commit.entries() == batches[-1]


@given(st.integers(0, 400), st.integers(1, 255))
def test_commit_with_a_flipped_byte_is_refused(at: int, change: int):
    data = bytearray(some_commit().to_bytes(ORIGIN, SIGNING_KEY))
    data[at % len(data)] ^= change
    with pytest.raises((MalformedError, SignatureError)):
        Commit.parse(bytes(data), KEY)


@given(st.binary(max_size=200))
def test_rubbish_is_no_commit(data: bytes):
    with pytest.raises((MalformedError, SignatureError)):
        Commit.parse(data, KEY)


def test_commit_of_another_log_is_refused():
    data = some_commit().to_bytes("other.example/log", SIGNING_KEY)
    with pytest.raises(SignatureError):
        Commit.parse(data, KEY)


@pytest.mark.parametrize(
    ("at", "line"), [(0, f"{ORIGIN}\n"), (1, "03\n"), (2, "0\n"), (2, "2\n2\n"), (3, "AAAA\n"), (5, "AAAA\n")]
)
def test_note_that_the_key_signed_and_that_is_no_commit_is_refused(at: int, line: str):
    # A checkpoint of the same log has the same signer: it must not be taken for a commit.
    data = some_commit().to_bytes(ORIGIN, SIGNING_KEY)
    end = 4 + int.from_bytes(data[:4], "big")
    lines = SignedNote.parse(data[4:end]).text.splitlines(keepends=True)
    note = sign("".join([*lines[:at], line, *lines[at + 1 :]]), ORIGIN, SIGNING_KEY).to_bytes()
    with pytest.raises(MalformedError):
        Commit.parse(len(note).to_bytes(4, "big") + note + data[end:], KEY)


@given(SIZES)
def test_tree_that_grew_by_commits_is_the_tree_of_all_entries(sizes: list[int]):
    logged = entries(0, sum(sizes))
    batches = [logged[sum(sizes[:at]) : sum(sizes[: at + 1])] for at in range(len(sizes))]
    growth, edge = grown(batches), Edge()
    full = list(edge.extend(logged))
    assert growth.checkpoint(ORIGIN).root == edge.root()
    assert growth.unpublished() == [*full, *edge.partials()]
    assert {made.tile for made in growth.unpublished()} == set(tiles_of(len(logged)))
    assert growth.tail == {merkle.leaf_hash(entry): at for at, entry in enumerate(logged)}


@given(SIZES, st.data())
def test_what_is_published_is_forgotten_and_what_is_not_is_kept(sizes: list[int], data: st.DataObject):
    logged = entries(0, sum(sizes))
    growth = grown([logged[sum(sizes[:at]) : sum(sizes[: at + 1])] for at in range(len(sizes))])
    before = {made.tile for made in growth.unpublished()}
    published = sum(sizes[: data.draw(st.integers(0, len(sizes)))])
    done = {made.tile for made in growth.published(published)}
    assert done | {made.tile for made in growth.unpublished()} == before
    assert all((tile.number + 1) * FULL ** (max(tile.level, 0) + 1) <= published for tile in done)
    assert sorted(growth.tail.values()) == list(range(published, len(logged)))
    assert growth.root_at(published) == merkle.root(published, merkle.nodes_of(list(map(merkle.leaf_hash, logged))))


def test_commit_that_is_not_the_next_one_is_refused():
    growth, other = grown([entries(0, 3)]), grown([entries(1, 4)])
    for commit in (grown([entries(0, 2)]).propose(entries(2, 3)), other.propose(entries(4, 5))):
        with pytest.raises(ConsistencyError, match="continues"):
            growth.apply(commit)


def test_commit_that_does_not_lead_where_it_says_is_refused():
    growth = grown([entries(0, 3)])
    commit = growth.propose(entries(3, 4))
    lying = Commit(
        first=commit.first, count=commit.count, before=commit.before, after=bytes(32), payload=commit.payload
    )
    with pytest.raises(ConsistencyError, match="root that it names"):
        growth.apply(lying)


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=70))
def test_peaks_that_grew_leaf_by_leaf_fold_to_the_root(leaves: list[bytes]):
    peaks: list[bytes] = []
    for size, leaf in enumerate(leaves):
        made = merkle.grow(peaks, size, leaf)
        node = merkle.nodes_of(leaves[: size + 1])
        assert made == [node(height, size >> height) for height in range(len(made))]
    assert merkle.fold(peaks) == merkle.root(len(leaves), merkle.nodes_of(leaves))
