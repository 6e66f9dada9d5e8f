"""A policy is read strictly: what is not understood is not ignored."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_atlas.errors import ConfigError
from airflow_provider_atlas.tee.evidence import Fact
from airflow_provider_atlas.tee.policy_fields import FIELDS
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
    assert policy.tee.required
    assert policy.manifest_required
    assert len(policy.tee.development_roots) == 1
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


def _accepting(**fields: object) -> dict[str, object]:
    reference = {"tee": "tdx", "measurements": {"mrtd": ["aa" * 48]}, **fields}
    return {"tee": {"evidence": "required", "accept": [reference]}}


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"mrtd": ["aa" * 48]}, "'mrtd' was unexpected"),
        ({"tee": "sgx"}, "tee.accept.0.tee"),
        ({"measurements": {"mrtx": ["aa" * 48]}}, "mrtx"),
        ({"measurements": {"mrtd": ["aa" * 32]}}, "measurements.mrtd.0"),
        ({"measurements": {"mrtd": ["AA" * 48]}}, "measurements.mrtd.0"),
        ({"chip_id_sha256": ["aa" * 32]}, "chip_id_sha256"),
        ({"tcb_status": ["Revoked"]}, "tcb_status.0"),
        ({"tcb_status": ["uptodate"]}, "tcb_status.0"),
        ({"td_attributes": {}}, "td_attributes"),
        ({"td_attributes": {"set": ["no_such_bit"]}}, "td_attributes.set.0"),
        ({"td_attributes": {"set": [64]}}, "td_attributes.set.0"),
        ({"min_tee_tcb_svn": "05"}, "min_tee_tcb_svn"),
        ({"min_tcb_evaluation_data_number": -1}, "min_tcb_evaluation_data_number"),
        ({"fmspc": []}, "fmspc"),
        ({"smt": "false"}, "smt"),
        ({"max_collateral_age": 0}, "max_collateral_age"),
        ({"assurance": "none"}, "assurance"),
        ({"advisories": {"refuse": []}}, "refuse"),
        ({"tee": "tpm", "measurements": {"pcr0": ["aa" * 32]}, "tcb_status": ["UpToDate"]}, "tcb_status"),
        ({"tee": "sev-snp", "measurements": {}, "min_reported_tcb": {"microcode": 1}}, "microcode"),
        ({"tee": "sev-snp", "measurements": {}, "min_reported_tcb": {"snp": 256}}, "min_reported_tcb.snp"),
    ],
)
def test_what_is_no_demand_on_a_tee_is_named(
    document: dict[str, object], fields: dict[str, object], complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        _parsed(document, **_accepting(**fields))


def test_every_field_of_every_tee_has_a_value_that_its_schema_accepts(document: dict[str, object]) -> None:
    facts: dict[str, Fact] = {"product": "Genoa", "signing_key": "VCEK", "crl": "checked", "event_log": "replayed"}
    for tee, known in FIELDS.items():
        for name, field in known.fields.items():
            for fact in (
                facts.get(field.fact),
                1,
                "a text",
                True,
                "ab" * 16,
                *("ab" * size for size in (6, 8, 32, 48)),
            ):
                told = {} if fact is None else {field.fact: fact, f"{field.fact}.snp": 1}
                value = field.kind.value_of(field.fact, told)
                if value is not None and jsonschema.Draft202012Validator(field.kind.schema).is_valid(value):
                    policy = _parsed(document, **_accepting(tee=tee, measurements={}, **{name: value}))
                    assert [demanding for demanding, _ in policy.tee.references[0].demands] == [name]
                    break
            else:
                pytest.fail(f"{tee}: {name}")


def test_a_reference_pins_measurements_or_says_that_any_guest_will_do(document: dict[str, object]) -> None:
    nothing = {"tee": {"evidence": "required", "accept": [{"tee": "tdx"}]}}
    with pytest.raises(ConfigError, match="measurements, or to say signature_only: true"):
        _parsed(document, **nothing)
    said = {"tee": {"evidence": "required", "accept": [{"tee": "tdx", "signature_only": True}]}}
    assert _parsed(document, **said).tee.references[0].signature_only


@pytest.mark.parametrize(
    ("tee", "complaint"),
    [({"at": "then"}, "tee.at"), ({"identity_salt": "ab"}, "identity_salt"), ({"identities": "some"}, "identities")],
)
def test_what_is_no_demand_on_evidence_is_named(
    document: dict[str, object], tee: dict[str, str], complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        _parsed(document, tee={**_accepting()["tee"], **tee})  # type: ignore[dict-item]
