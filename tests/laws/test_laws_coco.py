"""What holds for every answer of an attestation agent."""

import contextlib
import json

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.tee.coco.evidence import parse_evidence
from airflow_provider_atlas.tee.coco.snp_report import report_of
from tests.support.coco_agent import snp_answer

GENUINE = snp_answer(bytes(1184))["attestation_report"]

words = st.sampled_from(["", "ARK", "VCEK", "00", "fmc", "bootloader"])
atoms = st.none() | st.booleans() | st.integers(-5, 1 << 65) | words
values = atoms | st.lists(atoms, max_size=3) | st.dictionaries(words, atoms, max_size=3)


@given(st.binary(max_size=512) | values.map(lambda value: json.dumps(value).encode()))
def test_any_answer_is_read_or_malformed(data: bytes):
    with contextlib.suppress(MalformedError):
        parse_evidence(data)


@given(st.dictionaries(st.sampled_from(sorted(GENUINE)), values, max_size=4))
def test_a_report_with_anything_in_it_has_its_size_or_is_malformed(changes: dict[str, object]):
    with contextlib.suppress(MalformedError):
        assert len(report_of({**GENUINE, **changes})) == 1184


@given(values, values)
def test_certificates_of_any_kind_are_read_or_malformed(kind: object, data: object):
    answer = {"attestation_report": GENUINE, "cert_chain": [{"cert_type": kind, "data": data}]}
    with contextlib.suppress(MalformedError):
        parse_evidence(json.dumps(answer).encode())
