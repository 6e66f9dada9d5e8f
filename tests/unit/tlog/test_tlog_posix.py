import json
import os
import shutil
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from airflow_provider_atlas import merkle
from airflow_provider_atlas.errors import (
    ConfigError,
    ConsistencyError,
    LogError,
    MalformedError,
    MissingError,
    SignatureError,
)
from airflow_provider_atlas.settings import Settings
from airflow_provider_atlas.tlog.backends import posix_files, posix_journal
from airflow_provider_atlas.tlog.backends.posix import PosixLog
from airflow_provider_atlas.tlog.backends.posix_journal import START, Journal
from airflow_provider_atlas.tlog.backends.posix_reader import PosixLogReader
from airflow_provider_atlas.tlog.backends.posix_state import TreeState
from airflow_provider_atlas.tlog.note import VerifierKey, sign
from airflow_provider_atlas.tlog.tile import tiles_of
from airflow_provider_atlas.wiring import logs
from tests.support.logs import KEY, ORIGIN, SIGNING_KEY, entries, entry, open_log

SEGMENT = ".state/journal/00000000000000000000.log"
TREE = ".state/tree.json"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A log of 300 entries."""
    open_log(tmp_path / "log").append(entries(0, 300))
    return tmp_path / "log"


def public_files(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file() and ".state" not in path.parts]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def reboot(folder: Path) -> None:
    """Let the log think that the machine was started anew since it was written."""
    state = TreeState.parse((folder / TREE).read_bytes())
    (folder / TREE).write_bytes(replace(state, boot="an earlier boot").to_bytes())


def end_of(folder: Path) -> int:
    """Return where the last record in the first segment of the journal ends. Behind it are zeros."""
    *_, last = Journal(str(folder / ".state/journal")).read(START)
    return last.end.offset


def tear(folder: Path, record: bytes) -> None:
    """Leave ``record``, which is not whole, at the end of the journal, as a writer that died does."""
    with (folder / SEGMENT).open("r+b") as file:
        file.seek(end_of(folder))
        file.write(record)


def assert_goes_on(folder: Path, size: int) -> None:
    """The log holds ``size`` entries and takes the next one, and all of it is right."""
    (receipt,) = open_log(folder).append([entry(size)])
    assert receipt.index == size
    receipt.check(entry(size), ORIGIN, [KEY])
    audit = PosixLogReader(folder, KEY).audit()
    assert audit.checkpoint == receipt.checkpoint
    assert audit.tiles == len(list(tiles_of(size + 1)))
    assert list(PosixLogReader(folder, KEY).entries(0, size + 1)) == entries(0, size + 1)


# What the folder looks like


def test_folder_is_made_with_what_a_web_server_may_read_and_what_it_may_not(folder: Path):
    modes = {str(path.relative_to(folder)): stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}
    public = {path: mode for path, mode in modes.items() if not path.startswith(".state")}
    assert modes[".state"] == 0o700
    assert {mode for path, mode in public.items() if (folder / path).is_file()} == {0o644}
    assert {mode for path, mode in public.items() if (folder / path).is_dir()} == {0o755}
    assert {modes[".state/format.json"], modes[TREE], modes[SEGMENT]} == {0o644, 0o600}


def test_folder_does_not_depend_on_the_umask(tmp_path: Path):
    before = os.umask(0o077)
    try:
        open_log(tmp_path / "log").append(entries(0, 2))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "log/checkpoint").stat().st_mode) == 0o644
    assert stat.S_IMODE((tmp_path / "log/tile/0/000.p").stat().st_mode) == 0o755


def test_format_tells_whose_log_it_is(folder: Path):
    found = json.loads((folder / ".state/format.json").read_bytes())
    assert (found["version"], found["origin"], found["vkey"]) == (1, ORIGIN, str(KEY))


def test_tiles_are_those_of_the_size_and_old_partial_ones_are_gone(tmp_path: Path):
    log = open_log(tmp_path)
    for number in range(258):
        log.append([entry(number)])
    found = {path for path in public_files(tmp_path) if path.startswith("tile")}
    assert {tile.path for tile in tiles_of(258)} <= found
    assert not [path for path in found if path.startswith(("tile/0/000.p", "tile/entries/000.p"))]
    assert "tile/0/001.p/1" in found  # a checkpoint of 257 entries was published


def test_what_is_left_behind_is_a_function_of_the_entries(tmp_path: Path):
    one, many = open_log(tmp_path / "one"), open_log(tmp_path / "many")
    one.append(entries(0, 520))
    for start in range(0, 520, 40):
        many.append(entries(start, start + 40))
    written = public_files(tmp_path / "one")
    assert {path: content for path, content in public_files(tmp_path / "many").items() if path in written} == written


def test_journal_goes_on_in_a_new_segment_when_one_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(posix_journal, "SEGMENT_BYTES", 20_000)
    log = open_log(tmp_path)
    for start in range(0, 300, 30):
        log.append(entries(start, start + 30))
    names = sorted(os.listdir(tmp_path / ".state/journal"))
    assert names == [f"{first:020d}.log" for first in (0, 60, 120, 180, 240)]
    shutil.rmtree(tmp_path / "tile")
    assert [receipt.index for receipt in log.append([entry(0), entry(299)])] == [0, 299]
    reboot(tmp_path)
    assert_goes_on(tmp_path, 300)


def test_process_that_died_while_it_began_a_segment_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(posix_journal, "SEGMENT_BYTES", 20_000)
    log = open_log(tmp_path)
    log.append(entries(0, 60))
    (tmp_path / ".state/journal/00000000000000000060.log").touch()
    reboot(tmp_path)
    log.append(entries(60, 90))
    assert_goes_on(tmp_path, 90)
    assert len(os.listdir(tmp_path / ".state/journal")) == 2


# Whose folder it is


def test_folder_with_other_files_is_left_alone(tmp_path: Path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(ConfigError, match="holds files and no log"):
        open_log(tmp_path)
    assert os.listdir(tmp_path) == ["thesis.tex"]


def test_file_in_place_of_the_folder_is_told(tmp_path: Path):
    (tmp_path / "log").write_text("x")
    with pytest.raises(LogError, match="cannot open the log"):
        open_log(tmp_path / "log")


def test_log_is_not_made_unless_asked_for(tmp_path: Path):
    with pytest.raises(ConfigError, match="holds no log"):
        PosixLog(tmp_path / "log", ORIGIN, SIGNING_KEY, create=False)
    assert not (tmp_path / "log").exists()
    open_log(tmp_path / "log")
    assert PosixLog(tmp_path / "log", ORIGIN, SIGNING_KEY, create=False).latest() is None


def test_log_of_another_origin_is_refused(folder: Path):
    with pytest.raises(ConfigError, match=f"holds the log {ORIGIN}, not log.example/other"):
        PosixLog(folder, "log.example/other", SIGNING_KEY)


def test_log_of_another_key_is_refused(folder: Path):
    with pytest.raises(ConfigError, match="another key"):
        PosixLog(folder, ORIGIN, Ed25519PrivateKey.from_private_bytes(b"o" * 32))


@pytest.mark.parametrize("origin", ["", "two words", "a+b", "line\nbreak", "x" * 300])
def test_origin_that_no_checkpoint_can_bear_is_refused(tmp_path: Path, origin: str):
    with pytest.raises(ConfigError, match="origin"):
        PosixLog(tmp_path / "log", origin, SIGNING_KEY)
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize("content", [b"", b"{}", b'{"version":2}'])
def test_format_that_cannot_be_read_is_refused(folder: Path, content: bytes):
    (folder / ".state/format.json").write_bytes(content)
    with pytest.raises(ConfigError, match=r"format\.json"):
        open_log(folder)


def test_journal_without_its_format_is_not_taken_for_an_empty_folder(folder: Path):
    (folder / ".state/format.json").unlink()
    with pytest.raises(ConfigError, match="holds files and no log"):
        open_log(folder)
    for name in ("checkpoint", "tile"):
        (shutil.rmtree if (folder / name).is_dir() else os.unlink)(folder / name)
    with pytest.raises(ConfigError, match=r"format\.json"):
        open_log(folder)


def test_log_that_was_half_made_is_made(tmp_path: Path):
    open_log(tmp_path / "log")
    (tmp_path / "log/.state/format.json").unlink()
    (tmp_path / "log/.state/tree.json").unlink()
    assert_goes_on(tmp_path / "log", 0)


def test_folder_on_a_file_system_of_many_machines_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        f"22 1 8:1 / / rw,relatime - ext4 /dev/vda rw\n36 22 0:40 / {tmp_path}/far rw - nfs4 server:/export rw\n"
    )
    monkeypatch.setattr(posix_files, "MOUNTS", str(mounts))
    with pytest.raises(ConfigError, match="nfs4, which machines share"):
        open_log(tmp_path / "far/log")
    assert open_log(tmp_path / "near").latest() is None


def test_processes_that_make_the_log_at_once_make_one(tmp_path: Path):
    done = run_as(
        tmp_path / "log",
        "number = next((number for number in range(1, 8) if not os.fork()), 0)\n"
        "open_log(folder).append([entry(number)])\n"
        "if number: os._exit(0)\n"
        "print([os.wait()[1] for _ in range(7)], open_log(folder).latest().size)\n",
    )
    assert done.stdout == "[0, 0, 0, 0, 0, 0, 0] 8\n"
    PosixLogReader(tmp_path / "log", KEY).audit()


def test_process_that_was_forked_while_the_log_was_locked_does_not_keep_it_locked(folder: Path):
    done = run_as(
        folder,
        "import signal, time\n"
        "from airflow_provider_atlas.tlog.backends import posix_files\n"
        "with posix_files.locked(str(folder / '.state/lock')), posix_files.locked(str(folder / '.state/tree-lock')):\n"
        "    child = os.fork()\n"
        "    if not child: time.sleep(600)\n"
        "print(open_log(folder).append([entry(300)])[0].index)\n"
        "os.kill(child, signal.SIGKILL)\n",
    )
    assert done.stdout == "300\n"


# Crashes: what is left at each point is finished by the next process


def test_record_that_was_torn_is_dropped(folder: Path):
    tear(folder, b"\x00\x00\x02\x00\x00\x00\x00\x01half a record")
    assert_goes_on(folder, 300)


def test_torn_record_longer_than_the_next_one_leaves_nothing_behind(folder: Path):
    tear(folder, b"\x00\x01\x00\x00\x00\x00\x00\x01" + b"y" * 40_000)
    assert_goes_on(folder, 300)
    assert not any((folder / SEGMENT).read_bytes()[end_of(folder) :])


def test_recovery_waits_for_the_disk_before_it_shows_a_checkpoint(folder: Path, monkeypatch: pytest.MonkeyPatch):
    # A process that died after it wrote its checkpoint and before the disk had it leaves it in memory alone.
    steps = []
    sync, rename = os.fdatasync, os.rename
    monkeypatch.setattr(os, "fdatasync", lambda fd: (sync(fd), steps.append(os.readlink(f"/proc/self/fd/{fd}"))))
    monkeypatch.setattr(os, "rename", lambda old, new: (rename(old, new), steps.append(str(new))))
    (folder / TREE).unlink()
    open_log(folder).append([entry(0)])
    shown = [os.path.relpath(step, folder) for step in steps]
    assert shown.index(SEGMENT) < shown.index("checkpoint")


def test_entry_that_was_written_and_never_signed_is_signed_by_the_next(folder: Path):
    journal = Journal(str(folder / ".state/journal"))
    *_, last = journal.read(START)
    journal.append_entries(last.end, [entry(300)])
    assert_goes_on(folder, 301)


def test_entry_that_was_written_and_never_signed_keeps_its_index(folder: Path):
    journal = Journal(str(folder / ".state/journal"))
    *_, last = journal.read(START)
    journal.append_entries(last.end, [entry(300), entry(301)])
    (receipt,) = open_log(folder).append([entry(301)])
    assert (receipt.index, receipt.checkpoint.size) == (301, 302)


def test_commit_whose_tiles_were_never_written_is_finished(folder: Path, tmp_path: Path):
    shutil.copytree(folder, tmp_path / "before")
    open_log(folder).append(entries(300, 600))
    signed = open_log(folder).latest()
    # What a process leaves that is killed right after the commit: the journal, and nothing else of it.
    shutil.copy(folder / SEGMENT, tmp_path / "before" / SEGMENT)
    (receipt,) = open_log(tmp_path / "before").append([entry(599)])
    assert receipt.index == 599
    assert receipt.checkpoint == signed
    assert_goes_on(tmp_path / "before", 600)


@pytest.mark.parametrize("power", [False, True], ids=["killed", "power failure"])
@pytest.mark.parametrize(
    "lost",
    [
        "checkpoint",
        ".state/tree.json",
        ".state/index",
        "tile/0/000",
        "tile/0/001.p/44",
        "tile/1/000.p/1",
        "tile/entries/000",
        "tile/entries/001.p/44",
        "tile",
    ],
)
def test_everything_but_the_journal_is_made_again(folder: Path, lost: str, power: bool):
    before = public_files(folder)
    if power:
        reboot(folder)
    path = folder / lost
    (shutil.rmtree if path.is_dir() else os.unlink)(path)
    receipts = open_log(folder).append([entry(0), entry(299)])
    assert [receipt.index for receipt in receipts] == [0, 299]
    if power or lost in ("tile", "tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1"):  # what the receipts looked at
        assert {path: public_files(folder).get(path) for path in before} == before
    open_log(folder).append([entry(300)])
    if lost != "tile/entries/000" or power:  # a full bundle that is never read again is for the audit to miss
        assert_goes_on(folder, 301)


@pytest.mark.parametrize("power", [False, True], ids=["killed", "power failure"])
@pytest.mark.parametrize("damage", [lambda good: good[:0], lambda good: good[:-7], lambda good: good[::-1]])
@pytest.mark.parametrize("name", ["tile/0/001.p/44", "tile/entries/001.p/44", "tile/1/000.p/1", "tile/0/000"])
def test_tile_that_is_half_written_or_of_another_tree_is_made_again(folder: Path, name: str, damage, power: bool):
    good = (folder / name).read_bytes()
    (folder / name).write_bytes(damage(good))
    if power:
        reboot(folder)
    receipts = open_log(folder).append([entry(0), entry(300)])
    assert [receipt.index for receipt in receipts] == [0, 300]
    assert (folder / name).read_bytes() == good
    assert_goes_on(folder, 301)


def test_machine_that_was_started_anew_builds_upon_the_journal_alone(folder: Path):
    for size in (300, 301):
        reboot(folder)
        assert_goes_on(folder, size)
    assert TreeState.parse((folder / TREE).read_bytes()).boot != "an earlier boot"


def test_index_that_lost_its_tail_to_a_power_failure_is_made_again(folder: Path):
    for shard in (folder / ".state/index").iterdir():
        shard.write_bytes(shard.read_bytes()[:-40])
    reboot(folder)
    assert [receipt.index for receipt in open_log(folder).append(entries(0, 300))] == list(range(300))


def test_index_whose_last_record_was_cut_short_finds_what_is_added_later(folder: Path):
    for shard in (folder / ".state/index").iterdir():
        shard.write_bytes(shard.read_bytes() + b"short")
    open_log(folder).append(entries(300, 600))
    assert [receipt.index for receipt in open_log(folder).append(entries(0, 600))] == list(range(600))


def test_index_that_says_too_much_is_not_believed(folder: Path):
    for shard in (folder / ".state/index").iterdir():
        records = shard.read_bytes()
        wrong = b"".join(records[at : at + 32] + (5).to_bytes(8, "big") for at in range(0, len(records), 40))
        shard.write_bytes(wrong + records)
    assert [receipt.index for receipt in open_log(folder).append(entries(0, 300))] == list(range(300))


@pytest.mark.parametrize(
    "content", [b"", b"hello", sign(f"{ORIGIN}\n1\n{'A' * 43}=\n", "mallory", SIGNING_KEY).to_bytes()]
)
def test_checkpoint_that_somebody_else_wrote_is_replaced(folder: Path, content: bytes):
    (folder / "checkpoint").write_bytes(content)
    with pytest.raises(LogError, match="checkpoint"):
        open_log(folder).latest()
    assert_goes_on(folder, 300)


# Rollbacks: a log that signed more than its journal gives signs nothing more


def copied(folder: Path, name: str) -> Path:
    return Path(shutil.copytree(folder, folder.parent / name))


def restored(folder: Path, backup: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
            shutil.copytree(backup / name, path)
        else:
            shutil.copy(backup / name, path)


def assert_signs_nothing(folder: Path) -> None:
    before = (folder / "checkpoint").read_bytes()
    with pytest.raises(LogError, match="restore") as caught:
        open_log(folder).append([entry(10_000)])
    assert isinstance(caught.value.__cause__, ConsistencyError)
    assert (folder / "checkpoint").read_bytes() == before
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("power", [False, True], ids=["same boot", "after a reboot"])
@pytest.mark.parametrize(
    "names",
    [
        (".state/journal",),
        (".state/journal", ".state/tree.json"),
        (".state/journal", ".state/tree.json", ".state/index"),
        (".state/journal", "checkpoint"),
        (".state/journal", "checkpoint", "tile"),
        (".state",),
    ],
    ids=" ".join,
)
def test_log_that_was_rolled_back_in_part_signs_nothing(folder: Path, names: tuple[str, ...], power: bool):
    backup = copied(folder, "backup")
    open_log(folder).append(entries(300, 310))
    restored(folder, backup, *names)
    if power:
        reboot(folder)
    assert_signs_nothing(folder)


@pytest.mark.parametrize("power", [False, True], ids=["same boot", "after a reboot"])
def test_journal_of_another_history_is_refused_and_left_as_it_is(folder: Path, tmp_path: Path, power: bool):
    open_log(tmp_path / "other").append([entry(number) for number in range(1000, 1400)])
    shutil.copy(tmp_path / "other" / SEGMENT, folder / SEGMENT)
    if power:
        reboot(folder)
    journal = (folder / SEGMENT).read_bytes()
    assert_signs_nothing(folder)
    assert (folder / SEGMENT).read_bytes() == journal


def test_fork_of_the_log_is_refused_by_the_checkpoint_of_the_other(folder: Path):
    fork = copied(folder, "fork")
    open_log(folder).append([entry(300)])
    open_log(fork).append([entry(301)])
    shutil.copy(fork / "checkpoint", folder / "checkpoint")
    assert_signs_nothing(folder)


def test_tiles_and_checkpoint_that_were_rolled_back_are_made_again(folder: Path):
    backup = copied(folder, "backup")
    open_log(folder).append(entries(300, 600))
    restored(folder, backup, "tile", "checkpoint")
    assert_goes_on(folder, 600)


# What the disk may do


def run_as(folder: Path, program: str) -> subprocess.CompletedProcess[str]:
    prelude = (
        "import os, resource, sys\n"
        "from pathlib import Path\n"
        "from airflow_provider_atlas.errors import LogError\n"
        "from tests.support.logs import entries, entry, open_log\n"
        "folder = Path(sys.argv[1])\n"
    )
    command = [sys.executable, "-c", prelude + program, str(folder)]
    root = Path(__file__).parents[3]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def test_folder_that_cannot_be_written_is_told(folder: Path):
    # As somebody who may read the log and not write to it. Root may do everything, so root becomes nobody.
    for path in [folder.parent.parent.parent, folder.parent.parent, folder.parent, folder, *folder.rglob("*")]:
        path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
        if os.geteuid() and folder in [path, *path.parents]:
            path.chmod(path.stat().st_mode & ~0o222)
    done = run_as(
        folder,
        "log = open_log(folder)\n"
        "if not os.geteuid(): os.setgid(65534); os.setuid(65534)\n"
        "print(log.latest().size)\n"
        "try: log.append([entry(300)])\n"
        "except LogError as error: print(error)\n",
    )
    assert done.stdout == f"300\ncannot append to the log in {folder} (Permission denied): let this user write to it\n"


def test_full_disk_is_told_and_loses_nothing(folder: Path):
    size = end_of(folder)
    done = run_as(
        folder,
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({size + 100}, resource.RLIM_INFINITY))\n"
        "try: open_log(folder).append([entry(300)])\n"
        "except LogError as error: print(error)\n",
    )
    assert done.stdout == (
        f"cannot append to the log in {folder} (File too large): raise the limit on file sizes and append again\n"
    )
    assert (folder / SEGMENT).stat().st_size == size
    assert_goes_on(folder, 300)


def test_disk_that_is_full_after_the_commit_loses_nothing(folder: Path):
    # The journal has room for the record and its checkpoint, and the disk none for the tiles.
    done = run_as(
        folder,
        "blocked = folder / 'tile/0/001.p'\n"
        "blocked.rename(folder / 'tile/0/spare')\n"
        "blocked.write_text('in the way')\n"
        "try: open_log(folder).append([entry(300)])\n"
        "except LogError as error: print(error)\n"
        "blocked.unlink()\n"
        "(folder / 'tile/0/spare').rename(blocked)\n",
    )
    assert done.stdout.startswith(f"cannot append to the log in {folder} (")
    (receipt,) = open_log(folder).append([entry(300)])
    assert receipt.index == 300
    assert_goes_on(folder, 301)


# Reading


def test_entries_are_read_back(folder: Path):
    reader = PosixLogReader(folder, KEY)
    assert list(reader.entries(0, 300)) == entries(0, 300)
    assert list(reader.entries(250, 260)) == entries(250, 260)
    assert list(reader.entries(256, 256)) == []
    for start, end in ((-1, 2), (2, 1), (0, 301)):
        with pytest.raises(MissingError):
            list(reader.entries(start, end))


def test_reader_makes_proofs_of_what_it_reads(folder: Path):
    log = open_log(folder)
    before = log.latest()
    log.append(entries(300, 700))
    after = log.latest()
    assert before
    assert after
    proof = log.reader.tree(after.size).consistency_proof(before.size)
    merkle.check_consistency(before.size, after.size, before.root, after.root, proof)


def test_log_without_a_checkpoint_has_nothing_to_audit(tmp_path: Path):
    with pytest.raises(MissingError, match="no checkpoint"):
        open_log(tmp_path / "log").reader.audit()


def test_audit_refuses_a_checkpoint_of_another_key(folder: Path):
    stranger = VerifierKey.of(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"o" * 32))
    with pytest.raises(SignatureError):
        PosixLogReader(folder, stranger).audit()


def test_audit_finds_a_flipped_bit_in_every_public_file(folder: Path):
    for path, content in public_files(folder).items():
        for at in (0, len(content) // 2, len(content) - 2):
            flipped = bytearray(content)
            flipped[at] ^= 1
            (folder / path).write_bytes(flipped)
            with pytest.raises((ConsistencyError, MalformedError, SignatureError)):
                PosixLogReader(folder, KEY).audit()
        (folder / path).unlink()
        with pytest.raises(MissingError):
            PosixLogReader(folder, KEY).audit()
        (folder / path).write_bytes(content)
    PosixLogReader(folder, KEY).audit()


def test_audit_finds_entries_that_the_checkpoint_does_not_sign(folder: Path, tmp_path: Path):
    open_log(tmp_path / "other").append(entries(1, 301))
    shutil.rmtree(folder / "tile")
    shutil.copytree(tmp_path / "other/tile", folder / "tile")
    with pytest.raises(ConsistencyError, match="checkpoint"):
        PosixLogReader(folder, KEY).audit()


def test_folder_that_machines_share_is_taken_where_somebody_answers_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    mounts = tmp_path / "mounts"
    mounts.write_text("1 2 0:3 / / rw - nfs4 server:/ rw\n")
    monkeypatch.setattr(posix_files, "MOUNTS", str(mounts))
    section = {"log": f"posix:{tmp_path}/log", "allow_network_log": "true"}
    log = logs.transparency_log(Settings.parse(section, home=str(tmp_path)))
    (receipt,) = log.append([entry(0)])
    assert receipt.index == 0
