"""What holds for every batch: each record is in it by its own proof alone, and a stranger's proof is malformed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_atlas.encoding import canonical_json, parse_json
from airflow_provider_atlas.errors import BindingError, MalformedError
from airflow_provider_atlas.tee.batch import BatchProof, fold

leaves = st.lists(st.binary(min_size=64, max_size=64), min_size=1, max_size=40, unique=True)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5000) | st.text(max_size=70) | st.binary(max_size=32).map(bytes.hex),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
)


@given(leaves)
def test_every_record_is_in_its_batch(batch: list[bytes]) -> None:
    report_data, proofs = fold(batch)
    assert len(report_data) == 64
    assert [proof.report_data(leaf) for proof, leaf in zip(proofs, batch, strict=True)] == [report_data] * len(batch)


@given(leaves, st.data())
def test_no_other_leaf_place_or_size_leads_to_the_quote(batch: list[bytes], data: st.DataObject) -> None:
    report_data, proofs = fold(batch)
    at = data.draw(st.integers(0, len(batch) - 1))
    index, size = data.draw(st.integers(0, 50)), data.draw(st.integers(1, 50))
    leaf = data.draw(st.sampled_from(batch) | st.binary(min_size=64, max_size=64))
    shown = BatchProof(index=index, size=size, hashes=proofs[at].hashes)
    try:
        leads = shown.report_data(leaf) == report_data
    except BindingError:
        leads = False
    assert leads == ((index, size, leaf) == (at, len(batch), batch[at]))


@given(leaves)
def test_a_proof_parses_to_itself(batch: list[bytes]) -> None:
    for proof in fold(batch)[1]:
        assert BatchProof.parse(parse_json(canonical_json(proof.to_json()))) == proof


@given(json_values | st.fixed_dictionaries({"index": json_values, "size": json_values, "hashes": json_values}))
def test_what_is_no_proof_is_malformed(value: object) -> None:
    try:
        proof = BatchProof.parse(value)  # type: ignore[arg-type]  # what JSON can say
    except MalformedError:
        return
    assert proof.to_json() == value


@pytest.mark.parametrize(
    "changes",
    [
        {"index": 4096},
        {"index": -1},
        {"size": 0},
        {"size": 4097},
        {"hashes": ["00" * 32] * 13},
        {"hashes": ["00" * 31]},
    ],
)
def test_a_proof_beyond_its_limits_is_malformed(changes: dict[str, object]) -> None:
    good = {"index": 1, "size": 2, "hashes": ["00" * 32]}
    assert BatchProof.parse(good).size == 2  # type: ignore[arg-type]  # as above
    with pytest.raises(MalformedError):
        BatchProof.parse({**good, **changes})  # type: ignore[dict-item]  # as above
