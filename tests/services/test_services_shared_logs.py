"""What a log that many hosts share refuses, notices and costs; and that others' code reads what it publishes."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tlog_scales import backend, reader, signing, tiles

from airflow_provider_atlas.cli.main import main
from airflow_provider_atlas.errors import ConfigError, LogError
from airflow_provider_atlas.merkle import leaf_hash
from airflow_provider_atlas.settings import Settings
from airflow_provider_atlas.tlog.backends import log_key
from airflow_provider_atlas.tlog.backends.object_bucket import Bucket
from airflow_provider_atlas.tlog.backends.object_store import ObjectStoreLog
from airflow_provider_atlas.tlog.backends.postgres import PostgresLog
from airflow_provider_atlas.tlog.backends.postgres_tables import lock_head
from airflow_provider_atlas.tlog.commit import Commit
from airflow_provider_atlas.tlog.edge import Edge
from airflow_provider_atlas.tlog.growth import Growth
from airflow_provider_atlas.wiring import logs
from tests.support.logs import KEY, ORIGIN, SIGNING_KEY, entries, entry, open_log
from tests.support.postgres_server import PostgresServer
from tests.support.s3_server import S3Server
from tests.support.shared_logs import ROOT, copy_public, open_shared, reader_of

pytestmark = pytest.mark.services

STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
KINDS = {"s3": ObjectStoreLog, "postgres": PostgresLog}


@pytest.fixture(params=["s3", "postgres"])
def kind(request: pytest.FixtureRequest) -> str:
    request.getfixturevalue(request.param)
    return request.param


@pytest.fixture
def uri(request: pytest.FixtureRequest, kind: str, tmp_path: Path) -> str:
    return request.getfixturevalue(kind).uri(tmp_path.name)


def test_others_code_reads_what_it_publishes(uri: str, tmp_path: Path):
    for start, end in ((0, 1), (1, 256), (256, 300), (300, 600)):
        open_shared(uri).append(entries(start, end))
    checkpoint = copy_public(uri, tmp_path / "copy")
    log = reader.TilesReader(backend.make_backend(str(tmp_path / "copy")))
    found = log.get_checkpoint()
    found.verify(signing.Vkey.from_string(str(KEY)))
    assert (found.origin, found.size) == (ORIGIN, 600)
    assert log.calculate_root_hash() == found.root_hash == checkpoint.root
    for number in range(0, 600, 7):
        assert log.get_entry(number) == entry(number)
        log.get_inclusion_proof(number, 600).check(tiles.leaf_hash(entry(number)), found.root_hash)


@pytest.mark.parametrize("size", [1, 255, 256, 300])
def test_objects_of_a_bucket_are_the_files_of_a_log(s3: S3Server, tmp_path: Path, size: int):
    # As a mirror would copy them: every object under tile/, and the checkpoint.
    uri = s3.uri(tmp_path.name)
    for start in range(0, size, 200):
        open_shared(uri).append(entries(start, min(start + 200, size)))
    bucket = Bucket(uri)
    for path in ["checkpoint", *(name for page in bucket.names("tile") for name in page)]:
        stored = bucket.get(path)
        assert stored
        (tmp_path / "copy" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "copy" / path).write_bytes(stored.content)
    log = reader.TilesReader(backend.make_backend(str(tmp_path / "copy")))
    found = log.get_checkpoint()
    assert (found.size, found.root_hash) == (size, log.calculate_root_hash())
    assert [log.get_entry(number) for number in range(size)] == entries(0, size)
    partial = {path.parent.relative_to(tmp_path / "copy/tile").as_posix() for path in tmp_path.rglob("*.p/*")}
    assert (size < 256) == ("0/000.p" in partial)  # a full tile has replaced them


def test_log_of_another_origin_or_key_is_refused(uri: str, kind: str):
    open_shared(uri).append([entry(0)])
    with pytest.raises(ConfigError, match=r"holds the log log\.example/atlas, not other\.example"):
        KINDS[kind](uri, "other.example", SIGNING_KEY)
    with pytest.raises(ConfigError, match="another key signs"):
        KINDS[kind](uri, ORIGIN, STRANGER)


def test_log_that_is_not_there_is_not_made_unless_asked(uri: str, kind: str):
    with pytest.raises(ConfigError, match="holds no log"):
        KINDS[kind](uri, ORIGIN, SIGNING_KEY, create=False)
    open_shared(uri)
    KINDS[kind](uri, ORIGIN, SIGNING_KEY, create=False)


def test_prefix_that_holds_something_else_is_refused(s3: S3Server, tmp_path: Path):
    uri = s3.uri(tmp_path.name)
    Bucket(uri).create("holiday.jpg", b"")
    with pytest.raises(ConfigError, match="holds objects and no log"):
        open_shared(uri)


def test_log_that_lost_its_row_is_not_made_anew(postgres: PostgresServer, tmp_path: Path):
    uri = postgres.uri(tmp_path.name)
    log = open_shared(uri)
    log.append([entry(0)])
    with psycopg.connect(uri) as connection:
        connection.execute("DELETE FROM atlas_log")
    with pytest.raises(ConfigError, match="holds no log"):
        open_shared(uri)
    with pytest.raises(LogError, match="restore the database"):
        log.append([entry(1)])


Backup = Callable[[], str]


@pytest.fixture
def backup(request: pytest.FixtureRequest, kind: str, tmp_path: Path) -> Backup:
    """Make a backup of the log, and return what names it."""
    server = request.getfixturevalue(kind)

    def in_s3() -> str:
        server.copy(tmp_path.name, f"{tmp_path.name}-backup")
        return server.uri(f"{tmp_path.name}-backup")

    def in_postgres() -> str:
        backup = server.uri(f"{tmp_path.name}_backup")
        with psycopg.connect(backup) as connection:
            for table in ("atlas_log", "atlas_log_entry", "atlas_log_node"):
                connection.execute(f'CREATE TABLE {table} AS SELECT * FROM "{tmp_path.name}".{table}')
        return backup

    return in_s3 if kind == "s3" else in_postgres


def test_backup_is_noticed_by_a_worker_that_saw_more(uri: str, backup: Backup, tmp_path: Path):
    open_shared(uri, tmp_path / "seen").append(entries(0, 3))
    restored = backup()
    open_shared(uri, tmp_path / "seen").append(entries(3, 5))
    with pytest.raises(LogError, match="rolled back or forked"):
        open_shared(restored, tmp_path / "seen").append([entry(9)])
    assert reader_of(restored).audit().checkpoint.size == 3  # nothing was signed on top


def test_fork_is_noticed_by_a_worker_that_saw_the_other_branch(uri: str, backup: Backup, tmp_path: Path):
    open_shared(uri, tmp_path / "seen").append(entries(0, 3))
    restored = backup()
    open_shared(uri, tmp_path / "seen").append(entries(3, 5))
    open_shared(restored, tmp_path / "elsewhere").append(entries(10, 20))  # by a worker that saw nothing of the first
    with pytest.raises(LogError, match="rolled back or forked"):
        open_shared(restored, tmp_path / "seen").append([entry(9)])


def test_workers_that_saw_different_sizes_of_one_history_agree(uri: str, tmp_path: Path):
    first, second = (open_shared(uri, tmp_path / name) for name in ("first", "second"))
    for number in range(6):
        (first, second)[number % 2].append([entry(number)])
    assert open_shared(uri, tmp_path / "first").append([entry(6)])[0].index == 6


def test_writer_that_was_idle_while_others_wrote_much_goes_on_from_their_checkpoint(uri: str):
    idle = open_shared(uri)
    idle.append([entry(0)])
    busy = open_shared(uri)
    for number in range(1, 70):
        busy.append([entry(number)])
    (receipt,) = idle.append([entry(70)])
    assert receipt.check(entry(70), ORIGIN, [KEY]).size == 71
    assert reader_of(uri).audit().checkpoint.size == 71


def test_opening_a_log_of_100000_entries_costs_what_a_small_one_does(s3: S3Server, tmp_path: Path):
    spent = []
    for size in (300, 100_000):
        open_log(tmp_path / str(size)).append([b"%d" % number for number in range(size)])
        uri = s3.uri(f"{tmp_path.name}-{size}")
        upload(tmp_path / str(size), uri)
        before = s3.requests()
        (receipt,) = open_shared(uri).append([entry(0)])
        spent.append(s3.requests() - before)
        assert receipt.check(entry(0), ORIGIN, [KEY]).size == size + 1
    assert spent[1] <= spent[0] + 6  # one more level of tiles to read, and to write
    assert spent[1] < 30


def upload(folder: Path, uri: str) -> None:
    """Put what a log in a folder publishes where it is a log in a store, all of whose writers are done."""
    bucket = Bucket(uri)
    paths = [path for path in folder.rglob("*") if path.is_file() and ".state" not in path.parts]
    bucket.each(lambda path: bucket.create(str(path.relative_to(folder)), path.read_bytes()), paths)
    bucket.create("state/format.json", (folder / ".state/format.json").read_bytes())


def test_checkpoint_that_was_put_back_is_put_forward_again(s3: S3Server, tmp_path: Path):
    bucket = Bucket(s3.uri(tmp_path.name))
    open_shared(bucket.uri).append(entries(0, 2))
    old = bucket.get("checkpoint")
    open_shared(bucket.uri).append(entries(2, 4))
    now = bucket.get("checkpoint")
    assert old
    assert now
    assert bucket.replace("checkpoint", old.content, now.tag)
    (receipt,) = open_shared(bucket.uri).append([entry(4)])
    assert (receipt.index, receipt.checkpoint.size) == (4, 5)
    assert reader_of(bucket.uri).audit().checkpoint.size == 5


def test_tile_that_says_something_else_stops_the_log(s3: S3Server, tmp_path: Path):
    uri = s3.uri(tmp_path.name)
    open_shared(uri).append(entries(0, 2))
    Bucket(uri).create("tile/0/000.p/3", bytes(96))
    with pytest.raises(LogError, match=r"tile/0/000\.p/3 .* is not what the commits of the log give"):
        open_shared(uri).append([entry(2)])
    assert reader_of(uri).audit().checkpoint.size == 2


def test_commit_that_the_key_did_not_sign_is_not_taken(s3: S3Server, tmp_path: Path):
    uri = s3.uri(tmp_path.name)
    open_shared(uri).append(entries(0, 2))
    growth = Growth(Edge())
    growth.apply(growth.propose(entries(0, 2)))
    forged = growth.propose([entry(666)])
    Bucket(uri).create(f"state/commit/{2:020d}", forged.to_bytes(ORIGIN, STRANGER))
    with pytest.raises(LogError, match="expected a note signed by"):
        open_shared(uri).append([entry(2)])


def test_commit_that_does_not_continue_the_log_is_not_taken(s3: S3Server, tmp_path: Path):
    uri = s3.uri(tmp_path.name)
    open_shared(uri).append(entries(0, 2))
    foreign = Commit(first=2, count=1, before=bytes(32), after=bytes(32), payload=b"\0\1x")
    Bucket(uri).create(f"state/commit/{2:020d}", foreign.to_bytes(ORIGIN, SIGNING_KEY))
    with pytest.raises(LogError, match="continues the log"):
        open_shared(uri).append([entry(2)])


@pytest.mark.parametrize("noted", [b"1", b"7", b"x", b""])
def test_index_that_misleads_is_noticed(s3: S3Server, tmp_path: Path, noted: bytes):
    uri = s3.uri(tmp_path.name)
    open_shared(uri).append(entries(0, 2))
    leaf = leaf_hash(entry(2)).hex()
    Bucket(uri).create(f"state/index/{leaf[:2]}/{leaf}", noted)
    with pytest.raises(LogError, match="cannot be gone on with"):
        open_shared(uri).append([entry(2)])


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE atlas_log SET size = 1",
        "UPDATE atlas_log SET peaks = decode(repeat('00', 32), 'hex')",
        "UPDATE atlas_log SET checkpoint = NULL",
        "UPDATE atlas_log SET checkpoint = 'x'",
        "UPDATE atlas_log_entry SET leaf = decode(repeat('00', 32), 'hex') WHERE index = 1",
        "DELETE FROM atlas_log_entry WHERE index = 1",
    ],
)
def test_row_that_was_changed_is_noticed(postgres: PostgresServer, tmp_path: Path, change: str):
    uri = postgres.uri(tmp_path.name)
    open_shared(uri).append(entries(0, 2))
    with psycopg.connect(uri) as connection:
        connection.execute(change)
    with pytest.raises(LogError, match="cannot be gone on with"):
        open_shared(uri).append([entry(2)])


def test_tables_of_a_later_version_are_refused(postgres: PostgresServer, tmp_path: Path):
    uri = postgres.uri(tmp_path.name)
    open_shared(uri)
    with psycopg.connect(uri) as connection:
        connection.execute("UPDATE atlas_log SET version = 2")
    with pytest.raises(ConfigError, match="version 2"):
        open_shared(uri)


def test_what_is_acknowledged_is_on_the_disk_whatever_the_database_is_set_to(postgres: PostgresServer, tmp_path: Path):
    uri = postgres.uri(tmp_path.name)
    open_shared(uri)
    with psycopg.connect(uri) as connection:
        connection.execute("SET synchronous_commit = off")
        connection.commit()
        lock_head(connection, patience=1)
        assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)


FORK = """
import os, sys
from airflow_provider_atlas.errors import LogError
from tests.support.shared_logs import open_shared
from tests.support.logs import entry
log = open_shared(sys.argv[1])
log.append([entry(0)])
child = os.fork()
if not child:
    try:
        log.append([entry(1)])
    except LogError as error:
        os._exit(7 if "after a fork" in str(error) else 1)
    os._exit(0)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
