"""``atlas tee``: real evidence gives its expected result, and everything that is wrong is told in a sentence."""

import json
import random
from dataclasses import replace
from datetime import datetime

import jsonschema
import pytest
import yaml
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from airflow_provider_atlas.encoding import b64encode
from airflow_provider_atlas.tee.capture import evidence_in
from airflow_provider_atlas.tee.demands import Moment
from airflow_provider_atlas.verify.evidence import EvidenceJudge, verify_evidence
from airflow_provider_atlas.verify.evidence_file import endorsements_in
from airflow_provider_atlas.wiring import references, tees
from tests.support import tee_vectors
from tests.support.simulated_tdx import AT, REPORT_DATA, Vendor
from tests.support.tee_vectors import Vector

VERIFIERS = tees.evidence_verifiers()
KNOWN = [vector for vector in (*tee_vectors.own(), *tee_vectors.collected()) if vector.tee in VERIFIERS]
POSITIVE = [vector for vector in KNOWN if vector.exit_code == 0]
ROOT = tee_vectors.OWN.parents[2]
GOOD = tee_vectors.own()[0]
OUT_OF_DATE, UNSUPPORTED = tee_vectors.own()[3:5]


def ids(vectors: list[Vector]) -> list[str]:
    return [f"{vector.name} {vector.code}" for vector in vectors]


def words(vector: Vector) -> list[object]:
    return [vector.path, *(word for path in vector.collateral for word in ("--collateral", path)), "--at", vector.at]


def judge(vector: Vector) -> EvidenceJudge:
    at = datetime.fromisoformat(vector.at)
    return EvidenceJudge(policy=None, verifiers=VERIFIERS, moment=Moment(at=at, now=at))


@pytest.fixture(scope="module")
def vendor() -> Vendor:
    return Vendor.create()


@pytest.fixture
def simulated(vendor, tmp_path):
    """Evidence of a simulator in a file, and the words that accept it."""
    path = tmp_path / "evidence.json"
    path.write_text(json.dumps(vendor.guest().to_json()))
    return [path, "--allow-development-root", vendor.root_sha256, "--at", AT.isoformat()]


def test_the_collection_is_told_in_full():
    # Where there is a collection: a manifest that is no longer understood must not look like one without evidence.
    assert (tee_vectors.COLLECTION is None) == (not tee_vectors.collected())


@pytest.mark.parametrize("vector", KNOWN, ids=ids(KNOWN))
def test_real_evidence_gives_its_expected_result(atlas, vector):
    answer = atlas("tee", "verify", *words(vector), "--json")
    assert answer.code == vector.exit_code
    codes = {check["code"] for check in answer.document["checks"] if check["status"] in ("failed", "not-reached")}
    assert codes == ({vector.code} if vector.code != "ok" else set())
    assert answer.document["signature_only"]
    assert ("signature only" in answer.err) == (vector.exit_code == 0)


