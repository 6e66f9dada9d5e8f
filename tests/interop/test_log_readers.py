"""Our log, read by others' code: ``tlog-scales`` and the Go checksum database accept it, and find a flipped bit in it.

Nothing of ours reads the log here; ours only writes it.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tlog_scales import backend, reader, signing, tiles, tlog

from tests.support.logs import KEY, ORIGIN, entries, entry, open_log

SIZE = 700
GO = Path(__file__).parent / "go"

Auditor = Callable[[Path, Path], str]
"""Returns what is wrong with a log, or with one of a folder of receipts; nothing, if all is right."""


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log with two full tiles and a partial one, grown in several commits."""
    folder = tmp_path_factory.mktemp("written") / "log"
    for start, end in ((0, 1), (1, 256), (256, 600), (600, SIZE)):
        open_log(folder).append(entries(start, end))
    return folder


@pytest.fixture(scope="module")
def receipts(tmp_path_factory: pytest.TempPathFactory, log: Path) -> Path:
    """A receipt of every fiftieth entry, and one with a checkpoint of each size that the log ever had."""
    folder = tmp_path_factory.mktemp("receipts")
    grown = folder / "grown"
    for number in (*range(0, SIZE, 50), SIZE - 1):
        kept(folder, f"last-{number}", number, open_log(log).append([entry(number)])[0].to_bytes())
    for start, end in ((0, 1), (1, 256), (256, 600)):
        receipt = open_log(grown).append(entries(start, end))[-1]
        kept(folder, f"old-{end}", end - 1, receipt.to_bytes())
    shutil.rmtree(grown)
    return folder


def kept(folder: Path, name: str, number: int, receipt: bytes) -> None:
    (folder / f"{name}.tlog-proof").write_bytes(receipt)
    (folder / f"{name}.entry").write_bytes(entry(number))


def read_with_tlog_scales(folder: Path, receipts: Path) -> None:
    key = signing.Vkey.from_string(str(KEY))
    log = reader.TilesReader(backend.make_backend(str(folder)))
    checkpoint = log.get_checkpoint()
    checkpoint.verify(key)
    assert (checkpoint.origin, checkpoint.size) == (ORIGIN, SIZE)
    assert log.calculate_root_hash() == checkpoint.root_hash
    leaves = []
    for number in range(SIZE):
        leaves.append(tiles.leaf_hash(log.get_entry(number)))
        log.get_inclusion_proof(number, SIZE).check(leaves[number], checkpoint.root_hash)
    for size in range(1, SIZE, 37):
        older = reader.TilesReader(backend.make_backend(str(folder)))
        older.set_size(SIZE)
        log.get_consistency_proof(size, SIZE).check(older.mth(0, size), checkpoint.root_hash)
    for path in receipts.glob("*.tlog-proof"):
        check_receipt_with_tlog_scales(path, key)


def check_receipt_with_tlog_scales(path: Path, key: signing.Vkey) -> None:
    # tlog-scales writes such receipts and has no parser of them; their head is three kinds of lines.
    head, _, note = path.read_text().partition("\n\n")
    magic, index, *hashes = head.split("\n")
    assert magic == "c2sp.org/tlog-proof@v1"
    checkpoint = tlog.Checkpoint.from_text(note)
    checkpoint.verify(key)
    proof = tlog.InclusionProof(int(index.removeprefix("index ")), checkpoint.size, list(map(tlog.b64dec, hashes)))
    proof.check(tiles.leaf_hash(path.with_suffix(".entry").read_bytes()), checkpoint.root_hash)


@pytest.fixture(scope="module")
def auditlog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The auditor in Go, built. Without ``go`` this fails: who asks for this test has it."""
    program = tmp_path_factory.mktemp("go") / "auditlog"
    subprocess.run(["go", "build", "-o", program, "."], cwd=GO, check=True)
    return program


@pytest.fixture(params=["tlog-scales", pytest.param("Go", marks=pytest.mark.interop)])
def audited(request: pytest.FixtureRequest) -> Auditor:
    if request.param == "tlog-scales":
        return audit_with_tlog_scales
    program = request.getfixturevalue("auditlog")

    def audit(folder: Path, receipts: Path) -> str:
        done = subprocess.run([program, folder, str(KEY), receipts], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            assert done.stdout == "700 entries, 4 tiles, 176 proofs, 18 receipts\n"
            return ""
        assert done.returncode == 1
        return done.stderr

    return audit


def audit_with_tlog_scales(folder: Path, receipts: Path) -> str:
    try:
        read_with_tlog_scales(folder, receipts)
    except Exception as error:  # noqa: BLE001 - it raises whatever its callees do, and errors without a word
        return repr(error)
    return ""


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def test_log_and_its_receipts_are_accepted(audited: Auditor, log: Path, receipts: Path):
    assert audited(log, receipts) == ""


@pytest.mark.parametrize(
    "name",
    [
        "checkpoint",
        "tile/0/000",
        "tile/0/001",
        "tile/0/002.p/188",
        "tile/1/000.p/2",
        "tile/entries/000",
        "tile/entries/002.p/188",
    ],
)
@pytest.mark.parametrize("place", [0.0, 0.5, 0.99])
def test_flipped_bit_is_found_in_each_file(
    audited: Auditor, log: Path, receipts: Path, tmp_path: Path, name: str, place: float
):
    damaged = Path(shutil.copytree(log, tmp_path / "log", ignore=shutil.ignore_patterns(".state")))
    content = (damaged / name).read_bytes()
    (damaged / name).write_bytes(flipped(content, int(len(content) * place)))
    assert audited(damaged, receipts)


def test_receipt_of_another_entry_is_refused(audited: Auditor, log: Path, receipts: Path, tmp_path: Path):
    swapped = Path(shutil.copytree(receipts, tmp_path / "receipts"))
    os.replace(swapped / "last-50.entry", swapped / "last-100.entry")
    (swapped / "last-50.tlog-proof").unlink()
    assert audited(log, swapped)