log.append([entry(2)])
sys.exit(code)
"""


def test_fork_uses_the_database_and_is_told_that_it_cannot_use_the_store(uri: str, kind: str):
    done = subprocess.run([sys.executable, "-c", FORK, uri], cwd=ROOT, timeout=60, check=False)
    assert done.returncode == {"s3": 7, "postgres": 0}[kind]
    assert reader_of(uri).audit().checkpoint.size == {"s3": 2, "postgres": 3}[kind]


def test_setting_names_such_a_log_and_the_command_audits_it(
    uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    log_key.create(tmp_path / "log.pem")
    section = {"log": uri, "log_origin": ORIGIN, "log_signer": f"file:{tmp_path}/log.pem"}
    settings = Settings.parse(section, home=str(tmp_path / "home"))
    logs.transparency_log(settings).append(entries(0, 3))
    assert len(list((tmp_path / "home" / "seen").iterdir())) == 2  # what was seen, and its lock
    vkey = str(logs.log_verifier_key(settings))
    assert main(["log", "audit", uri, "--key", vkey, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["size"] == 3
    assert main(["log", "audit", uri, "--key", str(KEY)]) == 1


def test_entry_of_such_a_log_is_proved_and_the_log_is_watched(
    uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    open_shared(uri).append(entries(0, 300))
    proof, wanted, seen = tmp_path / "of-7.tlog-proof", tmp_path / "entry", tmp_path / "seen-by-us"
    wanted.write_bytes(entry(7))
    make = ["log", "proof", "make", uri, "--key", str(KEY), "--entry", str(wanted), "--out", str(proof)]
    assert main(make) == 0
    assert main(["log", "proof", "check", str(proof), "--key", str(KEY), "--entry", str(wanted)]) == 0
    watch = ["log", "monitor", uri, "--key", str(KEY), "--state", str(seen)]
    assert main(watch) == 0
    open_shared(uri).append(entries(300, 520))
    capsys.readouterr()
    assert main([*watch, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["alarms"] == []


def test_setting_without_a_key_is_refused(uri: str, tmp_path: Path):
    with pytest.raises(ConfigError, match="log_signer"):
        logs.transparency_log(Settings.parse({"log": uri}, home=str(tmp_path)))


def test_what_a_log_publishes_is_cached_for_ever_but_for_its_checkpoint(s3: S3Server, tmp_path: Path):
    uri = s3.uri(tmp_path.name)
    open_shared(uri).append([entry(0)])
    for path, cache in (("tile/0/000.p/1", "public, max-age=31536000, immutable"), ("checkpoint", "no-cache")):
        assert Bucket(uri)._store.get(path).attributes["Cache-Control"] == cache
