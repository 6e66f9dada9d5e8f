"""What the commands say of workers without keys: ``atlas policy init``, ``doctor``, ``inspect``, ``export``."""

import json

import pytest

from airflow_provider_atlas.sigstore.trusted_root import TrustedRoot
from airflow_provider_atlas.verify.policy import Policy
from tests.support.attested_run import AttestedRun
from tests.support.fulcio import IDENTITY, ISSUER, keyless

LOG_KEY = "atlas.example.org/log+a33990bb+AQ4GBO5HP+gP9FIofmTXcg0CZgkWGnYNJZZKhvBpJY2R"


@pytest.fixture
def services(tmp_path):
    with keyless(tmp_path) as served:
        yield served


@pytest.fixture
def machine(services, monkeypatch):
    for name, value in services.section.items():
        monkeypatch.setenv(f"AIRFLOW__ATLAS__{name.upper()}", value)
    return services


@pytest.fixture
def trusted(services, tmp_path):
    """Return the options that name whom to trust."""
    files = {
        "--fulcio-certificates": services.fulcio.pem,
        "--ct-key": services.fulcio.ct_pem,
        "--tsa-certificates": services.authority.pem.decode(),
    }
    for option, content in files.items():
        (tmp_path / option[2:]).write_text(content)
    return {option: tmp_path / option[2:] for option in files}


def options(trusted):
    return [each for pair in trusted.items() for each in pair]


def test_a_policy_trusts_who_this_machines_worker_is(atlas, machine, trusted, tmp_path):
    answer = atlas("policy", "init", "--home", tmp_path / "home", *options(trusted))
    assert answer.code == 0
    policy = Policy.parse(answer.out.encode())
    (identity,) = policy.identities
    assert (identity.identity, identity.issuer, identity.name) == (IDENTITY, ISSUER, "airflow")
    assert identity.fulcio == machine.trust.fulcio
    assert policy.signers == []
    assert policy.timestamps.required
    assert [each.certificates for each in policy.timestamps.authorities] == [machine.trust.authority.certificates]


def test_a_policy_trusts_who_is_named(atlas, trusted):
    named = ["--identity", "worker@cluster.example", "--issuer", ISSUER, "--log-key", LOG_KEY]
    answer = atlas("policy", "init", *named, *options(trusted))
    assert answer.code == 0
    (identity,) = Policy.parse(answer.out.encode()).identities
    assert (identity.identity, identity.issuer) == ("worker@cluster.example", ISSUER)


def test_keys_may_be_trusted_beside_identities(atlas, trusted, attested):
    named = [
        "--identity",
        IDENTITY,
        "--issuer",
        ISSUER,
        "--log-key",
        LOG_KEY,
        "--key",
        attested.folder / "keys/task.pem",
    ]
    policy = Policy.parse(atlas("policy", "init", *named, *options(trusted)).out.encode())
    assert [signer.key for signer in policy.signers] == [attested.worker.sealer.signer.public_key]
    assert [identity.identity for identity in policy.identities] == [IDENTITY]


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("missing", ["--fulcio-certificates", "--ct-key", "--tsa-certificates"])
def test_half_of_the_trust_is_a_mistake(atlas, trusted, missing):
    del trusted[missing]
    answer = atlas("policy", "init", *options(trusted))
    assert (answer.code, answer.out) == (2, "")
    assert "--fulcio-certificates, --ct-key and --tsa-certificates together" in answer.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--identity", IDENTITY, "--log-key", LOG_KEY], "--identity goes with --issuer"),
        (["--issuer", ISSUER, "--log-key", LOG_KEY], "--identity goes with --issuer"),
        (["--identity", IDENTITY, "--issuer", ISSUER], "name both"),
        (["--log-key", LOG_KEY], "--identity and --issuer, beside"),
        ([], "needs no certificates"),
    ],
)
def test_trust_that_does_not_fit_is_a_mistake(atlas, trusted, arguments, said):
    answer = atlas("policy", "init", *arguments, *options(trusted))
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err