@pytest.mark.parametrize("vector", POSITIVE, ids=ids(POSITIVE))
def test_one_flipped_bit_is_refused_with_a_reason(vector):
    quote = bytearray(evidence_in(vector.content).quote)
    endorsements = endorsements_in(*(path.read_bytes() for path in vector.collateral))
    places = random.Random(vector.name).sample(range(8 * len(quote)), 200)
    for place in places:
        quote[place // 8] ^= 1 << place % 8
        report = verify_evidence(bytes(quote), judge(vector), *endorsements)
        quote[place // 8] ^= 1 << place % 8
        assert report.verdict == "failed", place
        assert all(check.code and check.detail for check in report.failures)
    assert verify_evidence(bytes(quote), judge(vector), *endorsements).verdict == "passed"


@pytest.mark.parametrize("vector", POSITIVE, ids=ids(POSITIVE))
def test_evidence_cut_short_at_any_length_is_refused_with_a_reason(vector):
    content, quote = vector.content, evidence_in(vector.content).quote
    whole = len(quote) if content.startswith(quote) else 2 * len(quote)  # in hex
    for length in range(whole):
        report = verify_evidence(content[:length], judge(vector))
        assert [(check.name, check.status) for check in report.checks] == [("format", "failed")], length


@pytest.mark.parametrize(
    "spelled", [bytes.hex, lambda q: "0x" + q.hex().upper(), b64encode, lambda q: f"\n{q.hex()}\n"]
)
def test_raw_hex_and_base64_are_one(atlas, tmp_path, spelled):
    path = tmp_path / "quote.txt"
    path.write_text(spelled(evidence_in(GOOD.content).quote))
    told = atlas("tee", "verify", path, *words(GOOD)[1:], "--json").document
    assert told == atlas("tee", "verify", *words(GOOD), "--json").document


@pytest.mark.parametrize("padding", [0, 1, 2994])
def test_a_drivers_zero_padded_buffer_is_trimmed(padding):
    quote = evidence_in(GOOD.content).quote
    assert evidence_in(quote + bytes(padding)).quote == quote


@pytest.mark.parametrize("trailing", [b"\1", b"\0\1"])
def test_trailing_bytes_are_refused(atlas, tmp_path, trailing):
    path = tmp_path / "quote.bin"
    path.write_bytes(evidence_in(GOOD.content).quote + trailing)
    answer = atlas("tee", "verify", path, *words(GOOD)[1:])
    assert answer.code == 1
    assert "malformed: expected nothing but zeros after the TDX quote" in answer.out


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "expected a TDX quote or an SEV-SNP report"),
        (b"hello", "expected a TDX quote"),
        (b"{}", "the evidence to have 'tee'"),
        (b"{", "expected JSON"),
        (b"\x03\0\x02\0\0\0\0\0" + bytes(600), "SGX quote"),
        (b"HCLA" + bytes(600), "Azure paravisor"),
        (b"\xffTCG\x80\x18" + bytes(99), "TPM's quote without its key"),
        (b"\x81" + bytes(1023), "TDREPORT"),
        (bytes(2 << 20), "at most 1048576 bytes"),
    ],
)
def test_what_is_no_evidence_is_told_what_it_is(atlas, tmp_path, content, said):
    path = tmp_path / "file"
    path.write_bytes(content)
    answer = atlas("tee", "verify", path, "--json")
    assert (answer.code, answer.document["verdict"]) == (1, "failed")
    assert said in answer.document["checks"][0]["detail"]


def test_without_endorsements_nothing_is_decided(atlas):
    answer = atlas("tee", "verify", GOOD.path, "--json")
    assert answer.code == 3
    assert [(check["code"], check["status"]) for check in answer.document["checks"][1:]] == [
        ("endorsements-missing", "not-reached")
    ]
    assert "not a pass" in answer.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["/nowhere"], "cannot read the evidence"),
        ([GOOD.path, "--collateral", "/nowhere"], "cannot read the endorsements"),
        ([GOOD.path, "--collateral", __file__], "cannot use --collateral"),
        ([GOOD.path, "--at", "yesterday"], "expected a time"),
        ([GOOD.path, "--report-data", "abc"], "cannot use --report-data"),
        ([GOOD.path, "--allow-development-root", "abc"], "cannot use --allow-development-root"),
        ([GOOD.path, "--policy", GOOD.path], "not YAML"),
        ([GOOD.path, "--ear", "x"], "--ear-key KEY"),
    ],
)
def test_a_mistake_is_told_in_one_line(atlas, arguments, said):
    answer = atlas("tee", "verify", *arguments)
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err
    assert answer.err.count("\n") == 1


def test_the_report_is_what_its_schema_says(atlas, simulated):
    schema = json.loads((ROOT / "docs" / "evidence-report.schema.json").read_text("utf-8"))
    parts = json.loads((ROOT / "docs" / "report.schema.json").read_text("utf-8"))["$defs"]
    assert {name: parts[name] for name in schema["$defs"]} == schema["$defs"]
    validator = jsonschema.Draft202012Validator(schema)
    for arguments in ([GOOD.path], words(GOOD), words(OUT_OF_DATE), simulated, [__file__]):
        assert list(validator.iter_errors(atlas("tee", "verify", *arguments, "--json").document)) == []


