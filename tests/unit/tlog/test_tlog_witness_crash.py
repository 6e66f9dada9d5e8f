"""A witness that is killed before any of its changes to the disk: it never answered what it does not remember."""

import itertools
import os
import shutil
from functools import partial
from pathlib import Path

from airflow_provider_atlas import merkle
from airflow_provider_atlas.tlog.backends import witness_folder
from airflow_provider_atlas.tlog.backends.witness_folder import WitnessFolder
from airflow_provider_atlas.tlog.checkpoint import Checkpoint
from airflow_provider_atlas.tlog.note import sign
from airflow_provider_atlas.tlog.witness import AddCheckpoint, origin_id
from tests.support.dying_writer import CALLS, deadly, noted, synced
from tests.support.logs import KEY, ORIGIN, SIGNING_KEY, entry

NODE = merkle.nodes_of([merkle.leaf_hash(entry(number)) for number in range(9)])


def request(old: int, size: int) -> bytes:
    text = Checkpoint(origin=ORIGIN, size=size, root=merkle.root(size, NODE)).to_text()
    proof = merkle.consistency_proof(old, size, NODE)
    return AddCheckpoint(old=old, proof=proof, note=sign(text, ORIGIN, SIGNING_KEY)).to_bytes()


def answer_and_die(folder: Path, answered: Path, disk: Path, before: int, size: int) -> None:
    """Answer one request in this process, which ends before its change number ``before``."""
    witness, left = WitnessFolder(folder, {ORIGIN: [KEY]}), itertools.count(before - 1, -1)
    descriptor, out = os.open(disk, os.O_WRONLY | os.O_CREAT), os.open(answered, os.O_WRONLY | os.O_CREAT)
    write = os.write
    os.fsync = noted(os.fsync, lambda line: write(descriptor, line), partial(synced, kept=disk))
    os.rename = noted(os.rename, lambda line: write(descriptor, line), lambda old, new: ("renamed", old, new))
    for name in CALLS:
        setattr(os, name, deadly(getattr(os, name), left))
    answer = witness.add_checkpoint(request(5, size), 2000)
    write(out, b"%d" % answer.status)
    os._exit(0)


def test_what_a_witness_answered_it_remembers_whenever_it_is_killed(tmp_path: Path):
    first = tmp_path / "first"
    witness_folder.create(first, "w.example", ["ed25519", "ml-dsa-44"])
    assert WitnessFolder(first, {ORIGIN: [KEY]}).add_checkpoint(request(0, 5), 1000).status == 200
    for before in itertools.count(1):
        folder, answered, disk = shutil.copytree(first, tmp_path / str(before)), tmp_path / "out", tmp_path / "disk"
        answered.write_bytes(b"")
        disk.write_bytes(b"")
        child = os.fork()
        if not child:
            answer_and_die(folder, answered, disk, before, 7)
        lived = os.waitpid(child, 0)[1] == 0
        again = WitnessFolder(folder, {ORIGIN: [KEY]})
        kept = again.checkpoint(origin_id(ORIGIN)) or b""
        remembered = int(kept.split(b"\n")[1])
        assert remembered == 7 if answered.read_bytes() else remembered in (5, 7)
        assert again.add_checkpoint(request(remembered, 9), 3000).status == 200
        if lived:
            break
    assert answered.read_bytes() == b"200"
    assert before > 3
    # And in this order: the bytes are on the disk, then the name is, then the folder that has it.
    steps = [line.split("\t") for line in disk.read_text().splitlines()]
    path = f"{folder}/logs/{origin_id(ORIGIN)}/checkpoint"
    assert [(step[0], step[-1] if step[0] == "renamed" else step[1]) for step in steps] == [
        ("synced", f"{folder}/spare"),
        ("renamed", path),
        ("synced", os.path.dirname(path)),
    ]
