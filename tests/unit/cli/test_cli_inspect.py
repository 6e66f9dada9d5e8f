"""``atlas inspect``: every format is recognised by its content, and hostile content stays on its line."""

from dataclasses import replace

import pytest

from airflow_provider_atlas.bundle import AttestationBundle
from airflow_provider_atlas.intoto.pipeline import Pipeline
from airflow_provider_atlas.intoto.statement import PAYLOAD_TYPE
from airflow_provider_atlas.signing import dsse
from tests.support import small_run
from tests.support.simulated_snp import REPORT_DATA, vendor
from tests.support.small_run import MemorySigner


@pytest.fixture
def record(attested):
    return attested.run_folder / "tasks" / "publish" / "1.bundle.json"


@pytest.fixture
def bundle(record):
    return AttestationBundle.parse(record.read_bytes())


@pytest.fixture
def inspect(atlas, tmp_path):
    """Inspect some bytes, and return what was said of them."""

    def look(content: bytes):
        path = tmp_path / "file"
        path.write_bytes(content)
        answer = atlas("inspect", path, "--json")
        assert answer.code == 0, answer.err
        return answer.document

    return look


def test_a_bundle_is_shown_to_people(atlas, record):
    answer = atlas("inspect", record)
    assert answer.code == 0
    lines = [line.split() for line in answer.out.splitlines()]
    assert lines[0] == ["what", "bundle"]
    assert ["step", "publish"] in lines
    assert ["state", "success"] in lines
    assert ["attribute", "ATLAS_TEE_SIMULATED"] in lines
    assert answer.out.endswith("Nothing of this was verified: it is what the file says of itself.\n")


def test_a_bundle_is_told_whole(inspect, record, bundle):
    told = inspect(record.read_bytes())
    assert told["signer_sha256"] == bundle.public_key.sha256
    assert told["envelopes"].keys() == {"start", "link", "provenance", "tee"}
    assert told["receipts"].keys() == told["envelopes"].keys()
    assert told["envelopes"]["link"]["payload"]["metrics"] == {"accuracy": 0.5}
    assert told["evidence"]["quote"]["report_data"] == told["evidence"]["binds_this"]


def test_an_envelope_a_link_and_a_statement_are_recognised(inspect, bundle):
    link, provenance = bundle.envelopes["link"], bundle.envelopes["provenance"]
    assert inspect(link.to_bytes())["what"] == "envelope"
    assert inspect(link.payload)["what"] == "link"
    assert inspect(provenance.payload)["predicate_type"] == "https://slsa.dev/provenance/v1"


def test_a_layout_is_recognised(inspect, attested, atlas, tmp_path):
    atlas("export", attested.run_folder, "--format", "in-toto", "--out", tmp_path / "out")
    told = inspect((tmp_path / "out" / "run.layout").read_bytes())
    assert told["payload"]["steps"] == ["ingest", "train[0]", "train[1]", "publish"]


def test_a_pipeline_a_policy_and_a_report_are_recognised(inspect, attested, policy, atlas):
    assert inspect((attested.run_folder / "pipeline.json").read_bytes())["tasks"].keys() == {
        "ingest",
        "train",
        "publish",
    }
    assert inspect(policy.read_bytes())["what"] == "policy"
    report = atlas("verify", attested.run_folder, "--policy", policy, "--json").out.encode()
    told = inspect(report)
    assert (told["what"], told["verdict"], told["not_passed"]) == ("report", "passed", [])


def test_a_checkpoint_a_receipt_and_a_quote_are_recognised(inspect, attested, bundle):
    assert inspect((attested.folder / "log" / "checkpoint").read_bytes())["what"] == "checkpoint"
    receipt = bundle.receipts["link"]
    told = inspect(receipt.to_bytes())
    assert (told["what"], told["index"], told["size"]) == ("receipt", receipt.index, receipt.checkpoint.size)
    quote = bundle.bound_evidence.evidence.quote
    told = inspect(quote)
    assert (told["what"], told["size"], told["debug"]) == ("TDX quote", len(quote), False)
    assert inspect(quote + bytes(512)) == told  # as a driver gives it, in a buffer


@pytest.mark.parametrize("version", [2, 3, 5])
def test_an_snp_report_is_recognised(inspect, version):
    told = inspect(vendor("Milan", version=version).report())
    assert (told["what"], told["version"], told["size"], told["debug"]) == ("SNP report", version, 1184, False)
    assert (told["report_data"], told["signing_key"]) == (REPORT_DATA.hex(), "VCEK")


def test_a_truncated_bundle_is_said_to_be_one(atlas, record, tmp_path):
    path = tmp_path / "truncated.json"
    path.write_bytes(record.read_bytes()[:-100])
    answer = atlas("inspect", path)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.count("\n") == 1
    assert answer.err.startswith(f"atlas: {path}: ")
    assert "cut short" in answer.err


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"{}",
        b"[]",
        b"\x04\x00",
        b"\xff\xfe",
        b"c2sp.org/tlog-proof@v1\n",
        b'{"payloadType": 1}',
        b"a\n\n\xe2\x80\x94 b c\n",
    ],
)
def test_what_is_no_file_of_atlas_is_said_in_one_sentence(atlas, tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    answer = atlas("inspect", path)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.count("\n") == 1


def test_a_key_is_left_to_its_own_command(atlas, attested):
    answer = atlas("inspect", attested.folder / "keys" / "task.pem")
    assert answer.code == 1
    assert "atlas keys show" in answer.err
    assert "PRIVATE" not in answer.err


def test_a_policy_with_an_unknown_key_is_a_mistake(atlas, policy, tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_bytes(policy.read_bytes() + b"mistyped: 1\n")
    answer = atlas("inspect", path)
    assert answer.code == 2
    assert "mistyped" in answer.err


def test_names_out_of_a_record_cannot_repaint_the_terminal(atlas, tmp_path):
    hostile = "\x1b[2J\u202e[red]evil[/red]\n\x9b"
    link = small_run.link("train", {f"file:///{hostile}": "1"}, {})
    link = replace(link, environment=replace(link.environment, operator=hostile))
    path = tmp_path / "link"
    path.write_bytes(dsse.sign(link.to_bytes(), PAYLOAD_TYPE, MemorySigner()).to_bytes())
    answer = atlas("inspect", path)
    assert answer.code == 0
    assert answer.out.replace("\n", "").isprintable()
    assert "operator    \\x1b[2J\\u202e[red]evil[/red]\\n\\x9b" in answer.out


def test_an_empty_pipeline_has_lines_too(inspect):
    assert inspect(Pipeline(dag_id="none", tasks={}).to_bytes())["tasks"] == {}