def test_the_same_evidence_gives_the_same_report(atlas):
    assert atlas("tee", "verify", *words(GOOD), "--json").out == atlas("tee", "verify", *words(GOOD), "--json").out


def test_the_simulators_root_is_refused_unless_it_is_named(atlas, simulated):
    refused = atlas("tee", "verify", simulated[0], "--at", AT.isoformat(), "--json")
    assert (refused.code, refused.document["checks"][1]["code"]) == (1, "root-not-trusted")
    accepted = atlas("tee", "verify", *simulated, "--json")
    assert (accepted.code, accepted.document["assurance"]) == (0, "development")
    assert "DEVELOPMENT" in accepted.err


def test_the_simulators_evidence_must_call_itself_simulated(atlas, simulated, vendor):
    lying = replace(vendor.guest(), provider="tsm")
    simulated[0].write_text(json.dumps(lying.to_json()))
    answer = atlas("tee", "verify", *simulated, "--json")
    assert answer.code == 1
    assert "mislabelled" in answer.out


def test_what_the_evidence_commits_to_is_compared(atlas, simulated):
    assert atlas("tee", "verify", *simulated, "--report-data", REPORT_DATA.hex()).code == 0
    answer = atlas("tee", "verify", *simulated, "--report-data", "00" * 64, "--json")
    assert answer.code == 1
    assert "report-data-other" in answer.out


def test_a_bundle_is_judged_by_its_evidence_and_binding(atlas, attested, policy):
    bundle = next(iter(attested.run_folder.glob("tasks/*/*.bundle.json")))
    answer = atlas("tee", "verify", bundle, "--policy", policy, "--json")
    checks = {check["name"]: check["code"] for check in answer.document["checks"]}
    assert (answer.code, checks["binding"]) == (0, "ok")
    assert answer.document["tee"]["binding"]["preimage"]["purpose"] == "task"


def test_a_policy_from_good_evidence_accepts_it_and_no_other_guest(atlas, tmp_path, vendor, simulated):
    out = tmp_path / "policy.yaml"
    assert atlas("tee", "policy", "from", *simulated, "--out", out, "--name", "ours").code == 0
    accepted = atlas("tee", "verify", *simulated, "--policy", out, "--json")
    assert (accepted.code, accepted.document["signature_only"]) == (0, False)
    assert accepted.document["policy"]["name"] == "ours"
    simulated[0].write_text(json.dumps(vendor.guest(mrtd=bytes(48)).to_json()))
    answer = atlas("tee", "verify", *simulated, "--policy", out)
    assert answer.code == 1
    assert "mrtd-not-listed: expected mrtd to be one of 1 reference values" in answer.out


def test_every_commented_line_of_a_starting_policy_holds_for_its_evidence(atlas, tmp_path):
    out = tmp_path / "policy.yaml"
    assert atlas("tee", "policy", "from", *words(GOOD), "--out", out).code == 0
    text = "".join(
        line.replace("# ", "", 1)
        if (line.lstrip().startswith("# ") and ":" in line and "[" in line) or "{" in line
        else line
        for line in out.read_text().splitlines(keepends=True)
        if "assurance" not in line
    )
    full = tmp_path / "full.yaml"
    full.write_text(text + "    assurance: high\n")
    assert len(yaml.safe_load(text)["tee"]["accept"][0]) > 8
    answer = atlas("tee", "verify", *words(GOOD), "--policy", full, "--json")
    assert (answer.code, answer.document["assurance"]) == (0, "high")


