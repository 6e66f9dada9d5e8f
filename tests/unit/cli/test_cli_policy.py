"""``atlas policy``: what it writes is a policy, and what is none is told in one sentence."""

import pytest

from airflow_provider_atlas.verify.policy import Policy
from airflow_provider_atlas.wiring import logs


@pytest.fixture
def key(atlas, tmp_path):
    path = tmp_path / "worker.pem"
    atlas("keys", "generate", "--out", path)
    return path


@pytest.fixture
def vkey(attested):
    return str(logs.log_verifier_key(attested.settings))


def test_a_policy_of_named_keys_trusts_these_alone(atlas, key, vkey, tmp_path):
    out = tmp_path / "policy.yaml"
    answer = atlas("policy", "init", "--key", key, "--log-key", vkey, "--name", "mine", "--out", out)
    assert (answer.code, answer.out) == (0, "")
    policy = Policy.parse(out.read_bytes())
    assert policy.name == "mine"
    assert [signer.name for signer in policy.signers] == ["worker"]
    assert [str(log.key) for log in policy.logs] == [vkey]
    assert policy.manifest_required


def test_a_policy_goes_to_standard_output_as_it_is(atlas, key, vkey):
    answer = atlas("policy", "init", "--key", key, "--log-key", vkey)
    assert Policy.parse(answer.out.encode()).name == "starting"


def test_a_policy_of_a_deployment_verifies_its_runs(atlas, attested, tmp_path, monkeypatch):
    monkeypatch.setenv("AIRFLOW__ATLAS__DEPLOYMENT", attested.settings.deployment)
    monkeypatch.setenv("AIRFLOW__ATLAS__ATTESTER", attested.settings.attester)
    out = tmp_path / "policy.yaml"
    assert atlas("policy", "init", "--home", attested.folder, "--out", out).code == 0
    assert atlas("verify", attested.run_folder, "--policy", out).code == 0


def test_a_policy_is_never_replaced(atlas, key, vkey, tmp_path):
    out = tmp_path / "policy.yaml"
    out.write_text("precious")
    answer = atlas("policy", "init", "--key", key, "--log-key", vkey, "--out", out)
    assert answer.code == 2
    assert out.read_text() == "precious"


def test_a_key_without_a_log_makes_no_policy(atlas, key, vkey):
    for words in (["--key", key], ["--log-key", vkey]):
        answer = atlas("policy", "init", *words)
        assert (answer.code, answer.out) == (2, "")
        assert "--key FILE and --log-key VKEY" in answer.err


def test_a_log_key_that_is_none_makes_no_policy(atlas, key):
    answer = atlas("policy", "init", "--key", key, "--log-key", "atlas.example.org/log+00000000+AAAA")
    assert answer.code == 2
    assert answer.err.startswith("atlas: cannot use --log-key: ")


def test_a_policy_is_checked(atlas, policy):
    answer = atlas("policy", "check", policy)
    assert answer.code == 0
    assert "name       tests" in answer.out
    told = atlas("policy", "check", policy, "--json").document
    assert told["sha256"] == Policy.parse(policy.read_bytes()).sha256
    assert told["accepted_tees"][0]["development_roots"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (b"sginers: []\nartifacts:", "sginers"),
        (b"name: twice\nartifacts:", "twice"),
        (b"artifacts: not", "artifacts"),
        (b"{", "not YAML"),
        (b"\xff", "not YAML"),
    ],
)
def test_what_is_no_policy_is_a_mistake(atlas, policy, tmp_path, change, said):
    path = tmp_path / "policy.yaml"
    path.write_bytes(policy.read_bytes().replace(b"artifacts:", change))
    answer = atlas("policy", "check", path)
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err
    assert answer.err.count("\n") == 1


def test_a_policy_that_is_not_there_is_a_mistake(atlas):
    answer = atlas("policy", "check", "/nowhere")
    assert (answer.code, answer.err) == (2, "atlas: cannot read the policy /nowhere: No such file or directory\n")
