"""A policy is read strictly: what is not understood is not ignored."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_atlas.errors import ConfigError
from airflow_provider_atlas.verify.policy import Policy
from airflow_provider_atlas.verify.policy_schema import POLICY_SCHEMA
from tests.support.attested_run import AttestedRun
from tests.support.fulcio import Fulcio
from tests.support.time_stamping import Authority

FULCIO = Fulcio()


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    run = AttestedRun(tmp_path_factory.mktemp("policy"))
    loaded = yaml.safe_load(run.policy_document())
    assert isinstance(loaded, dict)
    return loaded


def _parsed(document: dict[str, object], **changes: object) -> Policy:
    return Policy.parse(yaml.safe_dump({**document, **changes}).encode())


def _asking(*, certificates: str = "", within: int = 3600) -> dict[str, object]:
    authority = {"name": "ours", "certificates": certificates}
    return {"link": "required", "within": within, "authorities": [authority]}


def _worker(identity: str = "worker@example.org", **changes: object) -> dict[str, object]:
    fulcio = {"certificates": FULCIO.pem, "ct_keys": [FULCIO.ct_pem], **changes}
    return {"name": "workers", "identity": identity, "issuer": "https://oidc.example.org", "fulcio": fulcio}


def test_keys_and_identities_may_be_trusted_side_by_side(document: dict[str, object]) -> None:
    signers = [*document["signers"], _worker(), _worker("another@example.org")]  # type: ignore[misc]
    timestamps = _asking(certificates=Authority().pem.decode())
    policy = _parsed(document, signers=signers, timestamps=timestamps)
    assert [signer.name for signer in policy.signers] == ["tests"]
    assert [each.identity for each in policy.identities] == ["worker@example.org", "another@example.org"]
    assert len(policy.identities[0].fulcio.certificates) == 2


def test_the_starting_policy_trusts_what_it_was_made_from_and_asks_for_evidence(document: dict[str, object]) -> None:
    policy = _parsed(document)
    assert [signer.name for signer in policy.signers] == ["tests"]
    assert policy.evidence_required
    assert policy.manifest_required
    assert len(policy.development_roots) == 1
    assert policy.timestamps is None


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"signer": []}, "'signer' was unexpected"),
        ({"version": 2}, "version: 1 was expected"),
        ({"signers": []}, "signers"),
        ({"logs": [{"origin": "x", "key": "not a vkey"}]}, "not usable"),
        ({"signers": [{"name": "x", "public_key": "not a key"}]}, "not usable: expected a public key"),
        ({"signers": [{"name": "x", "public_key": "k", "identity": "y"}]}, "signers.0"),
        ({"signers": [{"name": "x", "identity": "y", "issuer": "z"}]}, "'fulcio' is a required"),
        ({"signers": [_worker(identity="")]}, "signers.0.identity"),
        ({"signers": [_worker(certificates="not PEM")]}, "not usable: expected the certificates"),
        ({"signers": [_worker(ct_keys=[])]}, "ct_keys"),
        ({"signers": [_worker(ct_keys=["not a key"])]}, "not usable: expected a public key"),
        ({"signers": [_worker()]}, "expected timestamps beside the identity worker@example.org"),
        ({"artifacts": "maybe"}, "artifacts"),
        ({"tee": {"evidence": "required", "accept": [{"tee": "tdx"}]}}, "measurements"),
        ({"tee": {"evidence": "required", "accept": []}}, "tee.accept"),
        ({"tee": {"evidence": "required", "accept": [{"tee": "tdx", "measurements": {"mrtd": []}}]}}, "mrtd"),
        ({"timestamps": _asking(certificates="not PEM")}, "not usable: expected the certificates"),
        ({"timestamps": _asking(within=0)}, "timestamps.within"),
        ({"timestamps": _asking(within=10**9)}, "timestamps.within"),
        ({"timestamps": {**_asking(), "authorities": []}}, "timestamps.authorities"),
        ({"timestamps": {"link": "required"}}, "timestamps"),
    ],
)
def test_what_is_not_understood_is_named(
    document: dict[str, object], changes: dict[str, object], complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        _parsed(document, **changes)


def test_a_key_given_twice_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="given twice"):
        Policy.parse(yaml.safe_dump(document).encode() + b"\nartifacts: ignored\n")


def test_aliases_are_refused() -> None:
    with pytest.raises(ConfigError, match="aliases"):
        Policy.parse(b"a: &a [x]\nb: [*a, *a]\n")


@given(st.binary(max_size=100))
def test_arbitrary_bytes_are_no_policy(content: bytes) -> None:
    with pytest.raises(ConfigError):
        Policy.parse(content)


def test_the_published_schema_is_the_one_that_is_enforced() -> None:
    published = Path(__file__).parents[3] / "docs" / "policy.schema.json"
    assert json.loads(published.read_text()) == POLICY_SCHEMA
