import pytest

from airflow_provider_atlas import merkle
from airflow_provider_atlas.errors import ConsistencyError, InclusionError, MalformedError
from airflow_provider_atlas.tlog.edge import Edge
from airflow_provider_atlas.tlog.tile import ENTRIES, Tile, TileTree, bundle, parse_bundle, tile_at, tiles_of


def grown(size: int) -> tuple[Edge, dict[str, bytes]]:
    """Return the edge of a tree of ``size`` entries, and the files it leaves behind."""
    edge = Edge()
    entries = (b"entry %d" % number for number in range(size))
    files = {made.tile.path: made.content for made in edge.extend(entries)}
    files.update({made.tile.path: made.content for made in edge.partials()})
    return edge, files


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(level=0, number=0), "tile/0/000"),
        (Tile(level=3, number=1234067), "tile/3/x001/x234/067"),
        (Tile(level=63, number=1000, width=255), "tile/63/x001/000.p/255"),
        (Tile(level=ENTRIES, number=999, width=1), "tile/entries/999.p/1"),
    ],
)
def test_path_of_a_tile_is_that_of_the_specification(tile, path):
    assert tile.path == path
    assert Tile.parse(path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "",
        "checkpoint",
        "tile/0/0",
        "tile/0/00",
        "tile/0/1000",
        "tile/0/x000/001",
        "tile/0/001/067",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/entries/000.p/0",
        "tile/entries/000.p/256",
        "tile/entries/000.p/300",
        "tile/entries/000.p/01",
        "tile/entries/000.p/",
        "/tile/0/000",
        "tile/0/000/",
        "tile/0/000\n",
        "tile/0/../0/000",
        "tile/0/" + "x999/" * 20 + "999",
        "tile/\u0660/000",
    ],
)
def test_everything_else_is_no_path_of_a_tile(path):
    with pytest.raises(MalformedError):
        Tile.parse(path)


def test_tree_of_70000_has_the_tiles_of_the_specification():
    tiles = list(tiles_of(70_000))
    by_level = {level: [tile for tile in tiles if tile.level == level] for level in (ENTRIES, 0, 1, 2, 3)}
    assert [tile.is_full for tile in by_level[0]] == [True] * 273 + [False]
    assert by_level[0][-1].width == by_level[ENTRIES][-1].width == 112
    assert [tile.width for tile in by_level[1]] == [256, 17]
    assert [tile.width for tile in by_level[2]] == [1]
    assert by_level[3] == []


def test_tree_of_256_has_a_full_tile_and_one_hash_above():
    assert [tile.path for tile in tiles_of(256)] == ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]


def test_empty_tree_has_no_tiles():
    assert list(tiles_of(0)) == []
    assert grown(0)[1] == {}


@pytest.mark.parametrize("size", [1, 255, 256, 257, 511, 513, 65536, 65537, 70000])
def test_growing_leaves_the_tiles_that_a_size_implies(size):
    edge, files = grown(size)
    expected = {tile.path for tile in tiles_of(size)}
    assert set(files) == expected
    assert TileTree(size, lambda tile: files[tile.path]).root() == edge.root()


@pytest.mark.parametrize("size", [0, 1, 256, 300, 65536, 66000])
def test_edge_is_found_again_in_the_tiles(size):
    edge, files = grown(size)
    loaded = Edge.load(size, lambda tile: files[tile.path])
    assert (loaded.root(), list(loaded.partials())) == (edge.root(), list(edge.partials()))
    whole = size - size % 256
    above = Edge.above(whole, lambda tile: files[tile.path])
    assert above.root() == TileTree(whole, lambda tile: files[tile.path]).root() if whole else merkle.EMPTY_ROOT


def test_bundle_that_is_not_that_of_the_tile_is_not_built_upon():
    _, files = grown(3)
    files["tile/entries/000.p/3"] = bundle([b"entry 0", b"entry 1", b"entry 3"])
    with pytest.raises(ConsistencyError):
        Edge.load(3, lambda tile: files[tile.path])


def test_tile_of_another_width_is_malformed():
    _, files = grown(3)
    with pytest.raises(MalformedError):
        TileTree(2, lambda _: files["tile/0/000.p/3"]).root()


def test_proofs_read_off_the_tiles_hold():
    edge, files = grown(70_000)
    tree = TileTree(70_000, lambda tile: files[tile.path])
    for index in (0, 255, 256, 65_535, 65_536, 69_887, 69_999):
        leaf = merkle.leaf_hash(b"entry %d" % index)
        assert tree.leaf(index) == leaf
        merkle.check_inclusion(index, 70_000, leaf, tree.inclusion_proof(index), edge.root())
    old = grown(66_000)[0].root()
    merkle.check_consistency(66_000, 70_000, old, edge.root(), tree.consistency_proof(66_000))
    with pytest.raises(InclusionError):
        tree.inclusion_proof(70_000)


def test_bundle_spells_each_entry_after_its_length():
    assert bundle([b"ab", b"", b"c"]) == b"\x00\x02ab\x00\x00\x00\x01c"
    assert parse_bundle(b"\x00\x02ab\x00\x00\x00\x01c", 3) == [b"ab", b"", b"c"]
    assert parse_bundle(bundle([b"x" * 65_535]), 1) == [b"x" * 65_535]


@pytest.mark.parametrize(
    ("data", "count"),
    [(b"\x00\x02ab", 2), (b"\x00\x02ab", 0), (b"\x00\x02a", 1), (b"\x00", 1), (b"", 1), (b"\x00\x01a\x00", 1)],
)
def test_bundle_with_more_or_less_than_its_entries_is_malformed(data, count):
    with pytest.raises(MalformedError):
        parse_bundle(data, count)


def test_tile_at_the_edge_is_as_wide_as_the_tree_reaches_into_it():
    assert tile_at(0, 1, 300).width == 44
    assert tile_at(0, 0, 300).is_full
    assert tile_at(1, 0, 300).width == 1