@pytest.mark.usefixtures("machine")
def test_a_certificate_that_is_none_is_a_mistake(atlas, trusted):
    trusted["--fulcio-certificates"].write_text("nothing")
    answer = atlas("policy", "init", *options(trusted))
    assert answer.code == 2
    assert answer.err.startswith("atlas: cannot trust what was named: expected the certificates")


@pytest.mark.usefixtures("machine")
def test_without_trust_no_policy_is_made(atlas):
    answer = atlas("policy", "init")
    assert answer.code == 2
    assert "--fulcio-certificates, --ct-key and --tsa-certificates" in answer.err


@pytest.mark.usefixtures("machine")
def test_the_doctor_asks_for_a_certificate_and_says_whose_it_is(atlas, tmp_path):
    (signer,) = _signer(atlas("doctor", "--home", tmp_path / "home", "--json"))
    assert signer["ok"]
    assert f"certifies {IDENTITY} by {ISSUER}, until 20" in signer["detail"]


@pytest.mark.usefixtures("machine")
def test_the_doctor_says_when_there_is_none(atlas, tmp_path):
    (tmp_path / "token").write_text("no token")
    answer = atlas("doctor", "--home", tmp_path / "home", "--json")
    (signer,) = _signer(answer)
    assert answer.code == 2
    assert "cannot use the identity token" in signer["detail"]


def _signer(answer):
    return [check for check in answer.document["checks"] if check["name"] == "signer"]


@pytest.fixture
def run(services, tmp_path):
    run = AttestedRun(tmp_path / "run", trust=services.trust, **services.section).complete()
    (tmp_path / "policy.yaml").write_bytes(run.policy_document())
    return run


def test_whom_a_record_and_a_policy_name_is_shown(atlas, run, tmp_path):
    bundle = atlas("inspect", run.run_folder / "tasks" / "ingest" / "1.bundle.json", "--json").document
    assert bundle["certificate"]["identity"] == IDENTITY
    assert bundle["certificate"]["held_from"] < bundle["certificate"]["held_until"]
    assert atlas("inspect", tmp_path / "policy.yaml", "--json").document["signers"] == {
        "tests": f"{IDENTITY}, by {ISSUER}"
    }


def test_an_export_has_the_certificates_and_no_keys(atlas, run, services, tmp_path):
    out = tmp_path / "out"
    answer = atlas(
        "export", run.run_folder, "--format", "sigstore", "--policy", tmp_path / "policy.yaml", "--out", out, "--json"
    )
    assert (answer.code, answer.document["keys"]) == (0, [])
    root = TrustedRoot.parse((out / "trusted_root.json").read_bytes())
    assert root.fulcios == (services.trust.fulcio.certificates,)
    assert root.ct_keys == services.trust.fulcio.ct_keys
    material = json.loads((out / "publish.1.start.sigstore.json").read_bytes())["verificationMaterial"]
    assert set(material) == {"certificate", "tlogEntries", "timestampVerificationData"}


def test_what_the_policy_does_not_trust_is_not_exported(atlas, run, tmp_path):
    policy, out = tmp_path / "policy.yaml", tmp_path / "out"
    policy.write_text(policy.read_text().replace(f"identity: {IDENTITY}\n", f"identity: {IDENTITY}2\n"))
    answer = atlas("export", run.run_folder, "--format", "sigstore", "--policy", policy, "--out", out)
    assert answer.code == 1
    assert f"expected a certificate of {IDENTITY}2" in answer.err
    assert not out.exists() or not list(out.iterdir())


def test_a_receipt_of_a_certified_record_is_made_and_checked(atlas, run, tmp_path):
    bundle, proof = run.run_folder / "tasks" / "ingest" / "1.bundle.json", tmp_path / "link.tlog-proof"
    key = run.policy_document().decode().partition("key: ")[2].partition("\n")[0]
    made = atlas("log", "proof", "make", run.folder / "log", "--key", key, "--bundle", bundle, "--out", proof)
    assert made.code == 0, made.err
    assert atlas("log", "proof", "check", proof, "--key", key, "--bundle", bundle).code == 0