def test_no_policy_comes_from_evidence_that_is_not_genuine(atlas):
    assert atlas("tee", "policy", "from", GOOD.path).code == 3
    answer = atlas("tee", "policy", "from", *words(UNSUPPORTED))
    assert (answer.code, answer.out) == (1, "")


def test_machines_are_salted_unless_somebody_asks(atlas):
    salted = atlas("tee", "verify", *words(GOOD), "--json").document["tee"]["platform"]
    plain = atlas("tee", "verify", *words(GOOD), "--json", "--show-identities").document["tee"]["platform"]
    assert (salted["salted"], plain["salted"]) == (True, False)
    assert salted["identities"].keys() == plain["identities"].keys() == {"ppid_sha256", "platform_instance_id_sha256"}
    assert set(salted["identities"].values()).isdisjoint(plain["identities"].values())


def test_fresh_collateral_tells_what_the_vendor_says_now(atlas):
    told = atlas("tee", "verify", *words(GOOD), "--fresh", GOOD.collateral[0], "--json").document
    assert told["tee"]["tcb"]["status"] == "UpToDate"
    assert told["tee"]["tcb"]["status_now"].startswith("Refused: ")  # it is long past its date
    assert "tcb-status-now" in [limit["code"] for limit in told["tee"]["limits"]]


def test_a_policy_that_judges_as_of_a_time_stamp_refuses_bare_evidence(atlas, tmp_path, simulated):
    out = tmp_path / "policy.yaml"
    atlas("tee", "policy", "from", *simulated, "--out", out)
    out.write_text(out.read_text().replace("  evidence: required\n", "  evidence: required\n  at: attested\n"))
    named = atlas("tee", "verify", *simulated, "--policy", out)
    assert named.code == 0
    answer = atlas("tee", "verify", *simulated[:3], "--policy", out, "--json")
    assert answer.code == 1
    assert "moment-unknown" in answer.out


def test_an_ear_is_signed_and_says_what_the_report_says(atlas, tmp_path):
    key, jwt = tmp_path / "key.pem", tmp_path / "result.jwt"
    atlas("keys", "generate", "--out", key)
    assert atlas("tee", "verify", *words(GOOD), "--ear", jwt, "--ear-key", key).code == 0
    header, payload, signature = jwt.read_text().split(".")
    claims = _decoded(payload)
    assert _decoded(header)["alg"] == "ES256"
    assert claims["eat_profile"] == "tag:ietf.org,2026:rats/ear#04"
    assert claims["submods"]["tdx"]["ear_status"] == "warning"
    assert claims["submods"]["tdx"]["ear_trustworthiness_vector"] == {
        "hardware": 2, "executables": 33, "configuration": 2, "runtime-opaque": 2,
    }  # fmt: skip
    raw = _bytes(signature)
    numbers = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    public = load_pem_private_key(key.read_bytes(), password=None).public_key()
    public.verify(numbers, f"{header}.{payload}".encode(), ec.ECDSA(hashes.SHA256()))


@pytest.mark.parametrize(
    ("vector", "hardware"), [(OUT_OF_DATE, 32), (UNSUPPORTED, 99)], ids=ids([OUT_OF_DATE, UNSUPPORTED])
)
def test_an_ear_on_evidence_that_is_refused_is_contraindicated(atlas, tmp_path, vector, hardware):
    key, jwt = tmp_path / "key.pem", tmp_path / "result.jwt"
    atlas("keys", "generate", "--out", key)
    assert atlas("tee", "verify", *words(vector), "--ear", jwt, "--ear-key", key).code == 1
    appraisal = _decoded(jwt.read_text().split(".")[1])["submods"]["tdx"]
    assert appraisal["ear_status"] == "contraindicated"
    assert appraisal["ear_trustworthiness_vector"]["hardware"] == hardware


