"""``atlas log``: an audit notices what was changed, and a drain finishes what could not be logged."""

import shutil

import pytest

from airflow_provider_atlas.attest.pending import Attachments, PendingRecord
from airflow_provider_atlas.wiring import logs
from tests.support.attested_run import PIPELINE, AttestedRun


@pytest.fixture
def vkey(attested):
    return str(logs.log_verifier_key(attested.settings))


@pytest.fixture
def log(attested, tmp_path):
    return shutil.copytree(attested.folder / "log", tmp_path / "log")


def test_a_log_is_found_to_be_what_it_signs(atlas, log, vkey, attested):
    answer = atlas("log", "audit", log, "--key", vkey, "--json")
    assert answer.code == 0
    assert answer.document["origin"] == attested.settings.log_origin
    assert answer.document["size"] == attested.worker.sealer.log.latest().size
    assert "The log is what its checkpoint signs." in answer.err


def test_an_entry_that_was_changed_is_noticed(atlas, log, vkey):
    entries = max((log / "tile" / "entries" / "000.p").iterdir(), key=lambda path: int(path.name))
    entries.chmod(0o644)
    content = bytearray(entries.read_bytes())
    content[100] ^= 1
    entries.write_bytes(content)
    answer = atlas("log", "audit", log, "--key", vkey)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.count("\n") == 1


def test_a_log_of_another_key_is_refused(atlas, log, tmp_path):
    stranger = AttestedRun(tmp_path / "stranger")
    answer = atlas("log", "audit", log, "--key", logs.log_verifier_key(stranger.settings))
    assert answer.code == 1


def test_what_is_no_log_decides_nothing(atlas, tmp_path, vkey):
    answer = atlas("log", "audit", tmp_path, "--key", vkey)
    assert (answer.code, answer.out) == (3, "")
    assert answer.err.count("\n") == 1


def test_a_key_that_is_none_is_a_mistake(atlas, log):
    answer = atlas("log", "audit", log, "--key", "no-key")
    assert answer.code == 2
    assert answer.err.startswith("atlas: cannot use --key: ")


@pytest.fixture
def spooled(tmp_path, monkeypatch):
    """A run whose last record waits in the spool."""
    run = AttestedRun(tmp_path)
    run.write("raw.csv", b"1\n")
    run.record("ingest", ["raw.csv"], {"table": b"table"})
    link, _ = run.records["ingest"]
    shutil.rmtree(run.run_folder)
    record = PendingRecord(link=link, attachments=Attachments(pipeline=PIPELINE.to_bytes(), openings=b"{}"))
    run.worker.spool.put(record.name, record.to_bytes())
    monkeypatch.setenv("AIRFLOW__ATLAS__DEPLOYMENT", run.settings.deployment)
    monkeypatch.setenv("AIRFLOW__ATLAS__ATTESTER", run.settings.attester)
    return run


def test_a_drain_finishes_what_waits(atlas, spooled):
    assert not spooled.run_folder.exists()
    answer = atlas("log", "drain", "--home", spooled.folder, "--json")
    assert answer.code == 0
    assert answer.document == {"finished": 1, "waiting": 0, "problems": []}
    assert (spooled.run_folder / "tasks" / "ingest" / "1.bundle.json").exists()


def test_a_drain_that_leaves_something_behind_says_so(atlas, spooled):
    spooled.worker.spool.put("broken", b"no record")
    answer = atlas("log", "drain", "--home", spooled.folder, "--json")
    assert answer.code == 3
    assert answer.document["finished"] == 1
    assert answer.document["waiting"] == 1
    assert len(answer.document["problems"]) == 1


def test_an_empty_spool_needs_no_draining(atlas, attested, monkeypatch):
    monkeypatch.setenv("AIRFLOW__ATLAS__DEPLOYMENT", attested.settings.deployment)
    answer = atlas("log", "drain", "--home", attested.folder)
    assert (answer.code, answer.out) == (0, "0 records were finished, 0 wait\n")


def test_a_log_that_took_entries_signs_for_them_when_told_to(atlas, tmp_path, monkeypatch):
    monkeypatch.setenv("AIRFLOW__ATLAS__LOG_INTEGRATION", "deferred")
    run = AttestedRun(tmp_path, log_integration="deferred")
    monkeypatch.setenv("AIRFLOW__ATLAS__DEPLOYMENT", run.settings.deployment)
    empty = atlas("log", "integrate", "--home", run.folder, "--json")
    assert (empty.code, empty.document["size"]) == (0, 0)
    run.worker.sealer.deferring.sequence([b"one", b"two"])
    answer = atlas("log", "integrate", "--home", run.folder, "--json")
    assert (answer.code, answer.document["size"]) == (0, 2)
    assert run.worker.sealer.log.latest().root.hex() == answer.document["root"]