def test_a_simulators_ear_is_contraindicated_though_it_is_accepted(atlas, tmp_path, simulated):
    key, jwt = tmp_path / "key.pem", tmp_path / "result.jwt"
    atlas("keys", "generate", "--out", key)
    assert atlas("tee", "verify", *simulated, "--ear", jwt, "--ear-key", key).code == 0
    appraisal = _decoded(jwt.read_text().split(".")[1])["submods"]["tdx"]
    assert (appraisal["ear_status"], appraisal["ear_trustworthiness_vector"]["hardware"]) == ("contraindicated", 97)


@pytest.mark.parametrize("rest", [b"", b"\xff" * 1000], ids=["trimmed", "as firmware left it"])
def test_a_boot_event_log_is_replayed_and_a_policy_may_demand_it(atlas, tmp_path, rest):
    folder = tee_vectors.OWN
    log = tmp_path / "CCEL"
    log.write_bytes((folder / "cos_113.ccel").read_bytes() + rest)
    quote = [folder / "cos_113.quote", "--collateral", folder / "tdx_v4_out_of_date.collateral.json"]
    quote += ["--at", "2025-02-13T09:00:00Z"]
    told = atlas("tee", "verify", *quote, "--collateral", log)
    assert "event log     43 events; they make rtmr0 to rtmr2" in told.out
    (tmp_path / "policy.yaml").write_text(
        "version: 1\nname: booted\ntee:\n  evidence: required\n  accept:\n"
        "  - {tee: tdx, signature_only: true, event_log: required}\n"
    )
    demanding = [*quote, "--policy", tmp_path / "policy.yaml", "--json"]
    assert atlas("tee", "verify", *demanding, "--collateral", log).code == 0
    refused = atlas("tee", "verify", *demanding)
    assert (refused.code, refused.document["checks"][-1]["code"]) == (1, "event_log-absent")


def test_a_quote_of_this_machine_verifies(atlas, tmp_path, monkeypatch):
    monkeypatch.setenv("AIRFLOW__ATLAS__ATTESTER", f"simulated:{tmp_path}/tee")
    out = tmp_path / "evidence.json"
    assert atlas("tee", "quote", "--report-data", "ab" * 64, "--out", out).code == 0
    root = references.reference_of(tees.attester(_settings(tmp_path)))["development_roots"][0]
    words_of_it = ["--allow-development-root", root, "--report-data", "ab" * 64]
    assert atlas("tee", "verify", out, *words_of_it).code == 0
    raw = tmp_path / "quote.bin"
    assert atlas("tee", "quote", "--file", out, "--raw", "--out", raw).code == 0
    assert evidence_in(raw.read_bytes()).tee == "tdx"


def test_a_quote_commits_to_random_bytes_where_nobody_says_what(atlas, tmp_path, monkeypatch):
    monkeypatch.setenv("AIRFLOW__ATLAS__ATTESTER", f"simulated:{tmp_path}/tee")
    quotes = [json.loads(atlas("tee", "quote").out)["quote"] for _ in range(2)]
    assert quotes[0] != quotes[1]
    short = atlas("tee", "quote", "--report-data", "ab" * 32)
    assert (short.code, short.out) == (2, "")


def test_a_machine_without_a_tee_quotes_nothing(atlas):
    answer = atlas("tee", "quote", "--report-data", "ab" * 64)
    assert (answer.code, answer.out) == (2, "")
    assert "attester is none" in answer.err


def test_evidence_is_shown_and_nothing_is_claimed_of_it(atlas, simulated):
    told = atlas("tee", "inspect", GOOD.path, "--json")
    assert told.document["quote"]["measurements"]["mrtd"].startswith("91eb2b44")
    assert "Nothing of this was verified" in told.err
    assert atlas("tee", "inspect", simulated[0]).code == 0
    assert atlas("tee", "inspect", __file__).code == 1


def _settings(tmp_path):
    from airflow_provider_atlas.settings import Settings

    return Settings.parse({"attester": f"simulated:{tmp_path}/tee"}, home=str(tmp_path))


def _bytes(part: str) -> bytes:
    import base64

    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _decoded(part: str):
    return json.loads(_bytes(part))
